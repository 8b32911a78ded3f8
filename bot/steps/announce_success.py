"""The success is announced, with how long it took and how long the site was away."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, ClassVar

from bot.domain.planning import rolls_back
from bot.steps.announcing import Announcing, changes, headline, subject
from bot.steps.indexing import Job
from bot.steps.words import spoken

if TYPE_CHECKING:
    from bot.engine.step import Measured, Step, StepContext


class AnnounceSuccess(Announcing):
    """Only after the proof, and never without saying what was not measured."""

    id: ClassVar[str] = "announce_success"
    title: ClassVar[str] = "Success announced"
    by_hand: ClassVar[str] = "Tell the release channel that the release is live, with duration and downtime."
    needs: ClassVar[frozenset[str]] = frozenset({"deploy", "prove_live"})
    after: ClassVar[frozenset[str]] = frozenset({"announce_start", "processing_back", "read_write", "es_update"})

    async def text(self, ctx: StepContext) -> str:
        """Name version, place, duration, downtime and what is new."""
        measured = await ctx.measured()
        took = f" It took {spoken(measured.duration)}; {downtime(measured)}." if measured else ""
        unproved = "" if "prove_live" in ctx.outputs else " The proof that it runs was left out."
        if rolls_back(ctx.plan):
            back = f"*METASPACE {ctx.plan.version}* is live on {ctx.plan.environment} again"
            first = f"{back}, rolled back from {ctx.plan.previous_version}.{took}{unproved}"
            return "\n".join([first, f"Taken back: {changes(ctx)}"])
        first = f"*{subject(ctx.plan)}* is live on {ctx.plan.environment}.{took}{unproved}"
        update = _update(ctx)
        return "\n".join([first, *update, *headline(ctx), f"Changes: {changes(ctx)}"])

    async def facts(self, ctx: StepContext) -> dict[str, object]:
        """Return what was measured, and what the release still owes."""
        measured = await ctx.measured()
        return {**(asdict(measured) if measured else {}), "owes": owed(ctx)}


def _update(ctx: StepContext) -> list[str]:
    """Say that the update of all datasets runs, and that its end is told too."""
    if "es_update" not in ctx.outputs:
        return []
    job = ctx.output("es_update", Job)
    return [f"All datasets are being indexed once more ({job.job}); I say here when that has ended."]


def downtime(measured: Measured) -> str:
    """Say how long the site was away, and how much of the time nobody looked."""
    if measured.downtime is None:
        return "downtime was not measured"
    unseen = f" ({spoken(measured.unwatched)} not watched)" if measured.unwatched >= 1 else ""
    return f"{spoken(measured.downtime) if measured.downtime else 'no'} downtime{unseen}"


def owed(ctx: StepContext) -> dict[str, str]:
    """Return the loose ends that the kind of release leaves behind."""
    ends: dict[str, str] = {}
    if ctx.plan.hotfix:
        branches = ctx.environment.release_branch, ctx.environment.master_branch
        ends["merge_back"] = f"merge {branches[0]} back into {branches[1]}"
    if ctx.plan.partial:
        ends["partial"] = f"only {', '.join(ctx.plan.tags)} run {ctx.plan.version}; the rest was not deployed"
    return ends


STEP: Step = AnnounceSuccess()
