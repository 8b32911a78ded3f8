"""Jobs that index datasets for a step: started once by name, followed, ended at once when they write to the wrong pair.

A job that died, or that a person stopped, is not begun anew: the next one is given what the world still lacks.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import StepFailed, Unavailable
from bot.domain.reindexing import Order, Target
from bot.domain.world import JobState
from bot.steps.pairs import WEB, place_of, search, some

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bot.domain.indices import Pair
    from bot.domain.reindexing import Ledger
    from bot.domain.world import JobReport
    from bot.engine.step import StepContext

ATTEMPT, OF_STEP, TODO = "attempt", "step", "todo"  # marks of a job
TARGET, INDEX, ENVIRONMENT = "target", "index", "environment"
PROBED, BEFORE = "probed", "before"  # the first datasets, and what was known of them before the job wrote anything
KIND = "reindex"  # jobs of one kind are compared in their speed
FAILURES_LEFT = 3  # the exit status of a job that did all it could, and some datasets failed
_PROBES = 3  # datasets whose writes are known, in case the first ones cannot be indexed
BLIND_LIMIT = 3600.0  # seconds without any view of the server; the job runs on there all the while
SLOWEST = 15.0  # seconds between two looks at a job that has run for long
_PATIENCE = 50.0  # a job is looked at so many times more seldom than it is old
WRONG_PAIR = (
    "METASPACE's code wrote to another index than its configuration names: look at dataset_index and annotation_index",
    "somebody edited that very dataset in the same seconds: retry",
)


@dataclass(frozen=True, slots=True)
class Job:
    """A job that goes on when its step is over. ``host`` as the settings name it."""

    job: str
    host: str
    title: str


@dataclass(frozen=True, slots=True)
class Writes:
    """What two pairs have heard of some datasets: the newest write of each, all documents of the pair, all writes of the other."""

    new: tuple[int, ...]
    documents: int
    other: tuple[int, ...]
    others_writes: int

    def text(self) -> str:
        """Return it for a job's mark."""
        return json.dumps([self.new, self.documents, self.other, self.others_writes], separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Writes:
        """Read it back."""
        new, documents, other, writes = json.loads(text)
        return cls(tuple(new), documents, tuple(other), writes)


@dataclass(frozen=True, slots=True)
class Into:
    """Where a job writes: ``pair``; ``other`` must not hear of it. ``code`` and ``configuration`` are METASPACE's."""

    target: Target
    pair: Pair
    other: Pair | None
    code: str
    configuration: str


async def into_new(ctx: StepContext, *, pair: Pair, other: Pair) -> Into:
    """Return the way into the inactive pair: the new code in its workplace. Raises `StepFailed` where that is gone."""
    place = await place_of(ctx)
    if place is None or place.pair != pair:
        raise StepFailed(
            "The new code's workplace is gone, or names another pair than the one that is to be filled.",
            hint="/release es status; abort and start again if somebody removed it",
            changed="Nothing was indexed.",
        )
    return Into(Target.INACTIVE, pair, other, place.code, place.configuration)


def into_live(ctx: StepContext, *, pair: Pair) -> Into:
    """Return the way into the live pair: METASPACE's code and configuration as deployed."""
    return Into(Target.LIVE, pair, None, ctx.environment.live_code, ctx.environment.live_configuration)


async def runs(ctx: StepContext) -> Sequence[JobReport]:
    """Return this step's jobs, oldest first; none from before the release began: a lost database may give an id twice."""
    found = await search(ctx).jobs.find(marks={"release": ctx.release, OF_STEP: ctx.step.key})
    return [one for one in found if ctx.started_at is None or one.started_at >= ctx.started_at]


def newest(found: Sequence[JobReport]) -> JobReport | None:
    """Return the last job, if there was any."""
    return found[-1] if found else None


async def ledger_of(ctx: StepContext, run: JobReport | None) -> Ledger | None:
    """Return how far the order of a job has come."""
    return await search(ctx).reindexing.ledger(name=run.order) if run else None


def complete(run: JobReport | None, ledger: Ledger | None) -> bool:
    """Tell whether a job has done all that can be done; what failed stands in the ledger. An exit status alone proves nothing."""
    ended = run is not None and run.state is JobState.FINISHED and run.exit_status in (0, FAILURES_LEFT)
    return ended and ledger is not None and ledger.ended


def ended_now(ctx: StepContext, run: JobReport | None) -> bool:
    """Tell whether a job ended in this very attempt, and nobody has said since what is to come of it."""
    if run is None or run.state is not JobState.FINISHED or run.marks.get(ATTEMPT) != str(ctx.attempt):
        return False
    return ctx.answer is None or ctx.answer.at <= (run.finished_at or run.heartbeat_at)


def digest(datasets: Collection[str]) -> str:
    """Return a name for a set of datasets."""
    return hashlib.sha256("\n".join(sorted(datasets)).encode()).hexdigest()[:16]


async def index(ctx: StepContext, into: Into, datasets: Sequence[str], *, title: str, goes_on: bool = False) -> Ledger:
    """Index these datasets as one job, newest first, and return how it ended. Raises `StepFailed` when it did not complete."""
    return await follow(ctx, into, await start(ctx, into, datasets, title=title, goes_on=goes_on), title=title)


async def start(ctx: StepContext, into: Into, datasets: Sequence[str], *, title: str, goes_on: bool = False) -> str:
    """Start the next job of this step, and return its name. With ``goes_on`` it leaves out what this step's last one has done.

    What is known of the first datasets' documents before it stands in the job's marks, so the probe outlives a restart.
    """
    found, first = search(ctx), tuple(datasets[:_PROBES])
    writes = await _writes(ctx, into, first)
    marks = {
        "release": ctx.release,
        OF_STEP: ctx.step.key,
        ATTEMPT: str(ctx.attempt),
        ENVIRONMENT: ctx.environment.name,
    }
    marks |= {TARGET: str(into.target), INDEX: into.pair.dataset, TODO: digest(datasets)}
    marks |= {PROBED: " ".join(first), BEFORE: writes.text()}
    order = Order(
        into.target,
        tuple(datasets),
        into.code,
        into.configuration,
        into.pair,
        workers=ctx.environment.reindex_workers,
        marks=marks,
    )
    spec = await found.reindexing.order(name=await _order_name(ctx, goes_on=goes_on), order=order)
    told = {**_facts(ctx, spec.name, title), "follows": followed(spec.name, title)}
    await ctx.report(f"{title}: {len(datasets):,} datasets, as {spec.name}", told)
    await found.jobs.start(spec=spec)
    return spec.name


async def _order_name(ctx: StepContext, *, goes_on: bool) -> str:
    """Return the order's name: the last one's where its work goes on, else the next that was never used.

    One that did not come past its first dataset is not gone on with: its probe would be asked for again, with nothing written.
    """
    last = newest(await runs(ctx))
    if goes_on and last is not None:
        ledger = await ledger_of(ctx, last)
        if ledger is not None and ledger.done > 1:
            return last.order
    every = await search(ctx).jobs.find(marks={"release": ctx.release, OF_STEP: ctx.step.key})
    return f"{ctx.mark}-{len({one.order for one in every}) + 1}"


async def follow(ctx: StepContext, into: Into, name: str, *, title: str) -> Ledger:
    """Watch a job until it has ended, prove its first write, and return its ledger.

    A server that is out of sight for a while is waited for: the job does not need us. Raises `StepFailed` for a job that
    died, failed or wrote to the wrong pair, `Unavailable` after `BLIND_LIMIT`.
    """
    clock, told, began = ctx.ports.clock, "", ctx.ports.clock.monotonic()
    seen_at = began
    while True:
        try:
            run, ledger = await looked(ctx, name)
            await prove_write(ctx, into, run, ledger)
        except Unavailable as error:
            if clock.monotonic() - seen_at > BLIND_LIMIT:
                raise
            said = f"{title} is out of sight: {error.message}"
        else:
            seen_at = clock.monotonic()
            if run.state is not JobState.RUNNING:
                return _ended(ctx, run, ledger)
            said = _progress(title, ledger)
        if said != told:
            await ctx.report(said, _facts(ctx, name, title))
            told = said
        age = clock.monotonic() - began
        await clock.sleep(seconds=min(SLOWEST, max(ctx.environment.poll, age / _PATIENCE)))


async def looked(ctx: StepContext, name: str) -> tuple[JobReport, Ledger | None]:
    """Look at a job first and at its ledger after, so that nothing of an ended one is missed."""
    run = await search(ctx).jobs.look(name=name)
    if run is None:
        raise StepFailed(f"The web server knows no job {name}.", hint="retry: what is missing is indexed by a new one")
    return run, await ledger_of(ctx, run)


async def prove_write(ctx: StepContext, into: Into, run: JobReport, ledger: Ledger | None) -> None:
    """Let a job that waits for its probe go on, if its first dataset landed in the right pair; else end it at once.

    Right: the pair's own document of that dataset was written anew, or its documents grew; and the other pair has heard
    nothing of that dataset. Raises `StepFailed` once the job is ended.
    """
    if ledger is None or not ledger.awaits_probe or run.state is not JobState.RUNNING:
        return
    if why := await _wrong_write(ctx, into, run):
        await search(ctx).jobs.stop(name=run.name)
        raise StepFailed(
            f"{why} So {run.name} was ended after its first dataset.",
            hint=f"look at its log: {search(ctx).jobs.attach_line(name=run.name)}; retry once the cause is known",
            changed="At most that dataset was written by it.",
        )
    await search(ctx).reindexing.let_go_on(name=run.order)


async def _writes(ctx: StepContext, into: Into, datasets: Sequence[str]) -> Writes:
    indices = search(ctx).indices

    async def newest_of(pair: Pair | None) -> tuple[int, ...]:
        names = pair.names if pair else ()
        return tuple([await indices.newest_write(index=name, dataset=one) for one in datasets for name in names])

    documents = sum([(await indices.probe(index=name)).documents for name in into.pair.names])
    others = [(await indices.probe(index=name)).writes for name in into.other.names] if into.other else []
    return Writes(await newest_of(into.pair), documents, await newest_of(into.other), sum(others))


async def _wrong_write(ctx: StepContext, into: Into, run: JobReport) -> str:
    """Say why the first write was wrong; empty when it was right.

    Where none of the known datasets was the first, because they could not be indexed, the other pair must have heard nothing at all.
    """
    first = run.marks.get(PROBED, "").split()
    before, now = Writes.read(run.marks[BEFORE]), await _writes(ctx, into, first)
    landed = now.new != before.new
    heard = now.other != before.other or (not landed and now.others_writes != before.others_writes)
    if into.other and heard:
        return f"{some(first)}: the first write went to {into.other.dataset}, the live pair, and not to {into.pair.dataset} alone."
    if landed or now.documents > before.documents:
        return ""
    return f"The first dataset did not arrive in {' and '.join(into.pair.names)}."


def _ended(ctx: StepContext, run: JobReport, ledger: Ledger | None) -> Ledger:
    if complete(run, ledger) and ledger is not None:
        return ledger
    far = f" after {ledger.done:,} of {ledger.total:,} datasets" if ledger else ""
    how = "died and left no exit status" if run.state is JobState.LOST else f"ended with exit status {run.exit_status}"
    raise StepFailed(
        f"{run.name} {how}{far}.",
        hint=f"its log: {search(ctx).jobs.attach_line(name=run.name)}; a retry goes on with what is missing",
        changed="What it has indexed stays.",
    )


def _progress(title: str, ledger: Ledger | None) -> str:
    """Say how far it is in whole percent, so that days of work are some hundred sentences."""
    if ledger is None or not ledger.total:
        return f"{title}: starting"
    done = 100 * ledger.done // ledger.total
    failed = f", {len(ledger.failed)} failed" if ledger.failed else ""
    slowed = f"; {ledger.slowed}" if ledger.slowed else ""
    return f"{title}: {done} % of {ledger.total:,} datasets{failed}{slowed}"


def _facts(ctx: StepContext, name: str, title: str) -> dict[str, object]:
    return {"job": name, "host": WEB, "title": title, "attach": search(ctx).jobs.attach_line(name=name)}


def followed(name: str, title: str) -> dict[str, str]:
    """Return the fact by which a job is followed from now on: told while it runs, and owed until it has ended."""
    return {"host": WEB, "name": name, "kind": KIND, "title": title}


def words_of(ledger: Ledger, *, but: Collection[str] = ()) -> str:
    """Return the datasets that failed, with METASPACE's words for the first few."""
    left = [one for one in ledger.failed if one.dataset not in but]
    said = "; ".join(f"{one.dataset}: {one.said}" for one in left[:3])
    return f"{len(left)} datasets failed ({some([one.dataset for one in left])}). {said}" if left else ""
