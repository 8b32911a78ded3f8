"""A release is one runner's for a while. Who lost it writes nothing more, and begins no effect."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from bot.domain.readmodel import Problem
from bot.domain.release import DecisionKind, ReleaseState
from bot.engine.cursors import Cursor
from bot.engine.records import LeaseLost, Ledger
from bot.engine.runner import Area, Runner
from bot.engine.step import Evidence
from bot.engine.store import Store, StoreUnavailable
from tests.engine.clock import FakeClock
from tests.engine.scripted import RELEASER, Files, FileStep, Interrupt, environment, opened, plan, steps
from tests.engine.test_desk import QUESTION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bot.engine.records import Book
    from bot.engine.step import StepContext
    from bot.ports import Clock
    from tests.engine.postgres import Cluster
    from tests.engine.scripted import Bot

LEASE = 30.0
PLAN = plan(("first", "file"), ("last", "file"))
WRITES: dict[str, Callable[[Book], Awaitable[Any]]] = {
    "renew": lambda book: book.renew(),
    "let go": lambda book: book.let_go(),
    "read": lambda book: book.situation(),
    "begin": lambda book: book.begin("first", retry=False),
    "ask": lambda book: book.ask("first", QUESTION),
    "effect": lambda book: book.entering_effect("first"),
    "progress": lambda book: book.progress("first", "…", {}),
    "done": lambda book: book.done("first", Evidence("there")),
    "failed": lambda book: book.failed("first", Problem("no")),
    "end": lambda book: book.end(ReleaseState.ABORTED),
}


@asynccontextmanager
async def two(url: str, files: Files) -> AsyncIterator[tuple[Bot, Ledger, FakeClock]]:
    """A bot and, on the same database, the ledger of another."""
    clock = FakeClock()
    async with opened(url, steps(files), clock=clock, owner="one", lease=LEASE) as bot:
        yield bot, Ledger(bot.store, clock=clock, owner="two", lease=LEASE, bell=bot.desk.bell), clock


async def test_a_release_is_claimed_by_one_and_by_another_only_when_the_lease_has_run_out(
    url: str, files: Files
) -> None:
    async with two(url, files) as (bot, other, clock):
        await bot.start(PLAN)
        assert len(await bot.ledger.claim(("prod",), but=())) == 1
        assert await other.claim(("prod",), but=()) == []
        await clock.advance(LEASE * 0.9)
        assert await other.claim(("prod",), but=()) == []
        await clock.advance(LEASE * 0.2)
        assert await other.claim(("prod",), but=()) == [(1, 2)]


async def test_of_many_that_claim_at_once_one_gets_it(postgres: Cluster, files: Files) -> None:
    async with two(postgres.fresh(), files) as (bot, _, clock):
        await bot.start(PLAN)
        ledgers = [Ledger(bot.store, clock=clock, owner=f"r{n}", lease=LEASE, bell=bot.desk.bell) for n in range(8)]
        claimed = await asyncio.gather(*(one.claim(("prod",), but=()) for one in ledgers))
        assert sorted(map(len, claimed)) == [0] * 7 + [1]


async def test_only_open_releases_of_ones_own_environments_are_claimed(url: str, files: Files) -> None:
    async with two(url, files) as (bot, _, _clock):
        number = await bot.start(PLAN)
        assert await bot.ledger.claim(("staging",), but=()) == []
        await bot.desk.control(release=number, kind=DecisionKind.ABORT, by=RELEASER, reason="x")
        assert await bot.ledger.claim(("prod",), but=()) == []


@pytest.mark.parametrize("write", WRITES)
async def test_who_lost_the_lease_writes_nothing(url: str, files: Files, write: str) -> None:
    async with two(url, files) as (bot, other, clock):
        number = await bot.start(PLAN)
        ((_, fence),) = await bot.ledger.claim(("prod",), but=())
        book = bot.ledger.book(1, fence)
        await book.begin("first", retry=False)
        await clock.advance(LEASE + 1)
        await other.claim(("prod",), but=())
        before = await bot.desk.release(number), await bot.desk.events(after=0, limit=100)
        with pytest.raises(LeaseLost):
            await WRITES[write](book)
        assert (await bot.desk.release(number), await bot.desk.events(after=0, limit=100)) == before


async def test_a_runner_that_claims_its_own_release_anew_outdates_its_old_self(url: str, files: Files) -> None:
    async with two(url, files) as (bot, _, _clock):
        await bot.start(PLAN)
        ((_, first),) = await bot.ledger.claim(("prod",), but=())
        ((_, second),) = await bot.ledger.claim(("prod",), but=())
        assert second > first
        with pytest.raises(LeaseLost):
            await bot.ledger.book(1, first).renew()
        await bot.ledger.book(1, second).renew()


class Long(FileStep):
    """An effect that takes its time, and says where it got to."""

    on_interrupt: ClassVar[Interrupt] = "rerun"

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self.begun, self.ended, self.cancelled = asyncio.Event(), asyncio.Event(), False

    async def run(self, ctx: StepContext) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            self.ended.set()
            raise


async def test_a_runner_whose_lease_was_taken_over_stops_in_the_middle(url: str, files: Files) -> None:
    async with two(url, files) as (bot, other, clock):
        step = Long(files)
        runner = _runner(bot, step, clock)
        await bot.start(PLAN)
        stop = asyncio.Event()
        task = asyncio.create_task(runner.run(stop))
        await step.begun.wait()
        await _take_over(bot, other, clock)
        await _until(lambda: step.cancelled, clock)
        stop.set()
        await task
        assert files.all() == {}


async def test_a_heartbeat_keeps_the_lease_through_a_long_step(url: str, files: Files) -> None:
    async with two(url, files) as (bot, other, clock):
        step = Long(files)
        stop = asyncio.Event()
        await bot.start(PLAN)
        task = asyncio.create_task(_runner(bot, step, clock).run(stop))
        await step.begun.wait()
        for _ in range(12):
            renewed = bot.desk.bell.rung
            await clock.advance(LEASE / 3)
            await _settled(bot)
            assert await other.claim(("prod",), but=()) == []
            assert bot.desk.bell.rung >= renewed
        assert not step.cancelled
        stop.set()
        await task


async def test_a_runner_that_cannot_reach_its_database_stops_before_its_lease_runs_out(
    postgres: Cluster, files: Files
) -> None:
    async with two(postgres.fresh(), files) as (bot, _, clock):
        step = Long(files)
        stop = asyncio.Event()
        await bot.start(PLAN)
        task = asyncio.create_task(_runner(bot, step, clock).run(stop))
        await step.begun.wait()
        away = _Away(bot.store)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Store, "writing", away.writing)
            began = clock.seconds
            await _until(lambda: step.cancelled, clock)
            assert clock.seconds - began < LEASE
        stop.set()
        await task


async def test_a_runner_whose_database_hangs_stops_before_its_lease_runs_out(url: str, files: Files) -> None:
    async with opened(url, steps(files), owner="one", lease=0.6) as bot:
        step = Long(files)
        runner = _runner(bot, step, bot.site.clock, lease=0.6)
        stop = asyncio.Event()
        await bot.start(PLAN)
        task = asyncio.create_task(runner.run(stop))
        await step.begun.wait()
        began = bot.site.clock.monotonic()
        with pytest.MonkeyPatch.context() as patch:
            hanging = _Hanging()
            patch.setattr(Store, "writing", hanging.writing)
            async with asyncio.timeout(10):
                await step.ended.wait()
            assert bot.site.clock.monotonic() - began < 5
        hanging.over.set()
        stop.set()
        await task


class _Hanging:
    """A database whose connections are half open: it says nothing until a deadline of its own is over."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        await self.over.wait()
        raise StoreUnavailable("The bot's database does not answer.")
        yield


class _Away:
    """A database that does not answer writers."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        raise StoreUnavailable("The bot's database does not answer.")
        yield


def _runner(bot: Bot, step: FileStep, clock: Clock, lease: float = LEASE) -> Runner:
    ports: Any = None
    made: Any = step
    areas = {"prod": Area(environment("prod"), ports)}
    return Runner(bot.ledger, registry={"file": made}, areas=areas, clock=clock, bell=bot.desk.bell, lease=lease)


async def _take_over(bot: Bot, other: Ledger, clock: FakeClock) -> None:
    """As when this process was suspended: its lease runs out, and another claims."""
    clock.seconds += LEASE + 1
    claimed: list[tuple[int, int]] = []
    async with asyncio.timeout(10):
        while not claimed:  # a claim passes over a row that is being read this moment
            claimed = await other.claim(("prod",), but=())
    assert claimed == [(1, 2)]


async def _until(reached: Callable[[], bool], clock: FakeClock) -> None:
    async with asyncio.timeout(20):
        while not reached():
            await clock.advance(1)
            await asyncio.sleep(0.01)


async def _settled(bot: Bot) -> None:
    """Let what the clock woke reach the database: a transaction of ours comes after those before it."""
    for _ in range(3):
        await bot.desk.move_cursor("settled", since=Cursor(), to=1)
        await asyncio.sleep(0)
