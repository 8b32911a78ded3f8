"""The forms by which a person changes the plan of one release: what and at which step, then the words of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.edits import NOTE
from bot.views import ids, kit, limits
from bot.views.text import count, escape, mention

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slack_sdk.models.blocks import Block

    from bot.domain.plan import Plan, PlannedStep

END = "-"  # no step has this key: the place behind the last one
EXPORT = "export"
WHAT = {
    "insert": "Put in a step that a person does",
    "skip": "Leave a step out",
    "move": "Move a step",
    "note": "Write a note at a step",
    "assign": "Give a step to somebody",
    EXPORT: "Make an issue of the plan on GitHub",
}
_SUBMIT = {"insert": "Put it in", "skip": "Leave it out", "move": "Move it", "note": "Write it", "assign": "Give it"}
_TITLE = "Change the plan"


def choose_form(
    plan: Plan, free: Sequence[PlannedStep], metadata: Mapping[str, object], *, export: bool
) -> dict[str, Any]:
    """Ask what is to be changed (block ``what``) and at which step (block ``step``); ``free`` are those that may be."""
    what = [(kind, label) for kind, label in WHAT.items() if export or kind != EXPORT]
    blocks: list[Block] = [
        kit.section(
            f"Version {plan.revision} of the plan: {count(len(plan.steps), 'step')}, {len(free)} of them still to come.\n"
            "A change is told to the channel, and takes away approvals that were given already."
        ),
        kit.choice(ids.WHAT, "What do you want to do?", what),
        kit.choice(ids.STEP, "At which step?", _steps(plan, free), "A new step is put in before it."),
    ]
    return kit.modal(callback=ids.PLAN_CHOOSE, title=_TITLE, submit="Next", blocks=blocks, metadata=metadata)


def edit_form(
    kind: str, plan: Plan, free: Sequence[PlannedStep], step: PlannedStep, metadata: Mapping[str, object]
) -> dict[str, Any]:
    """Ask for what one kind of change needs."""
    blocks = [kit.section(_about(kind, step)), *_inputs(kind, plan, free, step)]
    callback = f"{ids.PLAN_FORM}{kind}"
    return kit.modal(callback=callback, title=_TITLE, submit=_SUBMIT[kind], blocks=blocks, metadata=metadata)


def loading_form() -> dict[str, Any]:
    """Hold the place of a form while the plan is made afresh: Slack's trigger lives three seconds."""
    return kit.modal(
        callback="plan:loading", title=_TITLE, submit="", blocks=[kit.section("Making the plan …")], metadata={}
    )


def told(said: str, by: str, version: int) -> kit.Message:
    """Answer the person whose change was taken."""
    text = f"{mention(by)} {escape(said, 700)}. The plan is at version {version}."
    return kit.message(text, [kit.section(text)])


def _about(kind: str, step: PlannedStep) -> str:
    name = f"*{escape(step.title, 150)}*"
    match kind:
        case "insert":
            return "A step that a person does and confirms here; the release waits for it."
        case "skip":
            return f"Leave {name} out of this release? What the checklist marks, or a later step needs, stays in."
        case "move":
            return f"Where does {name} go? What it needs stays before it, and what needs it behind it."
        case "note":
            return f"The note is shown when {name} comes."
        case _:
            return f"Whoever it is, is mentioned when {name} comes."


def _inputs(kind: str, plan: Plan, free: Sequence[PlannedStep], step: PlannedStep) -> list[Block]:
    places = [*_steps(plan, free), (END, "Nothing: it comes last")]
    match kind:
        case "insert":
            return [
                kit.text_input(ids.TITLE, "What is to be done?", hint="A short sentence: it is the step's title."),
                kit.choice(ids.BEFORE, "Before which step?", places, chosen=step.key),
                kit.text_input(ids.TEXT, "How?", multiline=True, optional=True),
                kit.person_input(ids.PERSON, "Who?", optional=True),
                kit.text_input(ids.EVIDENCE, "What must be given as evidence?", optional=True),
            ]
        case "skip":
            hint = "A few words. Everybody in the channel sees them."
            return [kit.text_input(ids.REASON, "Why?", multiline=True, hint=hint)]
        case "move":
            return [kit.choice(ids.BEFORE, "Before which step?", [one for one in places if one[0] != step.key])]
        case "note":
            old = str(step.params.get(NOTE, ""))
            return [kit.text_input(ids.NOTE, "Note", initial=old, multiline=True)]
        case _:
            return [kit.person_input(ids.PERSON, "Who?")]


def _steps(plan: Plan, free: Sequence[PlannedStep]) -> list[tuple[str, str]]:
    keys = {step.key for step in free}
    return [(step.key, f"{number}. {step.title}") for number, step in enumerate(plan.steps, 1) if step.key in keys][
        : limits.MENU - 1
    ]
