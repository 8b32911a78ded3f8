"""What a decision means to a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import StepFailed
from bot.domain.release import DecisionKind

if TYPE_CHECKING:
    from bot.domain.release import Answer
    from bot.engine.step import StepContext

YES = frozenset({DecisionKind.APPROVE, DecisionKind.DONE})


def agreed(ctx: StepContext) -> Answer | None:
    """Return the answer if it says yes."""
    return ctx.answer if ctx.answer and ctx.answer.kind in YES else None


def demand_yes(ctx: StepContext) -> Answer:
    """Return the answer that says yes; raises `StepFailed` with the words of who said no."""
    if answer := agreed(ctx):
        return answer
    if ctx.answer and ctx.answer.kind is DecisionKind.REJECT:
        why = f": {ctx.answer.reason}" if ctx.answer.reason else ""
        raise StepFailed(f"<@{ctx.answer.by}> said no{why}.", hint="/release abort, or retry to be asked again")
    raise StepFailed(f"Nobody has confirmed: {ctx.step.title}.", hint="use the buttons of the question")
