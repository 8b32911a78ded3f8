"""An edit of a plan: what is allowed, and what the plan is then.

Pure: a plan and an edit make the next plan, or a `ReleaseError` that says why not. No edit touches what a step does, what it
needs before it, or whose approval it waits for.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.approval import PARAM
from bot.domain.checklist import MANUAL
from bot.domain.edits import (
    ASSIGNEE,
    EVIDENCE,
    NAME,
    NOTE,
    SKIPPED,
    TEXT,
    TITLE,
    Assign,
    Edit,
    Insert,
    LeaveOut,
    Move,
    Note,
    edit_out,
    left_out,
)
from bot.domain.errors import Conflict, NotAllowed, WrongUse
from bot.domain.phases import demand_within
from bot.domain.plan import Edited, PlannedStep, StepKind
from bot.domain.planning import CI, MERGE
from bot.domain.policy import demand_skip

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from bot.domain.checklist import StepFacts
    from bot.domain.plan import Plan
    from bot.domain.readmodel import Person

EDITORS = frozenset({"releaser", "approver", "admin"})
MOST_STEPS, MOST_EDITS = 60, 60  # a menu in Slack holds 100
_FEW = 2  # words that a reason has at least
_PERSON = re.compile(r"[UW][A-Z0-9]{1,30}")
_LINE, _LONG = 150, 1000
HINT = "/release plan shows what may be changed"


def edited(
    plan: Plan,
    edit: Edit,
    *,
    by: Person,
    at: datetime,
    catalogue: Mapping[str, StepFacts],
    begun: Collection[str] = (),
    source: str = "",
) -> Plan:
    """Return the plan after an edit; ``begun`` are the keys of the steps that are over or in work.

    Raises `NotAllowed` for who may not, `Conflict` where the plan does not allow it, `WrongUse` for words that are missing.
    """
    _demand_editor(by)
    if len(plan.edits) >= MOST_EDITS:
        raise Conflict(f"This plan was changed {MOST_EDITS} times already; nothing was changed.", hint="/release abort")
    match edit:
        case Insert():
            steps, said = _inserted(plan, edit, catalogue, begun)
        case LeaveOut():
            steps, said = _left_out(plan, edit, by, catalogue, begun)
        case Move():
            steps, said = _moved(plan, edit, catalogue, begun)
        case Note():
            steps, said = _noted(plan, edit, begun)
        case Assign():
            steps, said = _assigned(plan, edit, begun)
    if tuple(steps) == plan.steps:
        raise Conflict("It is so already; nothing was changed.", hint=HINT)
    demand_within(plan, steps, {facts.id for facts in catalogue.values() if facts.changes_live})
    done = Edited(by.slack, at.isoformat(), said, edit_out(edit), source)
    return replace(plan, steps=tuple(steps), edits=(*plan.edits, done))


def demand_seen(plan: Plan, seen: int) -> None:
    """Raise `Conflict` for an edit that was made looking at another version of the plan."""
    if seen == plan.revision:
        return
    last = plan.edits[-1] if plan.edits else None
    who = f"<@{last.by}> {last.said} meanwhile; " if last and seen < plan.revision else ""
    raise Conflict(
        f"{who}you saw version {seen} of this plan, and it is at version {plan.revision}. Nothing was changed.",
        hint="/release plan shows it as it is now",
    )


def editable(plan: Plan, begun: Collection[str] = ()) -> tuple[PlannedStep, ...]:
    """Return the steps that may still be changed: not begun, not left out, and not the approval that the plan opens with."""
    return tuple(step for step in plan.steps[first_free(plan, begun) :] if not left_out(step))


def first_free(plan: Plan, begun: Collection[str]) -> int:
    """Return the first place in the order that may still change."""
    opening = 1 if plan.steps and plan.steps[0].kind is StepKind.APPROVAL else 0
    return max([opening, *(place + 1 for place, step in enumerate(plan.steps) if step.key in begun)])


def turned_round(
    before: Sequence[PlannedStep], after: Sequence[PlannedStep], catalogue: Mapping[str, StepFacts]
) -> tuple[PlannedStep, PlannedStep] | None:
    """Return a step and one that it must come after, where ``after`` has them the other way round than ``before``.

    Whatever stood before a step that depends on it goes on standing before it, also where two steps are of one id.
    """
    place = {step.key: number for number, step in enumerate(after)}
    for number, first in enumerate(before):
        for second in before[number + 1 :]:
            if _depends(second, first, catalogue) and place[second.key] < place[first.key]:
                return second, first
    return None


def _inserted(
    plan: Plan, edit: Insert, catalogue: Mapping[str, StepFacts], begun: Collection[str]
) -> tuple[list[PlannedStep], str]:
    title = _words(edit.title, "The title of a step", most=_LINE)
    text, evidence = (_words(one, "Its text", least=0) for one in (edit.text, edit.evidence))
    if len(plan.steps) >= MOST_STEPS:
        raise Conflict(f"A plan has {MOST_STEPS} steps at most; nothing was changed.", hint="leave another one out")
    facts = catalogue[MANUAL]
    params: dict[str, object] = {TITLE: title, **_given({TEXT: text, EVIDENCE: evidence})}
    if edit.person:
        params |= _person(edit.person, edit.name)
    step = PlannedStep(
        key=next(key for number in range(1, 1000) if (key := f"added_{number}") not in {s.key for s in plan.steps}),
        step=MANUAL,
        version=facts.version,
        title=title,
        kind=StepKind.MANUAL,
        params=params,
        by_hand=text or facts.by_hand,
    )
    place = _place(plan, edit.before, begun)
    return [*plan.steps[:place], step, *plan.steps[place:]], f"put in “{title}” {_where(plan, edit.before)}"


def _left_out(
    plan: Plan, edit: LeaveOut, by: Person, catalogue: Mapping[str, StepFacts], begun: Collection[str]
) -> tuple[list[PlannedStep], str]:
    step = _free(plan, edit.key, begun)
    reason = _words(edit.reason, "The reason for leaving a step out", least=_FEW, most=500)
    facts = catalogue.get(step.step)
    demand_skip(by, skip=facts.skip if facts else "never")
    if PARAM in step.params:
        raise NotAllowed(
            f"People approve “{step.title}” before it is done: an edit does not take that away. Nothing was changed.",
            hint="say no when it is asked, and then skip it or abort",
        )
    if dependent := _dependent(plan, step, catalogue, begun):
        raise Conflict(
            f"“{dependent.title}” needs “{step.title}” before it; nothing was changed.",
            hint=f"leave “{dependent.title}” out first, where it may be",
        )
    params = {**step.params, SKIPPED: {"by": by.slack, "reason": reason}}
    return _with(plan, replace(step, params=params)), f"left out “{step.title}”: {reason}"


def _moved(
    plan: Plan, edit: Move, catalogue: Mapping[str, StepFacts], begun: Collection[str]
) -> tuple[list[PlannedStep], str]:
    step = _free(plan, edit.key, begun)
    if edit.before == edit.key:
        raise WrongUse("A step does not come before itself; nothing was changed.", hint=HINT)
    _place(plan, edit.before, begun)
    others = [one for one in plan.steps if one.key != step.key]
    place = next((number for number, one in enumerate(others) if one.key == edit.before), len(others))
    steps = [*others[:place], step, *others[place:]]
    if wrong := turned_round(plan.steps, steps, catalogue):
        raise Conflict(f"“{wrong[0].title}” must come after “{wrong[1].title}”; nothing was changed.", hint=HINT)
    return steps, f"moved “{step.title}” {_where(plan, edit.before)}"


def _noted(plan: Plan, edit: Note, begun: Collection[str]) -> tuple[list[PlannedStep], str]:
    step = _free(plan, edit.key, begun)
    note = _words(edit.note, "A note")
    short = note if len(note) <= _LINE else f"{note[:_LINE]}…"
    said = f"wrote a note at “{step.title}”: {' '.join(short.split())}"
    return _with(plan, replace(step, params={**step.params, NOTE: note})), said


def _assigned(plan: Plan, edit: Assign, begun: Collection[str]) -> tuple[list[PlannedStep], str]:
    step = _free(plan, edit.key, begun)
    params = {**step.params, **_person(edit.person, edit.name)}
    return _with(plan, replace(step, params=params)), f"gave “{step.title}” to {edit.name or edit.person}"


def _demand_editor(by: Person) -> None:
    if not by.roles & EDITORS:
        raise NotAllowed(
            "To change a plan needs the role releaser or approver; nothing was changed.", hint="/release whoami"
        )


def _free(plan: Plan, key: str, begun: Collection[str]) -> PlannedStep:
    """Return a step that may still be changed; raises otherwise, saying why not."""
    place = next((number for number, step in enumerate(plan.steps) if step.key == key), None)
    if place is None:
        raise WrongUse(f"The plan has no step {key[:40]!r}; nothing was changed.", hint=HINT)
    step = plan.steps[place]
    if key in begun:
        raise Conflict(f"“{step.title}” has begun, so it cannot be changed; nothing was.", hint=HINT)
    if place < first_free(plan, begun):
        raise Conflict(f"“{step.title}” stands before what has begun; nothing was changed.", hint=HINT)
    if left_out(step):
        raise Conflict(f"“{step.title}” is left out already; nothing was changed.", hint=HINT)
    return step


def _place(plan: Plan, before: str, begun: Collection[str]) -> int:
    """Return the place right before a step, or the end."""
    if not before:
        return len(plan.steps)
    place = next((number for number, step in enumerate(plan.steps) if step.key == before), None)
    if place is None:
        raise WrongUse(f"The plan has no step {before[:40]!r}; nothing was changed.", hint=HINT)
    if place < first_free(plan, begun):
        why = "has begun" if before in begun else "comes first"
        raise Conflict(
            f"Nothing can come before “{plan.steps[place].title}”: it {why}. Nothing was changed.", hint=HINT
        )
    return place


def _dependent(
    plan: Plan, step: PlannedStep, catalogue: Mapping[str, StepFacts], begun: Collection[str]
) -> PlannedStep | None:
    """Return a step to come that needs this one, where no other step of its id stands in for it."""
    if any(one.step == step.step and one.key != step.key and not left_out(one) for one in plan.steps):
        return None
    waiting = [one for one in plan.steps if one.key not in begun and not left_out(one)]
    return next((one for one in waiting if (f := catalogue.get(one.step)) and step.step in f.needs), None)


def _depends(one: PlannedStep, other: PlannedStep, catalogue: Mapping[str, StepFacts]) -> bool:
    """Tell whether a step must come after another; CI is asked of master before the merge and of the merge after it."""
    facts = catalogue.get(one.step)
    return bool(facts and other.step in facts.needs | facts.after) or {one.step, other.step} == {CI, MERGE}


def _with(plan: Plan, step: PlannedStep) -> list[PlannedStep]:
    return [step if one.key == step.key else one for one in plan.steps]


def _where(plan: Plan, before: str) -> str:
    return f"before “{plan.step(before).title}”" if before else "at the end"


def _person(slack: str, name: str) -> dict[str, object]:
    if not _PERSON.fullmatch(slack):
        raise WrongUse("Please choose a person; nothing was changed.", hint=HINT)
    return {ASSIGNEE: f"<@{slack}>", **_given({NAME: " ".join(name.split())[:80]})}


def _given(values: Mapping[str, str]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value}


def _words(text: str, what: str, *, least: int = 1, most: int = _LONG) -> str:
    """Return the text without spaces around it; raises `WrongUse` where it has too few words or is too long."""
    said = text.strip() if most != _LINE else " ".join(text.split())
    if len(said.split()) < least:
        few = "a few words" if least > 1 else "words"
        raise WrongUse(f"{what} needs {few}; nothing was changed.", hint=HINT)
    if len(said) > most:
        raise WrongUse(f"{what} has {len(said)} characters, {most} at most; nothing was changed.", hint=HINT)
    return said
