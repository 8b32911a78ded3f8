"""One step in the release's thread: a single message that follows it from its first progress to its proof."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.domain.release import StepState
from bot.views import kit
from bot.views.dashboard import named, problem_blocks
from bot.views.states import STEP
from bot.views.text import code, command, count, duration, escape, mention, one_line, shorten, told, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from slack_sdk.models.blocks import Block

    from bot.domain.readmodel import ReleaseView, StepView

_FACTS, _COMMANDS = 8, 6
_SHA = re.compile(r"[0-9a-f]{40}")


def worth_telling(step: StepView) -> bool:
    """Tell whether a step has something for the thread: progress, a problem, or an end. Questions have their own message."""
    return step.state in {StepState.DONE, StepState.SKIPPED, StepState.FAILED, StepState.ERROR} or bool(step.progress)


def step_message(release: ReleaseView, step: StepView) -> kit.Message:
    """Show a step: what it does now, or what proved it, with the commands to look at it by hand."""
    number = next((n for n, one in enumerate(release.steps, 1) if one.key == step.key), 0)
    sign, word = STEP[step.state]
    head = f"{sign} *{number}. {escape(step.title, 150)}* – {word}{_took(step)}"
    said = _said(release, step)
    blocks: list[Block] = [kit.section("\n".join([head, *said]))]
    if step.problem and step.state in {StepState.FAILED, StepState.ERROR}:
        blocks += problem_blocks(step.problem, named(release))
    blocks += [*_by_hand(step), *_facts(step.facts), *_when(step)]
    line = f": {said[0]}" if said else ""
    return kit.message(f"{escape(release.id, 40)} · {escape(step.title, 150)} – {word}{line}", blocks)


def _said(release: ReleaseView, step: StepView) -> list[str]:
    match step.state:
        case StepState.SKIPPED:
            by = f" by {mention(step.decided_by)}" if step.decided_by else ""
            return [f"Skipped{by}: {escape(step.reason, 500) or 'no reason given'}"]
        case StepState.DONE:
            return [told(step.summary, named(release), 600)] if step.summary else []
        case StepState.FAILED | StepState.ERROR:
            return []
        case _:
            return [told(step.progress, named(release), 400)] if step.progress else []


def _took(step: StepView) -> str:
    again = f", attempt {step.attempt}" if step.attempt > 1 else ""
    if step.started_at and step.finished_at:
        return f", {duration((step.finished_at - step.started_at).total_seconds())}{again}"
    return again


def _by_hand(step: StepView) -> list[Block]:
    """Show how to look at it, or do it, without the bot: wanted while it runs and when it failed."""
    if step.state in {StepState.DONE, StepState.SKIPPED} or not step.commands:
        return []
    rows = [f"{code(one.host, 40)} {command(one.argv)}" for one in step.commands[:_COMMANDS]]
    return kit.lines(["By hand:", *rows], room=3500)


def _facts(facts: Mapping[str, object]) -> Iterator[Block]:
    shown = [(name, value) for name, value in facts.items() if isinstance(value, str | int | float | list | tuple)]
    if shown:
        words = [f"{escape(name.replace('_', ' '), 40)}: {code(_value(value), 120)}" for name, value in shown[:_FACTS]]
        yield kit.context(" · ".join(words))


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        few = ", ".join(one_line(str(one)) for one in value[:4])
        return f"{few} … {count(len(value), 'in all', 'in all')}" if value[4:] else few or "none"
    text = one_line(str(value))
    return text[:12] if _SHA.fullmatch(text) else shorten(text, 120) or "none"


def _when(step: StepView) -> Iterator[Block]:
    if step.started_at and step.state is StepState.RUNNING:
        yield kit.context(f"Since {when(step.started_at)}")
