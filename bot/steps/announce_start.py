"""The start is announced, before anything that is live changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bot.domain.planning import rolls_back
from bot.steps.announcing import Announcing, changes, headline, subject

if TYPE_CHECKING:
    from bot.engine.step import Step, StepContext


class AnnounceStart(Announcing):
    """Says what is coming and where from."""

    id: ClassVar[str] = "announce_start"
    title: ClassVar[str] = "Start announced"
    by_hand: ClassVar[str] = "Tell the release channel that the deployment begins, and what it brings."
    after: ClassVar[frozenset[str]] = frozenset({"notes", "workload", "drain"})

    async def text(self, ctx: StepContext) -> str:
        """Name version, place, what is new and the range."""
        plan = ctx.plan
        if rolls_back(plan):
            first = f"Rolling {plan.environment} back from {plan.previous_version} to *METASPACE {plan.version}* now."
            return "\n".join([f"{first} Services restart one after another.", f"Taken back: {changes(ctx)}"])
        before = f" It replaces {plan.previous_version}." if plan.previous_version else ""
        first = f"Releasing *{subject(plan)}* to {plan.environment} now.{before} Services restart one after another."
        if any(one.step == "read_only" for one in plan.steps):
            first = f"{first} Until they have, METASPACE can be looked at, and not changed."
        return "\n".join([first, *headline(ctx), f"Changes: {changes(ctx)}"])


STEP: Step = AnnounceStart()
