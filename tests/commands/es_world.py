"""Search indices, a database, jobs and METASPACE's scripts in memory, each as small as its port."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Conflict, Refused, Unavailable
from bot.domain.indices import (
    AliasAction,
    Aliases,
    DatasetDocument,
    Definition,
    Definitions,
    Index,
    Pair,
    Probe,
    Room,
    Seen,
)
from bot.domain.readmodel import LockView, Person
from bot.domain.reindexing import Ledger, Order, Workplace
from bot.domain.world import JobReport, JobSpec, JobState
from bot.engine.index_jobs import IndexArea
from bot.engine.index_service import IndexService
from tests.commands.fakes import Office, World
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from bot.domain.jobs import Wanted

NAMES = Aliases()
CODE = Definition({"properties": {"ds_id": {"type": "keyword"}}}, {"analysis": {}})
MIB = 2**20


@dataclass
class Content:
    """An index: dataset id → (digest, public) or the number of annotations; ``writes`` counts every operation."""

    index: Index
    documents: dict[str, Any] = field(default_factory=dict)
    definition: Definition = CODE
    writes: int = 0


@dataclass
class Indices:
    """Elasticsearch. ``before_effect`` is awaited before each effect, so that a test may change the world in between."""

    content: dict[str, Content] = field(default_factory=dict)
    pointing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    free: int = 1000 * MIB
    requests: list[tuple[AliasAction, ...]] = field(default_factory=list)
    dies: bool = False
    loses_answer: bool = False
    made: int = 0

    def make(self, name: str, documents: Mapping[str, Any], made_by: str = "", health: str = "green") -> None:
        self.made += 1
        created = worlds.NOW - timedelta(days=2)
        index = Index(name, f"uuid-{self.made}", health, len(documents), 100 * MIB, created, "d" * 16, made_by)
        self.content[name] = Content(index, dict(documents))

    async def look(self) -> Seen:
        found = {name: replace(one.index, documents=len(one.documents)) for name, one in self.content.items()}
        return Seen(NAMES, found, dict(self.pointing))

    async def room(self) -> Room:
        return Room(4000 * MIB, self.free, self.free)

    async def definition(self, *, index: str) -> Definition:
        return self.content[index].definition

    async def probe(self, *, index: str) -> Probe:
        one = self.content[index]
        return Probe(one.index.uuid, len(one.documents), one.writes)

    async def newest_write(self, *, index: str, dataset: str) -> int:
        one = self.content[index]
        return one.writes if dataset in one.documents else -1

    async def dataset_documents(self, *, index: str, without: Collection[str] = ()) -> Mapping[str, DatasetDocument]:
        return {
            name: DatasetDocument(digest, public) for name, (digest, public) in self.content[index].documents.items()
        }

    async def annotation_counts(self, *, index: str, datasets: Collection[str] = ()) -> Mapping[str, int]:
        return dict(self.content[index].documents)

    async def sample(self, *, pair: Pair, without: Collection[str] = ()) -> Mapping[str, str]:
        return {"all": json.dumps(sorted(self.content[pair.dataset].documents))}

    async def create(self, *, index: str, definition: Definition, made_by: str) -> None:
        if index in self.content:
            raise Conflict(f"{index} is there.")
        self.make(index, {}, made_by)
        self.content[index].definition = definition

    async def drop(self, *, index: str, uuid: str) -> None:
        pointed = {name for names in self.pointing.values() for name in names}
        if index in pointed or self.content[index].index.uuid != uuid:
            raise Conflict(f"{index} is not dropped.")
        del self.content[index]

    async def change_aliases(self, *, actions: Sequence[AliasAction]) -> None:
        now = {alias: set(names) for alias, names in self.pointing.items()}
        for one in actions:
            if not one.add and one.index not in now.get(one.alias, set()):
                raise Refused("An alias that was to be removed is not there.")
            (now.setdefault(one.alias, set()).add if one.add else now[one.alias].remove)(one.index)
        self.requests.append(tuple(actions))
        self.pointing = {alias: tuple(sorted(names)) for alias, names in now.items()}
        if self.dies:
            self.dies = False
            raise KilledError
        if self.loses_answer:
            raise Unavailable("No answer within 60 s.", changed="Perhaps what was asked for.")

    async def forget(self, *, pair: Pair, datasets: Collection[str]) -> int:
        return sum(self.content[name].documents.pop(one, None) is not None for name in pair.names for one in datasets)


class KilledError(BaseException):
    """Stands for SIGKILL: nothing of the bot may catch it."""


@dataclass
class Datasets:
    """PostgreSQL: dataset id → annotations."""

    rows: dict[str, int]
    unindexed: tuple[str, ...] = ()

    async def dataset_ids(self, *, since: date | None = None) -> Sequence[str]:
        return [one for one in sorted(self.rows, reverse=True) if since is None or one[:10] >= since.isoformat()]

    async def annotation_counts(self, *, datasets: Collection[str] = ()) -> Mapping[str, int]:
        return dict(self.rows)

    async def without_databases(self) -> Sequence[str]:
        return self.unindexed


@dataclass
class Jobs:
    """The web server's long processes."""

    reports: dict[str, JobReport] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)

    async def start(self, *, spec: JobSpec) -> None:
        self.reports.setdefault(
            spec.name, JobReport(spec.name, JobState.RUNNING, worlds.NOW, worlds.NOW, dict(spec.marks))
        )

    async def look(self, *, name: str) -> JobReport | None:
        return self.reports.get(name)

    async def find(self, *, marks: Mapping[str, str]) -> Sequence[JobReport]:
        return [one for one in self.reports.values() if marks.items() <= one.marks.items()]

    async def stop(self, *, name: str) -> None:
        self.stopped.append(name)

    def attach_line(self, *, name: str) -> str:
        return f"ssh web tmux attach -r -t {name}"


@dataclass
class Reindexing:
    """METASPACE's scripts. A job's first dataset lands in the pair that ``lands`` names."""

    indices: Indices
    orders: dict[str, Order] = field(default_factory=dict)
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    places: dict[str, Workplace] = field(default_factory=dict)
    lands: str = ""
    code: Definition = CODE
    wanted: Definitions | None = None

    async def workplace(self, *, release: str) -> Workplace | None:
        return self.places.get(release)

    async def workplaces(self) -> Sequence[Workplace]:
        return list(self.places.values())

    async def make_workplace(self, *, release: str, commit: str, pair: Pair) -> Workplace:
        made = Workplace(release, commit, f"/w/{release}", f"/w/{release}/engine", "config.json", pair, worlds.NOW)
        return self.places.setdefault(release, made)

    async def remove_workplace(self, *, release: str) -> None:
        self.places.pop(release, None)

    async def definitions(self, *, workplace: Workplace) -> Definitions:
        return self.wanted or Definitions(self.code, self.code)

    async def order(self, *, name: str, order: Order) -> JobSpec:
        self.orders[name] = order
        self.ledgers[name] = Ledger(len(order.datasets), 1, wanted_workers=order.workers, awaits_probe=order.probe)
        return JobSpec(name, ("python",), order.code, marks={"order": name})

    async def ledger(self, *, name: str) -> Ledger | None:
        order = self.orders.get(name)
        if order and self.ledgers[name].awaits_probe:
            one = self.indices.content[self.lands or order.pair.dataset]
            one.writes += 1
            one.documents.setdefault(order.datasets[0], ("a", True))
        return self.ledgers.get(name)

    async def let_go_on(self, *, name: str) -> None:
        self.ledgers[name] = replace(self.ledgers[name], awaits_probe=False)

    def commands(self, *, order: Order) -> tuple[str, ...]:
        return ("python", "-m", "scripts.update_es_index", "--config", order.configuration)


@dataclass
class Log:
    """The log of events, in memory."""

    events: list[tuple[str, str, str, Mapping[str, Any]]] = field(default_factory=list)

    async def note(self, kind: str, *, by: str, source: str, data: Mapping[str, Any]) -> bool:
        json.dumps(data)
        if await self.has(kind, source=source):
            return False
        self.events.append((kind, by, source, data))
        return True

    async def has(self, kind: str, *, source: str) -> bool:
        return any((one[0], one[2]) == (kind, source) for one in self.events)

    @property
    def kinds(self) -> list[str]:
        return [one[0] for one in self.events]


@dataclass
class Clock:
    """A clock that a test moves."""

    at: datetime = worlds.NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - datetime(2020, 1, 1, tzinfo=UTC)).total_seconds()

    async def sleep(self, *, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


async def _checkout() -> Any:
    return SimpleNamespace(commit="c" * 40)


ANA = Person("U02ANA", "Ana", frozenset({"approver", "releaser"}))
BEN = Person("U03BEN", "Ben", frozenset({"approver"}))
ADMIN = Person("U05ADM", "Admin", frozenset({"admin"}))
DATASETS = {"2026-01-03_10h": 3, "2026-01-02_10h": 0, "2026-01-01_10h": 7}


@dataclass
class Follower:
    """What was asked to be followed."""

    asked: list[tuple[str, Wanted]] = field(default_factory=list)

    async def follow(self, job: Wanted, /, *, environment: str, by: str = "") -> None:
        self.asked.append((environment, job))


@dataclass
class Search:
    """Two pairs, yin live and both full, the database behind them, and the service over all that."""

    indices: Any = field(default_factory=Indices)
    datasets: Datasets = field(default_factory=lambda: Datasets(dict(DATASETS)))
    jobs: Jobs = field(default_factory=Jobs)
    reindexing: Reindexing = field(init=False)
    follower: Follower = field(default_factory=Follower)

    def __post_init__(self) -> None:
        self.reindexing = Reindexing(self.indices)
        if not isinstance(self.indices, Indices):
            return  # real ones, which the test fills
        for side in ("yin", "yang"):
            self.fill(side)
        self.indices.pointing = {"dataset": ("dataset-yin",), "annotation": ("annotation-yin",)}

    def fill(self, side: str, made_by: str = "") -> None:
        self.indices.make(f"dataset-{side}", dict.fromkeys(DATASETS, ("a", True)), made_by)
        self.indices.make(f"annotation-{side}", DATASETS, made_by)

    def service(self, desk: Any, log: Any, clock: Any) -> IndexService:
        """Put the service together, as after a restart."""
        ports: Any = SimpleNamespace(
            clock=clock,
            indices=self.indices,
            datasets=self.datasets,
            reindexing=self.reindexing,
            web_jobs=self.jobs,
            server=SimpleNamespace(checkout=_checkout),
        )
        area = IndexArea("prod", ports, "/opt/engine", "/opt/engine/conf/config.json", 2, 8)
        return IndexService({"prod": area}, desk=desk, log=log, clock=clock, follower=self.follower)


def indices_of(desk: Any, log: Any, clock: Any) -> IndexService:
    """Return the service over two pairs in memory."""
    return Search().service(desk, log, clock)


class EsWorld(World):
    """A person in the channel, with two pairs behind the router: yin live and full, yang full as well unless taken away."""

    def __init__(self, person: Person = ANA) -> None:
        super().__init__(person=person, office=Office())
        self.search, self.log, self.clock = Search(), Log(), Clock()
        self.office.clock = self.clock
        self.open()

    def open(self) -> None:
        """Put the service together, as after a restart."""
        self.office.indices = self.search.service(self.desk, self.log, self.clock)

    def fill(self, side: str, made_by: str = "") -> None:
        self.search.fill(side, made_by)

    @property
    def indices(self) -> Indices:
        return self.search.indices

    @property
    def datasets(self) -> Datasets:
        return self.search.datasets

    @property
    def jobs(self) -> Jobs:
        return self.search.jobs

    @property
    def reindexing(self) -> Reindexing:
        return self.search.reindexing

    def held(self, by: str = "", release: str = "") -> None:
        self.desk.locks["prod"] = LockView("prod", by or "U09", "my reason", worlds.NOW, release)

    @property
    def shown(self) -> str:
        """Everything that was said and shown, as text."""
        return json.dumps([*self.voice.blocks, *self.voice.whispers, *self.voice.said.values()], ensure_ascii=False)

    @property
    def live(self) -> tuple[tuple[str, ...], ...]:
        return tuple(self.indices.pointing.get(one, ()) for one in ("dataset", "annotation"))

    async def asks(self, text: str, confirmed_by: Person = BEN, action: str = "es:confirm") -> None:
        """Ask for something, and have another person press its button: the form is open then."""
        await self.type(text)
        self.person = confirmed_by
        await self.press_shown(action)
