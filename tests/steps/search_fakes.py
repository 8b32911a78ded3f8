"""METASPACE's database, its two pairs of indices, and the jobs that fill them, by hand. What one call changes, the next one sees."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bot.domain.errors import Conflict, Refused
from bot.domain.indices import (
    Aliases,
    DatasetDocument,
    Definition,
    Definitions,
    Index,
    Pair,
    Pressure,
    Probe,
    Room,
    Seen,
)
from bot.domain.reindexing import Failure, Ledger, Order, Target, Workplace
from bot.domain.world import JobSpec, JobState
from tests.steps.fakes import START, FakeClock, FakeJob, FakeJobs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from bot.domain.indices import AliasAction

GB = 10**9
DEFINITION = Definition({"properties": {"ds_id": {"type": "keyword"}}}, {"index": {"analysis": {}}})


@dataclass
class FakeDatasets:
    """PostgreSQL: dataset id → (name, public, annotations)."""

    rows: dict[str, tuple[str, bool, int]] = field(default_factory=dict)

    async def dataset_ids(self, *, since: date | None = None) -> Sequence[str]:
        return sorted((one for one in self.rows if since is None or one >= since.isoformat()), reverse=True)

    async def without_databases(self) -> Sequence[str]:
        return ()

    async def annotation_counts(self, *, datasets: Collection[str] = ()) -> Mapping[str, int]:
        return {one: row[2] for one, row in self.rows.items() if not datasets or one in datasets}

    async def databases_of(self, *, datasets: Collection[str]) -> Mapping[str, int]:
        return dict.fromkeys(datasets, 1)


@dataclass
class FakeIndex:
    """One index: its documents by dataset, and when each was written last."""

    uuid: str
    made_by: str = ""
    created_at: datetime = START - timedelta(days=30)
    health: str = "green"
    size: int = GB
    definition: Definition = DEFINITION
    documents: dict[str, DatasetDocument] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    writes: dict[str, int] = field(default_factory=dict)
    sequence: int = 0

    def write(self, dataset: str, document: DatasetDocument, count: int) -> None:
        self.documents[dataset], self.counts[dataset] = document, count
        self.sequence += 1
        self.writes[dataset] = self.sequence

    def forget(self, dataset: str) -> int:
        self.writes.pop(dataset, None)
        return (self.documents.pop(dataset, None) is not None) + self.counts.pop(dataset, 0)


@dataclass
class FakeIndices:
    """Elasticsearch. ``swaps`` are the requests that moved aliases."""

    clock: FakeClock
    names: dict[str, FakeIndex] = field(default_factory=dict)
    pointing: dict[str, set[str]] = field(default_factory=dict)
    disk: Room = field(default_factory=lambda: Room(100 * GB, 50 * GB, 40 * GB))
    swaps: list[tuple[AliasAction, ...]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    made: int = 0

    def add(self, name: str, **facts: object) -> FakeIndex:
        self.made += 1
        self.names[name] = FakeIndex(f"uuid-{self.made}", **facts)  # type: ignore[arg-type]
        return self.names[name]

    async def look(self) -> Seen:
        indices = {
            name: Index(
                name, one.uuid, one.health, len(one.documents), one.size, one.created_at, "definition", one.made_by
            )
            for name, one in self.names.items()
        }
        return Seen(Aliases(), indices, {alias: tuple(sorted(names)) for alias, names in self.pointing.items()})

    async def room(self) -> Room:
        return self.disk

    async def pressure(self) -> Pressure:
        return Pressure(0, 0)

    async def definition(self, *, index: str) -> Definition:
        return self.names[index].definition

    async def probe(self, *, index: str) -> Probe:
        one = self._there(index)
        held = sum(one.counts.values()) if index.startswith("annotation") else len(one.documents)
        return Probe(one.uuid, held, one.sequence)

    async def newest_write(self, *, index: str, dataset: str) -> int:
        return self._there(index).writes.get(dataset, -1)

    async def dataset_documents(self, *, index: str, without: Collection[str] = ()) -> Mapping[str, DatasetDocument]:
        return dict(self._there(index).documents)

    async def annotation_counts(self, *, index: str, datasets: Collection[str] = ()) -> Mapping[str, int]:
        return dict(self._there(index).counts)

    async def sample(self, *, pair: Pair, without: Collection[str] = ()) -> Mapping[str, str]:
        shown = sorted((one, document.digest) for one, document in self._there(pair.dataset).documents.items())
        return {"newest": hashlib.sha256(str(shown[-3:]).encode()).hexdigest(), "count": str(len(shown))}

    async def create(self, *, index: str, definition: Definition, made_by: str) -> None:
        if index in self.names:
            raise Conflict(f"{index} exists already.", hint="/release es status")
        self.add(index, made_by=made_by, created_at=self.clock.now(), definition=definition)

    async def drop(self, *, index: str, uuid: str) -> None:
        if self._there(index).uuid != uuid or any(index in names for names in self.pointing.values()):
            raise Conflict(f"{index} is another index, or live.", hint="/release es status")
        self.dropped.append(uuid)
        del self.names[index]

    async def change_aliases(self, *, actions: Sequence[AliasAction]) -> None:
        after = {alias: set(names) for alias, names in self.pointing.items()}
        for one in actions:
            if one.index not in self.names or (not one.add and one.index not in after.get(one.alias, set())):
                raise Refused("The aliases were not changed.", hint="/release es status")
            after.setdefault(one.alias, set()).add(one.index) if one.add else after[one.alias].discard(one.index)
        self.pointing = after
        self.swaps.append(tuple(actions))

    async def forget(self, *, pair: Pair, datasets: Collection[str]) -> int:
        return sum(self._there(name).forget(one) for name in pair.names for one in datasets)

    def _there(self, index: str) -> FakeIndex:
        if index not in self.names:
            raise Conflict(f"There is no index {index}.", hint="/release es status")
        return self.names[index]


@dataclass
class FakeWork:
    """One order, and what all its jobs together have done. The clock stands still for it while nobody works."""

    order: Order
    working: bool = False
    at: float = 0.0  # until when what there was time for is done
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    tried: set[str] = field(default_factory=set)  # by the job at work
    let_go: bool = False
    ended: bool = False

    @property
    def left(self) -> list[str]:
        return [one for one in self.order.datasets if one not in self.done and one not in self.tried]

    @property
    def waits(self) -> bool:
        return self.order.probe and not self.let_go and bool(self.done)


@dataclass
class FakeReindexing:
    """The scripts on the web server. ``seconds`` a dataset takes; what is indexed is as PostgreSQL has it at that moment.

    ``faulty``: it writes to the other pair, as METASPACE's ``--inactive`` does. ``failing`` cannot be indexed. What of ``odd``
    comes out of the new code is never as the old one's.
    """

    clock: FakeClock
    datasets: FakeDatasets
    indices: FakeIndices
    seconds: float = 2.0
    faulty: bool = False
    failing: set[str] = field(default_factory=set)
    odd: set[str] = field(default_factory=set)
    places: dict[str, Workplace] = field(default_factory=dict)
    work: dict[str, FakeWork] = field(default_factory=dict)
    removed: int = 0
    dies_after: int | None = None  # datasets after which the job at work dies without a word
    jobs: FakeJobs | None = None

    async def workplace(self, *, release: str) -> Workplace | None:
        return self.places.get(release)

    async def workplaces(self) -> Sequence[Workplace]:
        return list(self.places.values())

    async def make_workplace(self, *, release: str, commit: str, pair: Pair) -> Workplace:
        folder = f"/srv/{release}"
        made = Workplace(release, commit, folder, f"{folder}/engine", f"{folder}/config.json", pair, self.clock.now())
        self.places[release] = made
        return made

    async def remove_workplace(self, *, release: str) -> None:
        self.removed += self.places.pop(release, None) is not None

    async def definitions(self, *, workplace: Workplace) -> Definitions:
        return Definitions(DEFINITION, DEFINITION)

    async def order(self, *, name: str, order: Order) -> JobSpec:
        work = self.work.setdefault(name, FakeWork(order))
        work.order = order
        jobs = await self.jobs.find(marks={"order": name}) if self.jobs else ()
        ended = bool(jobs) and jobs[-1].state is not JobState.RUNNING
        job = f"{name}-{len(jobs) + 1}" if ended else jobs[-1].name if jobs else name
        return JobSpec(
            job, ("python", "driver.py"), order.code, marks={**order.marks, "order": name}, lock=f"index-{order.target}"
        )

    async def ledger(self, *, name: str) -> Ledger | None:
        work = self.work.get(name)
        if work is None or not work.at:
            return None
        self.go_on(work)
        failed = tuple(Failure(one, 3, said) for one, said in work.failed.items())
        awaits = work.waits and work.working
        return Ledger(len(work.order.datasets), len(work.done), failed, awaits_probe=awaits, ended=work.ended)

    async def set_workers(self, *, name: str, workers: int) -> None:
        return None

    async def throttle(self, *, name: str, allowed: int | None, why: str) -> None:
        return None

    async def let_go_on(self, *, name: str) -> None:
        self.work[name].let_go, self.work[name].at = True, self.clock.seconds

    def commands(self, *, order: Order) -> tuple[str, ...]:
        return ("python", "-m", "scripts.update_es_index", "--config", order.configuration)

    def begin(self, work: FakeWork) -> None:
        work.working, work.ended, work.at, work.tried = True, False, self.clock.seconds + 0.001, set()

    def go_on(self, work: FakeWork) -> None:
        """Do what there was time for."""
        while work.working and not work.waits and work.left and self.clock.seconds >= work.at + self.seconds:
            work.at += self.seconds
            self.index(work, work.left[0])
            if self.dies_after is not None and len(work.done) >= self.dies_after:
                self.dies_after, work.working = None, False
        if work.working and not work.left:
            work.working, work.ended = False, True

    def index(self, work: FakeWork, dataset: str) -> None:
        work.tried.add(dataset)
        if dataset in self.failing:
            work.failed[dataset] = "moldb: HMDB-v4: KeyError"
            return
        work.failed.pop(dataset, None)
        work.done.append(dataset)
        if dataset in self.datasets.rows:
            for name in self._target(work.order).names:
                self.write(name, dataset, odd=dataset in self.odd)

    def _target(self, order: Order) -> Pair:
        """The live target is reached through the aliases; the faulty script takes it for every target."""
        if order.target is Target.LIVE or self.faulty:
            return Pair(*(next(iter(self.indices.pointing[alias])) for alias in ("dataset", "annotation")))
        return order.pair

    def write(self, index: str, dataset: str, *, odd: bool = False) -> None:
        name, public, count = self.datasets.rows[dataset]
        text = f"{name} {public} {'odd' if odd else ''}"
        document = DatasetDocument(hashlib.sha256(text.encode()).hexdigest(), public)
        self.indices.names[index].write(dataset, document, count)


@dataclass
class FakeWebJobs(FakeJobs):
    """The web server's jobs: they end when their work does. ``statuses``: how a job ends, by name, where it is not well."""

    reindexing: FakeReindexing | None = None
    statuses: dict[str, int] = field(default_factory=dict)

    async def start(self, *, spec: JobSpec) -> None:
        if spec.name in self.jobs:
            return
        running = [one for one in self.jobs.values() if one.spec.lock == spec.lock and not self._over(one)]
        if running:
            raise Conflict(f"{running[0].spec.name} holds {spec.lock}.", hint="wait for it")
        now = self.clock.now()
        self.jobs[spec.name] = FakeJob(spec, now, datetime.max.replace(tzinfo=now.tzinfo), 0, "")
        assert self.reindexing is not None
        self.reindexing.begin(self._work(self.jobs[spec.name]))

    def _work(self, job: FakeJob) -> FakeWork:
        assert self.reindexing is not None
        return self.reindexing.work[job.spec.marks["order"]]

    def _over(self, job: FakeJob) -> bool:
        if job.ended:
            return True
        assert self.reindexing is not None
        work = self._work(job)
        self.reindexing.go_on(work)
        if work.ended:
            self._end(job, self.statuses.get(job.spec.name, 3 if work.failed else 0))
        elif not work.working:
            self._end(job, None)
        return job.ended

    def _end(self, job: FakeJob, status: int | None) -> None:
        job.ended, job.exit_status, job.ends_at = True, status, self.clock.now()

    async def stop(self, *, name: str) -> None:
        self._work(self.jobs[name]).working = False
        self._end(self.jobs[name], 143)


@dataclass
class Elsewhere:
    """People and the update daemon: every change reaches PostgreSQL, and through the aliases what is live."""

    datasets: FakeDatasets
    indices: FakeIndices
    reindexing: FakeReindexing

    def create(self, dataset: str, *, public: bool = True, count: int = 5) -> None:
        self.datasets.rows[dataset] = (f"name of {dataset}", public, count)
        self._tell(dataset)

    def edit(self, dataset: str, **changes: object) -> None:
        name, public, count = self.datasets.rows[dataset]
        self.datasets.rows[dataset] = (
            str(changes.get("name", name)),
            bool(changes.get("public", public)),
            count,
        )
        self._tell(dataset)

    def delete(self, dataset: str) -> None:
        del self.datasets.rows[dataset]
        for names in self.indices.pointing.values():
            for name in names:
                self.indices.names[name].forget(dataset)

    def _tell(self, dataset: str) -> None:
        for names in self.indices.pointing.values():
            for name in names:
                self.reindexing.write(name, dataset)


def renamed(index: FakeIndex, uuid: str) -> FakeIndex:
    """The same index, made anew."""
    return replace(index, uuid=uuid)
