"""Steps in the release's thread: a message for each that takes its time or fails, one for all that ended at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.plan import StepKind
from bot.domain.release import StepState
from bot.views import kit
from bot.views.dashboard import named, took
from bot.views.states import STEP
from bot.views.text import by_hand, count, escape, mention, told, when

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slack_sdk.models.blocks import Block

    from bot.domain.readmodel import ReleaseView, StepView

_COMMANDS = 6
_LONG = 5.0  # seconds; what took less is told together with others


def worth_telling(step: StepView) -> bool:
    """Tell whether a step gets a message of its own: it reported progress, failed, was skipped, tried again, or took long.

    Once true it stays true, so that a message is never left behind. What a person decided stands at its question.
    """
    if step.state in {StepState.SKIPPED, StepState.FAILED, StepState.ERROR} or step.attempt > 1 or step.progress:
        return True
    if step.note and step.state is not StepState.PENDING and step.kind is StepKind.AUTOMATIC:
        return True  # the note stands there; people's steps show it with their question
    if step.state is not StepState.DONE or step.kind is StepKind.APPROVAL:
        return False
    return bool(step.problem or step.decided_by) or _seconds(step) >= _LONG


def told_together(step: StepView) -> bool:
    """Tell whether a step stands in the message of those that ended at once."""
    return step.state is StepState.DONE and step.kind is not StepKind.APPROVAL and not worth_telling(step)


def together_message(release: ReleaseView) -> kit.Message | None:
    """Show what the steps proved that ended at once, in one message that grows; None while there is none."""
    rows = [
        f"{STEP[one.state][0]} {number}. *{escape(one.title, 100)}*: {told(one.summary, named(release), 400) or STEP[one.state][1]}"
        for number, one in enumerate(release.steps, 1)
        if told_together(one)
    ]
    if not rows:
        return None
    text = f"{escape(release.id, 40)} · {count(len(rows), 'step')} proved at once"
    return kit.message(text, kit.lines(["*Proved at once*", *rows], room=kit.ROOM))


def step_message(release: ReleaseView, step: StepView) -> kit.Message:
    """Show a step: what it does now, or what proved it, with the commands to look at it by hand."""
    number = next((n for n, one in enumerate(release.steps, 1) if one.key == step.key), 0)
    sign, word = STEP[step.state]
    head = f"{sign} *{number}. {escape(step.title, 150)}* – {word}{_took(step)}"
    said = [*_said(release, step), *([f"Note: {escape(step.note, 500)}"] if step.note else [])]
    blocks: list[Block] = [kit.section("\n".join([head, *said])), *_by_hand(step), *_when(step)]
    line = f": {said[0]}" if said else ""
    return kit.message(f"{escape(release.id, 40)} · {escape(step.title, 150)} – {word}{line}", blocks)


def _said(release: ReleaseView, step: StepView) -> list[str]:
    match step.state:
        case StepState.SKIPPED:
            by = f" by {mention(step.decided_by)}" if step.decided_by else ""
            return [f"Skipped{by}: {escape(step.reason, 500) or 'no reason given'}"]
        case StepState.DONE:
            return [told(step.summary, named(release), 600)] if step.summary else []
        case StepState.FAILED | StepState.ERROR:  # what to do about it is told to the channel, once
            return [told(step.problem.message, named(release), 400)] if step.problem else []
        case _:
            return [told(step.progress, named(release), 400)] if step.progress else []


def _took(step: StepView) -> str:
    again = f", attempt {step.attempt}" if step.attempt > 1 else ""
    return "".join(f", {one}" for one in took(step)) + again


def _seconds(step: StepView) -> float:
    if step.started_at is None or step.finished_at is None:
        return 0.0
    return (step.finished_at - step.started_at).total_seconds()


def _by_hand(step: StepView) -> list[Block]:
    """Show how to look at it, or do it, without the bot: wanted while it runs and when it failed."""
    if step.state in {StepState.DONE, StepState.SKIPPED} or not (step.commands or step.by_hand):
        return []
    rows = [by_hand(one) for one in step.commands[:_COMMANDS]]
    return kit.lines([f"By hand: {escape(step.by_hand, 300)}".strip(), *rows], room=3500)


def _when(step: StepView) -> Iterator[Block]:
    if step.started_at and step.state is StepState.RUNNING:
        yield kit.context(f"Since {when(step.started_at)}")
