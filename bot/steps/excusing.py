"""Datasets that a person excuses by name: from being in the new pair, whole and as in the live one. Never from being hidden."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.domain.errors import StepFailed
from bot.domain.release import Choice, DecisionKind, Question
from bot.steps.answers import agreed
from bot.steps.pairs import some
from bot.steps.words import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from bot.engine.step import StepContext

EXCUSE, AGAIN = "excuse", "again"
_GIVERS = ("reindex", "catch_up")  # the steps whose outputs name excused datasets
_SHOWN = 60  # names in a question
_WORD = re.compile(r"[\w-]+")


def excused(ctx: StepContext) -> list[str]:
    """Return what people have excused in this release so far."""
    found: set[str] = set()
    for step in _GIVERS:
        found.update(ctx.outputs.get(step, {}).get("excused", ()))
    return sorted(found)


def named(ctx: StepContext, datasets: Iterable[str]) -> list[str]:
    """Return those of the datasets that the answer of this step names."""
    answer = agreed(ctx)
    if answer is None or answer.value != EXCUSE:
        return []
    words = set(_WORD.findall(answer.reason))
    return sorted(one for one in datasets if one in words)


def demand_named(ctx: StepContext, datasets: Collection[str]) -> None:
    """Raise `StepFailed` where a person excuses datasets, and does not name every one of them."""
    answer = agreed(ctx)
    left = sorted(set(datasets) - set(named(ctx, datasets)))
    if answer is not None and answer.value == EXCUSE and left:
        raise StepFailed(
            f"<@{answer.by}> did not name {len(left)} of {len(datasets)} datasets: {some(left)}.",
            hint="retry, and name each of them in the reason, as it stands there",
            changed="Nothing was changed.",
        )


def question(title: str, why: str, datasets: Collection[str]) -> Question:
    """Offer to index them again, to leave them out by name, or to stop."""
    return Question(
        title=title,
        detail=f"{why}\nAll of them: {listed(sorted(datasets), most=_SHOWN)}",
        choices=(
            Choice(DecisionKind.APPROVE, "Index them again", value=AGAIN),
            Choice(DecisionKind.APPROVE, "Leave out: name each, and why", form="reason", value=EXCUSE, danger=True),
            Choice(DecisionKind.REJECT, "Stop here", form="reason"),
        ),
    )
