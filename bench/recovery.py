"""A killed bot comes back to 50 open releases; what a step's bookkeeping costs; what 1,000 finished releases weigh."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from sqlalchemy import func, select, update

from bench.measure import Figure, ratio, show
from bot.domain.plan import Plan, PlannedStep, StepKind
from bot.engine import audit
from bot.engine.clock import SystemClock
from bot.engine.codec import plan_out
from bot.engine.desk import Desk
from bot.engine.records import Ledger
from bot.engine.step import Evidence
from bot.engine.store import Store
from bot.engine.tables import EventRow, ReleaseRow, StepRow
from sandbox.options import Options
from sandbox.processes import until
from sandbox.slack import VIEWER
from sandbox.world import World

if TYPE_CHECKING:
    from bot.engine.records import Book

OPEN, FINISHED, STEPS, EVENTS = 50, 1000, 14, 40
STARTS, TRANSACTIONS = 3, 200
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000")


async def run() -> None:
    await recovery()
    print()
    await bookkeeping()
    print()
    await memory()


def _plan(environment: str, steps: int) -> Plan:
    planned = tuple(PlannedStep(f"s{n}", "manual", 1, f"By hand {n}", StepKind.MANUAL) for n in range(steps))
    return Plan(environment, "in_place", "in_place@0", "a" * 40, "b" * 40, "1.9.10", "1.9.9", False, (), planned)


async def recovery() -> None:
    bare, ready, claimed = [], [], []
    async with World(Options(bot=False)) as world:
        for _ in range(STARTS):
            bare.append(await _start(world))
            await world.stop_bot()
        await _open_releases(world)
        await _start(world)
        await until(lambda: _all(world, "questions WHERE closed_at IS NULL"), what="questions", deadline=120)
        for _ in range(STARTS):
            fence = _count(world, "SELECT min(fence) FROM releases")
            await world.kill(0)
            began = time.perf_counter()
            ready.append(await _start(world))
            await until(lambda since=fence: _all(world, f"releases WHERE fence > {since}"), what="claims", deadline=120)
            claimed.append(time.perf_counter() - began)
    print(f"After SIGKILL, with {OPEN} open releases whose questions wait (SQLite), from the start of the process:")
    show([Figure("ready, no release open", bare), Figure("ready", ready), Figure("ready and all claimed", claimed)])
    ratio("all claimed to the bare start, median", Figure("", claimed).median, Figure("", bare).median)


async def _start(world: World) -> float:
    began = time.perf_counter()
    await world.start_bot()
    return time.perf_counter() - began


async def _open_releases(world: World) -> None:
    """Start them as people do, each in an environment of its own; then let all be the bot's."""
    async with Store(f"sqlite+aiosqlite:///{_file(world)}") as store:
        desk = Desk(store, clock=SystemClock())
        for number in range(OPEN):
            await desk.start(plan=_plan(f"e{number}", 3), checklist="", by="U01REL")
        async with store.writing() as session:
            await session.execute(update(ReleaseRow).values(environment="prod"))


async def _all(world: World, which: str) -> bool:
    return _count(world, f"SELECT count(*) FROM {which}") >= OPEN  # noqa: S608  # our own words


def _count(world: World, query: str) -> int:
    with closing(sqlite3.connect(f"file:{_file(world)}?mode=ro", uri=True)) as connection:
        return int(connection.execute(query).fetchone()[0] or 0)


def _file(world: World) -> Path:
    return world.settings_file.parent / "releasebot.sqlite"


async def bookkeeping() -> None:
    """Begin, enter the effect, done: three transactions, with their events."""
    with tempfile.TemporaryDirectory() as folder:
        floor = _bare(Path(folder) / "bare.sqlite")
        async with Store(f"sqlite+aiosqlite:///{folder}/ours.sqlite") as store:
            desk = Desk(store, clock=SystemClock())
            ledger = Ledger(store, clock=SystemClock(), owner="bench", lease=3600, bell=desk.bell)
            await desk.start(plan=_plan("prod", TRANSACTIONS), checklist="", by="U01REL")
            ((number, fence),) = await ledger.claim(("prod",), but=())
            book = ledger.book(number, fence)
            ours = [await _step(book, f"s{n}") for n in range(TRANSACTIONS)]
    print("A step's bookkeeping (begin, entering the effect, done) on SQLite, synced to disk:")
    show([Figure("ours, three transactions", ours), Figure("one bare transaction with one insert", floor)])
    ratio("a step's bookkeeping to a bare transaction, median", Figure("", ours).median, Figure("", floor).median)


async def _step(book: Book, key: str) -> float:
    began = time.perf_counter()
    await book.begin(key, retry=False)
    await book.entering_effect(key)
    await book.done(key, Evidence("there"))
    return time.perf_counter() - began


def _bare(file: Path) -> list[float]:
    samples = []
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, data TEXT)")
        for number in range(TRANSACTIONS):
            began = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO events (data) VALUES (?)", (f"event {number}",))
            connection.execute("COMMIT")
            samples.append(time.perf_counter() - began)
    return samples


async def memory() -> None:
    async with World(Options(bot=False)) as world:
        await world.start_bot()
        empty = await _weight(world)
        await world.stop_bot()
        await _finished_releases(world)
        await world.start_bot()
        full = await _weight(world)
        size = _file(world).stat().st_size / 1e6
    print(f"Resident memory after answering status and history, {FINISHED} finished releases ({size:.0f} MB on disk):")
    show([Figure("none", [empty], "MB"), Figure(f"{FINISHED}", [full], "MB")])
    ratio(f"{FINISHED} finished releases to none", full, empty)


async def _weight(world: World) -> float:
    for text in ("status", "history"):
        await world.slack.command(VIEWER.id, text)
    before = 0

    async def answered() -> bool:
        nonlocal before
        before, last = len(await world.slack.messages()), before
        return before > 1 and before == last

    await until(answered, what="answers", deadline=60)
    return float(psutil.Process(world.bot.pid).memory_info().rss) / 1e6 if world.bot else 0.0


async def _finished_releases(world: World) -> None:
    async with Store(f"sqlite+aiosqlite:///{_file(world)}") as store:
        now, plan = datetime.now(UTC), plan_out(_plan("prod", STEPS))
        async with store.writing() as session:
            for number in range(1, FINISHED + 1):
                at = now - timedelta(hours=number)
                own = {"environment": "prod", "plan": plan, "fingerprint": "f", "started_by": "U01REL"}
                session.add(ReleaseRow(number=number, state="succeeded", created_at=at, finished_at=at, **own))
            await session.flush()
            for number in range(1, FINISHED + 1):
                session.add_all(
                    StepRow(release=number, key=f"s{n}", position=n, state="done", facts={"n": n}) for n in range(STEPS)
                )
                for n in range(EVENTS):
                    said = {"text": f"Task {n}"}
                    await audit.append(session, release=number, kind="step.progress", at=now, data=said)
        desk = Desk(store, clock=SystemClock())
        async with store.reading() as session:
            last = (await session.execute(select(func.max(EventRow.id)))).scalar_one()
        await desk.move_cursor("narrator", since=await desk.cursor("narrator"), to=last)
