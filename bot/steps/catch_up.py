"""The inactive pair knows what happened while it was filled: new datasets, edits, datasets made private, deletions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.world import JobState
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Running, Unknown
from bot.steps import excusing
from bot.steps.answers import demand_yes
from bot.steps.catching_up import IGNORED, CaughtUp, catch_up, compare, done_in_vain, equal, excusable, said, without
from bot.steps.indexing import WRONG_PAIR, into_new, newest, runs
from bot.steps.pairs import NEW_IS_WHOLE, OLD_IS_LIVE, PORTS, REPAIR, Live, known, live_of, search, some

if TYPE_CHECKING:
    from bot.domain.indices import Comparison
    from bot.domain.release import Question
    from bot.engine.step import Step, StepContext
    from bot.steps.pairs import Pairs


class CatchUp(BaseStep):
    """The update daemon keeps the live pair current and nobody the new one, and PostgreSQL cannot tell what was edited.

    So the pairs' documents are compared. A dataset of another visibility, and one that was deleted, can never be excused.
    """

    id: ClassVar[str] = "catch_up"
    title: ClassVar[str] = "Inactive pair caught up"
    by_hand: ClassVar[str] = (
        "Compare the dataset documents of both pairs: index what differs or is missing into the inactive pair, and delete "
        "from both its indices what PostgreSQL has no more. Do it until nothing differs (/release es compare)."
    )
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    ports: ClassVar[frozenset[str]] = PORTS
    holds: ClassVar[tuple[Condition, ...]] = (OLD_IS_LIVE, NEW_IS_WHOLE)
    needs: ClassVar[frozenset[str]] = frozenset({"create_inactive"})
    after: ClassVar[frozenset[str]] = frozenset({"reindex"})
    causes: ClassVar[tuple[str, ...]] = (
        *WRONG_PAIR,
        "the new code computes a field otherwise, and the review did not see it: look at one document in both pairs",
        "datasets are edited while they are indexed: retry, or once METASPACE is read-only",
    )

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when both pairs and PostgreSQL agree, but for what people excused by name."""
        pairs = known(ctx)
        if pairs is None:
            return Unknown("This release has made no inactive pair.", hint="/release abort, then start again")
        live, why = live_of(await search(ctx).indices.look(), pairs)
        if live is not Live.OLD:
            return Unknown(why or "The new pair is live already: there is nothing to catch up before.", hint=REPAIR)
        last = newest(await runs(ctx))
        if last and last.state is JobState.RUNNING:
            return Running(last.name)
        found, but = await _look(ctx, pairs)
        return Done(await _evidence(ctx, found, but)) if equal(found) else NotDone(f"{said(found)}.")

    async def ask(self, ctx: StepContext) -> Question | None:
        """Where indexing again was of no use: once more, or leave out by name what may be left out."""
        pairs = known(ctx)
        if pairs is None:
            return None
        found, _ = await _look(ctx, pairs)
        why = await done_in_vain(ctx, found)
        title = "Datasets differ though they were indexed again: what now?"
        return excusing.question(title, why, excusable(found)) if why else None

    async def run(self, ctx: StepContext) -> None:
        """Index and delete until nothing differs; raises `StepFailed` where a person must decide."""
        pairs = known(ctx)
        if pairs is None:
            raise StepFailed("This release has made no inactive pair.", hint="/release abort, then start again")
        again = demand_yes(ctx).value == excusing.AGAIN if ctx.answer else False
        found, but = await _look(ctx, pairs)
        excusing.demand_named(ctx, excusable(found))
        into = await into_new(ctx, pair=pairs.after, other=pairs.before)
        title = f"Catching {pairs.after.dataset} up for {ctx.plan.version}"
        await catch_up(ctx, into, live=pairs.before, but=but, title=title, again=again and not await _used(ctx))

    async def verify(self, ctx: StepContext) -> Evidence:
        """Compare once more. While METASPACE takes changes, one that came this very moment is the next catch-up's."""
        pairs = known(ctx)
        if pairs is None:
            raise StepFailed("This release has made no inactive pair.", hint="/release abort, then start again")
        found, but = await _look(ctx, pairs)
        if not equal(found) and not (await ctx.ports.platform.health()).can_mutate:
            raise StepFailed(f"{said(found)}.", hint="retry: what differs is indexed again")
        return await _evidence(ctx, found, but)


async def _look(ctx: StepContext, pairs: Pairs) -> tuple[Comparison, list[str]]:
    """Compare, without what people have excused: before, and in this step's answer, of what may be excused at all."""
    before = excusing.excused(ctx)
    found = await compare(ctx, live=pairs.before, new=pairs.after, but=before)
    now = set(excusing.named(ctx, excusable(found)))
    return without(found, now), sorted({*before, *now})


async def _used(ctx: StepContext) -> bool:
    """Tell whether a job was begun after the person's answer: that answer has had its effect."""
    last = newest(await runs(ctx))
    return last is not None and ctx.answer is not None and last.started_at >= ctx.answer.at


async def _evidence(ctx: StepContext, found: Comparison, but: list[str]) -> Evidence:
    jobs = await runs(ctx)
    left = f" Left out by name: {some(but)}." if but else ""
    fields = f" (without {', '.join(found.ignored)})" if found.ignored else ""
    changing = "" if equal(found) else f" But for what changed this moment: {said(found)}."
    at = ctx.ports.clock.now().isoformat()
    facts: dict[str, object] = {"jobs": [one.name for one in jobs], "excused": but, IGNORED: list(found.ignored)}
    summary = f"Both pairs agree on all {found.datasets:,} datasets{fields}.{left}{changing}"
    return Evidence(summary, {**facts, "at": at}, CaughtUp(at, but))


STEP: Step = CatchUp()
