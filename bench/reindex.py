"""Filling a pair of indices: our job with 1, 2 and 4 workers, METASPACE's one process, and a bare bulk of the same documents.

All write the same datasets into the same pair, which is made anew each time and counted afterwards.
"""

from __future__ import annotations

import json
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from elasticsearch import AsyncElasticsearch
from elasticsearch.helpers import async_bulk, async_scan

from bench.measure import Figure, ratio, show
from bot.areas import search_ports
from bot.domain.indices import Pair
from bot.domain.reindexing import Order, Target
from bot.engine.clock import SystemClock
from bot.settings import parse
from integrations.jobs import TmuxJobs
from integrations.ssh import SshHost
from sandbox.metaspace_data import PACE
from sandbox.options import Options
from sandbox.postgres import PASSWORD
from sandbox.processes import output, until
from sandbox.rendering import over
from sandbox.world import World

if TYPE_CHECKING:
    from bot.domain.indices import Definitions
    from bot.domain.reindexing import Workplace
    from integrations.elasticsearch import ElasticIndices
    from integrations.reindexing import ServerReindexing
    from sandbox.metaspace_data import Data

DATASETS, TIMES, WORKERS = 60, 3, (1, 2, 4)
PACES = (0.0, 0.2)  # seconds that a dataset takes besides its documents: METASPACE's own is busy for longer
METASPACES, BULK = "METASPACE's script, one process", "bare async_bulk of the same documents"


async def run() -> None:
    """Measure at both paces, everything in turn, in one world without the programs that would write as well."""
    options = Options(bot=False, scenario="es_required", datasets=DATASETS)
    async with World(options) as world, AsyncExitStack() as stack:
        await world.supervisor.ctl("stop", "all")
        yard = await opened(world, stack)
        await yard.documents()
        for pace in PACES:
            yard.data.set_pace(seconds=pace)
            await measured(yard, pace)


@dataclass
class Yard:
    """One METASPACE whose inactive pair is filled again and again, through the bot's own ports."""

    world: World
    data: Data
    indices: ElasticIndices
    reindexing: ServerReindexing
    jobs: TmuxJobs
    client: AsyncElasticsearch
    place: Workplace
    made: Definitions
    datasets: tuple[str, ...]
    orders: int = 0
    actions: list[dict[str, Any]] = field(default_factory=list)

    async def documents(self) -> None:
        """Keep what the new code writes for every dataset, as bulk actions."""
        await self.empty()
        await self.metaspaces()
        await self.client.indices.refresh(index=",".join(self.place.pair.names))
        for name in self.place.pair.names:
            found = async_scan(self.client, index=name, size=1000)
            self.actions += [{part: hit[part] for part in ("_index", "_id", "_source")} async for hit in found]

    async def empty(self) -> None:
        """Make the inactive pair anew."""
        for name, definition in zip(self.place.pair.names, (self.made.dataset, self.made.annotation), strict=True):
            there = (await self.indices.look()).indices.get(name)
            if there is not None:
                await self.indices.drop(index=name, uuid=there.uuid)
            await self.indices.create(index=name, definition=definition, made_by="bench")

    async def holds(self) -> int:
        """Return how many documents are in the pair."""
        return sum([(await self.indices.probe(index=name)).documents for name in self.place.pair.names])

    async def ours(self, workers: int) -> None:
        """Order, start, say that the first dataset may stay as soon as that is waited for, and wait for the receipt."""
        self.orders += 1
        name = f"bench-{self.orders}"
        spec = await self.reindexing.order(name=name, order=self._order(workers))
        await self.jobs.start(spec=spec)
        ledger = self.world.git.server / "reindexing/orders" / name / "ledger.json"
        await until(lambda: _is(_said(ledger).get("awaits_probe")), what="the first dataset", deadline=600)
        await self.reindexing.let_go_on(name=name)
        receipt = self.world.git.server / "jobs" / name / "status.json"
        await until(lambda: _is(receipt.exists()), what="the receipt", deadline=600)
        if _said(receipt)["exit_status"]:
            raise RuntimeError(f"{name} ended with {_said(receipt)}")

    async def metaspaces(self) -> None:
        """Run METASPACE's script over all of them, on the spot and not over SSH."""
        order = self._order(1)
        code = Path(self.place.code)
        (code / "ids.txt").write_text("".join(f"{one}\n" for one in self.datasets), encoding="ascii")
        environment = self.world.processes.environment({PACE: str(self.data.pace)})
        await output(self.reindexing.commands(order=order), cwd=code, env=environment, deadline=600)

    async def bulk(self) -> None:
        """Send the same documents with Elasticsearch's own helper."""
        await async_bulk(self.client, self.actions)

    def _order(self, workers: int) -> Order:
        place = self.place
        return Order(Target.INACTIVE, self.datasets, place.code, place.configuration, place.pair, workers=workers)


async def opened(world: World, stack: AsyncExitStack) -> Yard:
    """Open the bot's ports to a world, and make the workplace of its newest commit."""
    if world.data is None:
        raise RuntimeError("this world has no data")
    database = {"metaspace_database": {"password": PASSWORD}}
    raw = yaml.safe_load(world.settings_file.read_text(encoding="utf-8"))
    _, settings = parse(over(raw, {"environments": {"prod": database}})).environment()
    clock = SystemClock()
    web = SshHost("web", settings.web, clock)
    stack.push_async_callback(web.close)
    jobs = TmuxJobs(web, settings.web, clock)
    ports = search_ports(settings, web, jobs, clock, stack)
    reindexing: ServerReindexing = ports["reindexing"]
    pair = Pair("dataset-yang", "annotation-yang")
    place = await reindexing.make_workplace(release="bench", commit=await world.git.head("master"), pair=pair)
    return Yard(
        world=world,
        data=world.data,
        indices=ports["indices"],
        reindexing=reindexing,
        jobs=jobs,
        client=await stack.enter_async_context(AsyncElasticsearch(world.search.url)),
        place=place,
        made=await reindexing.definitions(workplace=place),
        datasets=tuple(await ports["datasets"].dataset_ids()),
    )


async def measured(yard: Yard, pace: float) -> None:
    ways = {METASPACES: yard.metaspaces, **{_of(n): lambda n=n: yard.ours(n) for n in WORKERS}, BULK: yard.bulk}
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TIMES):
        for name, way in ways.items():
            await yard.empty()
            began = time.perf_counter()
            await way()
            took[name].append(time.perf_counter() - began)
            if await yard.holds() != len(yard.actions):
                raise RuntimeError(f"{name}: {await yard.holds()} documents, not {len(yard.actions)}")
    print(
        f"{len(yard.datasets)} datasets ({len(yard.actions):,} documents) into an empty pair, {pace:g} s of other work for each:"
    )
    figures = {name: Figure(name, samples, "s") for name, samples in took.items()}
    show(list(figures.values()))
    for workers in WORKERS:
        ratio(f"{_of(workers)} to METASPACE's one process", figures[_of(workers)].median, figures[METASPACES].median)
    for name in (METASPACES, _of(2)):
        ratio(f"{name} to the bare bulk", figures[name].median, figures[BULK].median)


async def _is(true: object) -> bool:
    """Tell what stands on the server's disk: looking there over SSH, as the bot does, would be measured too."""
    return bool(true)


def _of(workers: int) -> str:
    return f"ours, {workers} worker{'s' if workers > 1 else ''}"


def _said(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found
