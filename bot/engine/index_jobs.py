"""Jobs that index datasets: those that run, and new ones that a person asks for, outside of any release."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from bot.domain.errors import Conflict, Refused, Unavailable, WrongUse
from bot.domain.index_report import Choice, RunningJob, Started, release_of
from bot.domain.jobs import Wanted
from bot.domain.reindexing import Order, Target
from bot.domain.world import JobState
from bot.engine import index_probe
from bot.engine.index_guards import some
from bot.engine.index_looks import compared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.index_report import Candidate, Selection, Standing
    from bot.domain.indices import Pair
    from bot.domain.readmodel import Person
    from bot.domain.reindexing import Workplace
    from bot.ports import DatasetDatabase, Jobs, Ports, Reindexing, SearchIndices

TARGET, INDEX, ENVIRONMENT, BY, CHOICE = "target", "index", "environment", "by", "choice"  # marks of a job
OWN = "es-"  # how the workplaces begin that belong to no release
Port = TypeVar("Port")


class Follower(Protocol):
    """Who tells people how a job goes until it has ended, whatever happens to this process (`bot.engine.following.Following`)."""

    async def follow(self, job: Wanted, /, *, environment: str, by: str = "") -> object:
        """Follow a job from now on; it need not be there yet. Harmless when it is followed already."""


@dataclass(frozen=True, slots=True)
class IndexArea:
    """One environment: its ports, and the settings of its reindexing as plain values.

    ``code`` and ``configuration`` are METASPACE's engine and its configuration as deployed, on the web server.
    """

    name: str
    ports: Ports
    code: str
    configuration: str
    workers: int = 2
    most_workers: int = 8

    @property
    def indices(self) -> SearchIndices:
        """Elasticsearch; raises `Unavailable` where the settings name none."""
        return _there(self.ports.indices, self.name, "elasticsearch")

    @property
    def datasets(self) -> DatasetDatabase:
        """METASPACE's database; raises `Unavailable` where the settings name none."""
        return _there(self.ports.datasets, self.name, "metaspace_database")

    @property
    def reindexing(self) -> Reindexing:
        """METASPACE's scripts; raises `Unavailable` where the settings name no Elasticsearch."""
        return _there(self.ports.reindexing, self.name, "elasticsearch")

    @property
    def jobs(self) -> Jobs:
        """The web server's long processes."""
        return _there(self.ports.web_jobs, self.name, "elasticsearch")


def _there(port: Port | None, environment: str, setting: str) -> Port:
    if port is None:
        raise Unavailable(
            f"The settings name no {setting} for {environment}.",
            hint=f"environments.{environment}.{setting}, then releasebot doctor",
            changed="Nothing.",
        )
    return port


async def running(area: IndexArea) -> tuple[RunningJob, ...]:
    """Return the jobs of the web server that index datasets and have not ended, whoever started them."""
    found = []
    for one in await area.jobs.find(marks={}):
        runs = one.state is JobState.RUNNING
        ledger = await area.reindexing.ledger(name=one.order) if runs else None
        if runs and (ledger is not None or TARGET in one.marks):
            counts = (ledger.done, ledger.total) if ledger else (None, None)
            line = area.jobs.attach_line(name=one.name)
            target, index = one.marks.get(TARGET, ""), one.marks.get(INDEX, "")
            found.append(RunningJob(one.name, one.started_at, line, target, index, *counts))
    return tuple(found)


def demand_none_runs(area: IndexArea, jobs: Sequence[RunningJob], *, what: str) -> None:
    """Raise `Conflict` while one indexes."""
    if jobs:
        raise Conflict(
            f"{jobs[0].name} is indexing on {area.name} since {jobs[0].since:%Y-%m-%d %H:%M} UTC; {what}.",
            hint=f"look at it: {jobs[0].line}; to end it: /release jobs",
            changed="Nothing.",
        )


async def workplace_of(area: IndexArea, one: Candidate, *, release: str = "") -> Workplace:
    """Return the workplace of the code that a pair is made with: a release's, else one for the code deployed, made where it is not there.

    Without ``release``, the indices' own mark says whose. Raises `WrongUse` for a named release that has no workplace, `Refused`
    where that names the other pair.
    """
    marked = next((found for index in one.indices if index and (found := release_of(index.made_by))), "")
    place = await area.reindexing.workplace(release=release or marked) if release or marked else None
    if place is not None and place.pair == one.pair:
        return place
    if release:
        if place is None:
            raise WrongUse(
                f"{release} has no workplace on the web server; nothing was done.", hint="/release es status"
            )
        raise Refused(
            f"{release}'s workplace is made for {place.pair.dataset}, and that is not the inactive pair.",
            hint="/release es status",
            changed="Nothing.",
        )
    commit = (await area.ports.server.checkout()).commit
    return await area.reindexing.make_workplace(release=f"{OWN}{one.side}-{commit[:12]}", commit=commit, pair=one.pair)


class IndexJobs:
    """Starts jobs. The name of one follows from the request, so a request that is begun again finds its own."""

    def __init__(self, follower: Follower | None = None) -> None:
        """``follower`` tells people how it goes; without one, the answer alone does."""
        self._follower = follower

    async def start(
        self,
        area: IndexArea,
        standing: Standing,
        target: Target,
        wanted: Selection,
        *,
        by: Person,
        source: str,
    ) -> Started:
        """Choose the datasets, write the order, start the job, have it followed."""
        name = f"es-{hashlib.sha256(f'{area.name} {source}'.encode()).hexdigest()[:12]}"
        live, other = _pairs(standing)
        pair = live.pair if target is Target.LIVE else _filled(other).pair
        if await area.jobs.look(name=name) is not None:
            return await self._attached(area, name, pair)
        others = [one for one in await running(area) if one.name != name]
        demand_none_runs(area, others, what="a second job would work against it")
        code, configuration = await self._place(area, other, target)
        workers = _workers(area, wanted)
        chosen, gone = await self._chosen(area, pair, live.pair, target, wanted)
        marks = {
            TARGET: str(target),
            INDEX: pair.dataset,
            ENVIRONMENT: area.name,
            BY: by.slack,
            CHOICE: str(wanted.choice),
        }
        inactive = target is Target.INACTIVE
        if inactive:
            marks |= await index_probe.before(area.indices, pair, live.pair, chosen[0])
        order = Order(target, chosen, code, configuration, pair, workers=workers, probe=inactive, marks=marks)
        forgotten = await area.indices.forget(pair=pair, datasets=gone) if gone else 0
        spec = await area.reindexing.order(name=name, order=order)
        if self._follower is not None:
            title = f"Datasets indexed into {pair.dataset}"
            job = Wanted("web", spec.name, "reindex", title)
            await self._follower.follow(job, environment=area.name, by=by.slack)
        await area.jobs.start(spec=replace(spec, marks={**spec.marks, **marks}))
        return Started(
            name,
            pair,
            len(chosen),
            workers,
            area.jobs.attach_line(name=name),
            tuple(area.reindexing.commands(order=order)),
            len(gone) if forgotten else 0,
        )

    async def _attached(self, area: IndexArea, name: str, pair: Pair) -> Started:
        """Return the job that this very request started before the bot was restarted."""
        ledger = await area.reindexing.ledger(name=name)
        total, workers = (ledger.total, ledger.wanted_workers) if ledger else (0, 0)
        return Started(name, pair, total, workers, area.jobs.attach_line(name=name), ())

    async def _place(self, area: IndexArea, other: Candidate, target: Target) -> tuple[str, str]:
        if target is Target.LIVE:
            return area.code, area.configuration
        found = await workplace_of(area, other)
        return found.code, found.configuration

    async def _chosen(
        self, area: IndexArea, pair: Pair, live: Pair, target: Target, wanted: Selection
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the datasets to index, newest first, and those to take out of the inactive pair: PostgreSQL has them no more."""
        gone: tuple[str, ...] = ()
        match wanted.choice:
            case Choice.ALL:
                chosen = tuple(await area.datasets.dataset_ids())
            case Choice.SINCE:
                chosen = tuple(await area.datasets.dataset_ids(since=wanted.since))
            case Choice.CHANGED:
                found = await compared(area.indices, area.datasets, live=live, new=pair)
                changed = {*found.missing, *found.differing, *found.counts}
                chosen = tuple(one for one in await area.datasets.dataset_ids() if one in changed)
                gone = found.surplus if target is Target.INACTIVE else ()
            case Choice.FAILED:
                failed = await failures(area, pair)
                chosen = tuple(one for one in await area.datasets.dataset_ids() if one in failed)
            case Choice.IDS:
                known = await area.datasets.dataset_ids()
                if unknown := sorted(set(wanted.ids) - set(known)):
                    raise WrongUse(
                        f"PostgreSQL has no dataset {some(unknown)}; nothing was started.", hint="look at the ids"
                    )
                chosen = tuple(one for one in known if one in set(wanted.ids))
        if not chosen:
            raise Conflict(
                f"There is no dataset to index ({wanted.choice}); no job was started.", hint="/release es compare"
            )
        return tuple(dict.fromkeys(chosen)), gone


async def failures(area: IndexArea, pair: Pair) -> dict[str, str]:
    """Return the datasets that failed in jobs for this pair, with METASPACE's words.

    A job over all, or over those that had failed, leaves only its own once it has ended.
    """
    found: dict[str, str] = {}
    for job in await area.jobs.find(marks={INDEX: pair.dataset}):
        ledger = await area.reindexing.ledger(name=job.order)
        if ledger is not None and ledger.ended and job.marks.get(CHOICE) in (Choice.ALL, Choice.FAILED):
            found.clear()
        for one in ledger.failed if ledger else ():
            found[one.dataset] = one.said
    return found


def _workers(area: IndexArea, wanted: Selection) -> int:
    if wanted.workers > area.most_workers:
        raise WrongUse(
            f"{wanted.workers} workers are more than {area.name} allows; nothing was started.",
            hint=f"at most {area.most_workers} (reindexing.most_workers)",
        )
    return wanted.workers or area.workers


def _pairs(standing: Standing) -> tuple[Candidate, Candidate]:
    other = standing.inactive
    if standing.live is None or other is None:
        raise Refused(
            f"{standing.fault} Until that is repaired nobody knows which pair is live.",
            hint=f"/release es repair {standing.environment}",
            changed="Nothing.",
        )
    return standing.candidate(standing.live), other


def _filled(one: Candidate) -> Candidate:
    """Look before every write: an index that is not there would be made with guessed mappings."""
    if not one.whole:
        raise Refused(
            f"{' and '.join(one.pair.names)} are not both there, and writing would make them with guessed mappings.",
            hint="/release es create",
            changed="Nothing.",
        )
    return one
