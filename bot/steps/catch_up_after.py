"""Compared once more after the swap: what the update daemon may have written to the old pair until then is carried over."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.world import JobState
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Running, Unknown
from bot.steps import excusing
from bot.steps.catching_up import CaughtUp, behind, catch_up, compare, done_in_vain, equal, said
from bot.steps.indexing import complete, into_live, ledger_of, newest, runs
from bot.steps.pairs import NEW_IS_LIVE, PORTS, REPAIR, Live, gone, known, live_of, search, some

if TYPE_CHECKING:
    from bot.domain.indices import Comparison
    from bot.engine.step import Step, StepContext
    from bot.steps.pairs import Pairs


class CatchUpAfter(BaseStep):
    """PostgreSQL is the truth for both, so indexing a dataset once more is never wrong; the old pair only says which."""

    id: ClassVar[str] = "catch_up_after"
    title: ClassVar[str] = "Compared once more after the swap"
    by_hand: ClassVar[str] = (
        "Compare the dataset documents of both pairs again; index what differs into the live one, and delete from it what "
        "PostgreSQL has no more."
    )
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "approver"
    changes_live: ClassVar[bool] = True
    ports: ClassVar[frozenset[str]] = PORTS
    holds: ClassVar[tuple[Condition, ...]] = (NEW_IS_LIVE,)
    needs: ClassVar[frozenset[str]] = frozenset({"create_inactive", "swap"})
    after: ClassVar[frozenset[str]] = frozenset({"deploy", "prove_live"})
    causes: ClassVar[tuple[str, ...]] = (
        "a dataset cannot be indexed by the new code: its words stand in the message",
        "the deployed code or configuration is another than the one that filled the pair",
    )

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when the pairs agree, or when what differs was indexed again by a job of this step and nothing is hidden."""
        pairs = known(ctx)
        if pairs is None:
            return Unknown("This release has made no new pair.", hint="/release es status")
        seen = await search(ctx).indices.look()
        live, why = live_of(seen, pairs)
        if live is not Live.NEW:
            return Unknown(why or "The new pair is not live.", hint=REPAIR)
        if missing := gone(seen, pairs.old, pairs.old_uuids):
            return Unknown(
                f"{' and '.join(missing)} is gone: there is nothing to compare with any more.",
                hint="/release es compare; the full update comes anyway, so an approver may skip this",
            )
        last = newest(await runs(ctx))
        if last and last.state is JobState.RUNNING:
            return Running(last.name)
        found = await self._compare(ctx, pairs)
        if equal(found) or await _carried_over(ctx, found):
            return Done(await _evidence(ctx, found))
        return NotDone(f"{said(found)}.")

    async def run(self, ctx: StepContext) -> None:
        """Index into the live pair what differs, and delete what is gone; raises `StepFailed` for datasets that failed."""
        pairs = known(ctx)
        if pairs is None:
            raise StepFailed("This release has made no new pair.", hint="/release es status")
        into = into_live(ctx, pair=pairs.after)
        title = f"Carrying late changes over to {pairs.after.dataset} for {ctx.plan.version}"
        try:
            await catch_up(ctx, into, live=pairs.before, but=excusing.excused(ctx), title=title)
        except StepFailed:
            if not await _carried_over(ctx, await self._compare(ctx, pairs)):
                raise

    async def verify(self, ctx: StepContext) -> Evidence:
        """Compare once more."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case NotDone(why) | Unknown(why):
                raise StepFailed(why, hint="retry: what differs is indexed again")
            case _:
                raise StepFailed("A job of this step still runs.", hint="retry: it is followed")

    async def _compare(self, ctx: StepContext, pairs: Pairs) -> Comparison:
        return await compare(ctx, live=pairs.before, new=pairs.after, but=excusing.excused(ctx))


async def _carried_over(ctx: StepContext, found: Comparison) -> bool:
    """Tell whether what differs was indexed from PostgreSQL since: then the old pair is what is stale.

    Not where something is missing, failed, or should not be there.
    """
    if found.missing or found.surplus or found.counts or not await done_in_vain(ctx, found):
        return False
    last = newest(await runs(ctx))
    ledger = await ledger_of(ctx, last)
    return complete(last, ledger) and ledger is not None and not ledger.failed


async def _evidence(ctx: StepContext, found: Comparison) -> Evidence:
    jobs = await runs(ctx)
    newer = behind(found)
    late = f" {len(newer)} were indexed again from PostgreSQL: {some(newer)}." if newer else ""
    at = ctx.ports.clock.now().isoformat()
    facts: dict[str, object] = {"jobs": [one.name for one in jobs], "newer": newer}
    summary = f"The new pair has all {found.datasets:,} datasets as the old one had them at the end.{late}"
    return Evidence(summary, facts, CaughtUp(at, excusing.excused(ctx)))


STEP: Step = CatchUpAfter()
