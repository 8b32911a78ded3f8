"""All datasets are indexed into the inactive pair by the new code. It takes days, and is proved after the first dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.plan import Command
from bot.domain.world import JobState
from bot.engine.index_looks import compared
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Partial, Running, Unknown
from bot.steps import excusing
from bot.steps.answers import demand_yes
from bot.steps.indexing import (
    WRONG_PAIR,
    complete,
    ended_now,
    follow,
    index,
    into_new,
    ledger_of,
    newest,
    runs,
    words_of,
)
from bot.steps.pairs import NEW_IS_WHOLE, OLD_IS_LIVE, PORTS, REPAIR, WEB, Live, gone, known, live_of, search, some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.plan import Plan, PlannedStep
    from bot.domain.reindexing import Ledger
    from bot.domain.release import Question
    from bot.domain.world import JobReport
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports
    from bot.steps.pairs import Pairs


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What the inactive pair was given. ``excused``: datasets that a person left out by name."""

    datasets: int
    jobs: list[str]
    excused: list[str]


class Reindex(BaseStep):
    """What became of datasets meanwhile (new ones, edits, deletions) is the catch-up's."""

    id: ClassVar[str] = "reindex"
    title: ClassVar[str] = "All datasets indexed into the inactive pair"
    by_hand: ClassVar[str] = (
        "In tmux and under nice: the new code's update_es_index with --config naming the copy whose index names are the "
        "inactive pair's own, and --ds-file with all ids. Never --inactive, which writes to the live pair. Look after the "
        "first dataset whether the inactive pair grew."
    )
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    ports: ClassVar[frozenset[str]] = PORTS
    holds: ClassVar[tuple[Condition, ...]] = (OLD_IS_LIVE, NEW_IS_WHOLE)
    needs: ClassVar[frozenset[str]] = frozenset({"workplace", "create_inactive"})
    causes: ClassVar[tuple[str, ...]] = (
        *WRONG_PAIR,
        "the new code reads columns that a migration of this very release adds: it cannot index before the deploy",
        "Elasticsearch refused writes: a full disk, or too many at once; its words stand in the job's log",
    )

    def commands(
        self,
        plan: Plan,
        step: PlannedStep,  # noqa: ARG002  # the contract's parameters
        environment: StepEnvironment,  # noqa: ARG002
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return how it is done by hand, in the new code's engine folder."""
        script = ("nice", "python", "-m", "scripts.update_es_index", "--config", "COPY.json", "--ds-file", "IDS")
        session = ("tmux", "new-session", "-s", f"reindex-{plan.version}")
        return (Command(WEB, session), Command(WEB, script))

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when a job has ended with nothing failed but what a person excused, or when the pair has every dataset."""
        pairs = known(ctx)
        if pairs is None:
            return Unknown("This release has made no inactive pair.", hint="/release abort, then start again")
        if why := await _astray(ctx, pairs):
            return Unknown(why, hint=REPAIR)
        found = await runs(ctx)
        last = newest(found)
        return Running(last.name) if last and last.state is JobState.RUNNING else await _standing(ctx, pairs, found)

    async def ask(self, ctx: StepContext) -> Question | None:
        """Where datasets failed for good: index them again, or leave them out by name."""
        last = newest(await runs(ctx))
        ledger = await ledger_of(ctx, last)
        if ledger is None or not complete(last, ledger) or not ledger.failed:
            return None
        failed = [one.dataset for one in ledger.failed]
        return excusing.question(f"{len(failed)} datasets could not be indexed: what now?", words_of(ledger), failed)

    async def run(self, ctx: StepContext) -> None:
        """Attach to a running job, else start one over what is missing, and watch it.

        What ended badly in this same attempt is reported, not begun again: that is for a person to say (retry). A job that
        died without a word (a reboot, say) is followed by the next.
        """
        pairs = known(ctx)
        if pairs is None:
            raise StepFailed("This release has made no inactive pair.", hint="/release abort, then start again")
        into = await into_new(ctx, pair=pairs.after, other=pairs.before)
        title = _title(ctx, pairs)
        last = newest(await runs(ctx))
        if last and (last.state is JobState.RUNNING or ended_now(ctx, last)):
            _demand_all(ctx, await follow(ctx, into, last.name, title=title))
            return
        if ctx.answer is not None:
            demand_yes(ctx)
            ledger = await ledger_of(ctx, last)
            excusing.demand_named(ctx, [one.dataset for one in ledger.failed] if ledger else [])
        if await _lacking(ctx, pairs):
            ids = await search(ctx).datasets.dataset_ids()
            _demand_all(ctx, await index(ctx, into, ids, title=title, goes_on=True))

    async def verify(self, ctx: StepContext) -> Evidence:
        """Read the ledger."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case NotDone(why) | Unknown(why):
                raise StepFailed(why, hint="retry: what is indexed is not indexed again")
            case _:
                raise StepFailed("It is not complete.", hint="retry: it goes on with what is missing")


async def _standing(ctx: StepContext, pairs: Pairs, found: Sequence[JobReport]) -> CheckResult:
    """Judge what jobs that have ended left, or what is in the pair where none has."""
    last, ledger = newest(found), await ledger_of(ctx, newest(found))
    if complete(last, ledger) and ledger is not None:
        left = [one.dataset for one in ledger.failed]
        if set(left) <= set(excusing.named(ctx, left)):
            return Done(await _evidence(ctx, found, pairs, left))
        return NotDone(words_of(ledger))
    lacking = await _lacking(ctx, pairs)
    if not lacking:
        return Done(await _evidence(ctx, found, pairs, []))
    if ledger is not None:
        return Partial(Evidence(f"{ledger.done:,} of {ledger.total:,} datasets are indexed.", {"jobs": len(found)}))
    return NotDone(f"{len(lacking):,} datasets are not in the inactive pair.")


async def _astray(ctx: StepContext, pairs: Pairs) -> str:
    """Say why the inactive pair is not what this release may write to."""
    seen = await search(ctx).indices.look()
    live, why = live_of(seen, pairs)
    if missing := gone(seen, pairs.new, pairs.new_uuids):
        return f"{' and '.join(missing)} is not the very index that this release made: dropped, closed or made anew."
    return why or ("The new pair is live already." if live is Live.NEW else "")


async def _lacking(ctx: StepContext, pairs: Pairs) -> list[str]:
    """Return what is not, or not wholly, in the inactive pair, newest first."""
    found = search(ctx)
    seen = await compared(found.indices, found.datasets, live=pairs.before, new=pairs.after)
    return sorted({*seen.missing, *seen.counts}, reverse=True)


def _demand_all(ctx: StepContext, ledger: Ledger) -> None:
    left = [one.dataset for one in ledger.failed]
    if set(left) - set(excusing.named(ctx, left)):
        raise StepFailed(
            words_of(ledger),
            hint="retry: you are asked whether to index them again, or to leave them out by name",
            changed=f"The other {ledger.done:,} of {ledger.total:,} are indexed.",
        )


def _title(ctx: StepContext, pairs: Pairs) -> str:
    return f"Indexing into {pairs.after.dataset} for {ctx.plan.version}"


async def _evidence(ctx: StepContext, found: Sequence[JobReport], pairs: Pairs, left: list[str]) -> Evidence:
    probes = {name: (await search(ctx).indices.probe(index=name)).documents for name in pairs.new}
    holds = ", ".join(f"{name} {documents:,}" for name, documents in probes.items())
    but = f" Left out by <@{ctx.answer.by}>: {some(left)}." if left and ctx.answer else ""
    ids = await search(ctx).datasets.dataset_ids()
    facts: dict[str, object] = {"documents": probes, "excused": left}
    summary = f"{len(ids) - len(left):,} datasets are indexed ({holds} documents).{but}"
    return Evidence(summary, facts, Reindexed(len(ids), [one.name for one in found], left))


STEP: Step = Reindex()
