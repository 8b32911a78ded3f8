"""A rehearsal in Slack: its message, edited as steps pass, the last word in its thread, and the line that plans and approvals show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.rehearsal import RehearsalState, sentence
from bot.domain.release import StepState
from bot.views import ids, kit
from bot.views.states import STEP
from bot.views.text import code, duration, escape, link, mention, own, sha, when

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slack_sdk.models.blocks import Block

    from bot.domain.rehearsal import Rehearsal, RehearsedStep, Standing

STATE = {
    RehearsalState.RUNNING: "running",
    RehearsalState.PASSED: "passed",
    RehearsalState.FAILED: "failed",
    RehearsalState.STOPPED: "stopped",
    RehearsalState.INTERRUPTED: "interrupted",
    RehearsalState.BROKEN: "could not be carried out",
}
WHAT = (
    "In an embedded world: the real commits, Git, SSH, Ansible and supervisord; the servers, the playbook, CI and GitHub are "
    "stand-ins, CI is taken as green, and people are taken to say yes. Nothing of production is touched."
)


def message(one: Rehearsal) -> kit.Message:
    """Show how a rehearsal goes, or how it ended; while it runs, with the button that stops it."""
    title = _title(one)
    blocks: list[Block] = [
        kit.header(title),
        kit.section("\n".join(_facts(one))),
        *kit.lines([_step(step) for step in one.steps], room=6000),
        *_actions(one),
        kit.context(WHAT),
        kit.context(
            f"Plan {code(one.fingerprint[:12])} · checklist {code(one.checklist, 60)} · asked by {mention(one.by)}"
        ),
    ]
    return kit.message(f"{escape(title)}: {STATE[one.state]}", blocks)


def ending(one: Rehearsal) -> kit.Message:
    """Say in the thread how it ended, with the evidence of the step that failed."""
    text = f"{escape(_title(one))} {STATE[one.state]}{_after(one)}."
    return kit.message(text, [kit.section(f"*{text}*"), *kit.lines(list(_why(one)), room=4000)])


def line(found: Standing, *, required: bool = False) -> str:
    """Say what the rehearsals come to for a plan, with a link to the thread; what is required and missing says how to get it."""
    said, one = escape(sentence(found), 700), found.rehearsal
    parts = [said]
    if one is not None:
        thread = link(one.permalink, "thread") if one.permalink else escape(one.id)
        parts = [f"{said} ({thread}, {when(one.finished_at or one.started_at)})"]
    if required and not found.passed:
        parts.append(f"One that passed is required here: {code('/release rehearse')}.")
    return f"{parts[0]}. {parts[1]}" if len(parts) > 1 else f"{parts[0]}."


def _title(one: Rehearsal) -> str:
    return f"Rehearsal {one.id} of {one.version} for {one.environment}"


def _facts(one: Rehearsal) -> Iterator[str]:
    head = f"*{STATE[one.state].capitalize()}*{_after(one)}"
    yield f"{head} · commit {sha(one.head)}{f' · the plan of {escape(one.release)}' if one.release else ''}"
    if one.state is RehearsalState.RUNNING:
        current = one.current
        yield f"Begun {when(one.started_at)}. In work: {escape(current.title, 150) if current else 'a look at the world'}"
    else:
        yield from _why(one)


def _after(one: Rehearsal) -> str:
    return f" after {duration((one.finished_at - one.started_at).total_seconds())}" if one.finished_at else ""


def _why(one: Rehearsal) -> Iterator[str]:
    """Say what happened: of a failure the step with its evidence; and how to rehearse again."""
    if failing := one.failing:
        yield f"*First failing step:* {escape(failing.title, 150)}"
        yield f"> {escape(failing.said or one.note, 900)}"
    elif one.note:
        yield own(one.note) if one.state is RehearsalState.STOPPED else escape(one.note, 900)
    if one.hint:
        yield f"Try: {escape(one.hint, 400)}"
    if one.state is RehearsalState.PASSED:
        yield f"{len(one.steps)} steps, and the world is as the plan must leave it."
    else:
        yield f"Again: {code(one.again, 200)}"


def _step(step: RehearsedStep) -> str:
    sign, word = STEP[step.state]
    took = f", {duration(step.seconds)}" if step.seconds is not None else ""
    quiet = step.state in (StepState.PENDING, StepState.DONE)
    return f"{sign} {escape(step.title, 120)}{'' if quiet else f' – {word}'}{took}"


def _actions(one: Rehearsal) -> list[Block]:
    if one.state is not RehearsalState.RUNNING:
        return []
    sure = (
        "Stop the rehearsal?",
        f"{one.id} ends, and its embedded world with it. Production is not touched.",
        "Stop it",
    )
    return kit.actions(
        "rehearse", [kit.button("Stop", ids.REHEARSAL_STOP, {"rehearsal": one.id}, style="danger", confirm=sure)]
    )
