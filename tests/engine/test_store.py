"""The database: one process at a time on SQLite, several on PostgreSQL, and a sentence for whatever fails."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event, select, text

from bot.domain.errors import BadSettings, Conflict
from bot.engine import audit, schema
from bot.engine.store import Store, StoreUnavailable, revision
from bot.engine.tables import Base, CursorRow, EventRow, UtcTime
from bot.slack.tables import metadata as slack_tables

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncSession

    from tests.engine.postgres import Cluster


async def test_migrations_make_exactly_the_tables_that_the_code_has(empty_url: str) -> None:
    async with Store(empty_url) as store, store.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, [Base.metadata, slack_tables]))  # type: ignore[arg-type]  # several are allowed


async def test_an_upgrade_is_repeatable_and_keeps_data(empty_url: str) -> None:
    assert await revision(empty_url, upgrade=False) == ""
    first = await revision(empty_url, upgrade=True)
    async with Store(empty_url) as store:
        async with store.writing() as session:
            session.add(CursorRow(name="narrator", position=7))
        await schema.upgrade(store.engine)
        async with store.reading() as session:
            row = await session.get(CursorRow, "narrator")
            assert row is not None
            assert row.position == 7
    assert await revision(empty_url, upgrade=True) == first


async def test_of_bots_that_start_at_once_on_postgresql_one_makes_the_tables(postgres: Cluster) -> None:
    url = postgres.fresh()
    stores = await asyncio.gather(*(Store(url).open() for _ in range(4)))
    for store in stores:
        await store.answers()
        await store.close()


async def test_what_raises_leaves_nothing_behind(url: str) -> None:
    async with Store(url) as store:

        async def half() -> None:
            async with store.writing() as session:
                session.add(CursorRow(name="narrator", position=7))
                await session.flush()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await half()
        async with store.reading() as session:
            assert await session.get(CursorRow, "narrator") is None


async def test_times_come_back_in_utc_and_a_naive_one_is_refused(url: str) -> None:
    berlin = datetime(2026, 11, 23, 13, 30, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
    async with Store(url) as store:
        async with store.writing() as session:
            await audit.append(session, release=None, kind="test", at=berlin)
        async with store.reading() as session:
            found = (await session.scalars(select(EventRow.at))).one()
    assert found == berlin
    assert found.tzinfo is UTC
    with pytest.raises(ValueError, match="zone"):
        UtcTime().process_bind_param(datetime(2026, 1, 1), None)  # type: ignore[arg-type]  # noqa: DTZ001


async def test_sqlite_writes_are_on_the_disk_when_they_are_committed(tmp_path: Path) -> None:
    async with Store(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}") as store, store.reading() as session:
        wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
        for name, value in wanted.items():
            assert (await session.execute(text(f"PRAGMA {name}"))).scalar() == value


def _hold(url: str, ready: object, leave: object) -> None:
    async def hold() -> None:
        async with Store(url):
            ready.set()  # type: ignore[attr-defined]
            leave.wait(20)  # type: ignore[attr-defined]

    asyncio.run(hold())


async def test_a_second_process_on_the_same_file_is_told_which_has_it(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}"
    context = multiprocessing.get_context("forkserver")
    ready, leave = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(url, ready, leave))
    other.start()
    assert await asyncio.to_thread(ready.wait, 20)
    with pytest.raises(Conflict, match=f"in use by process {other.pid}"):
        await Store(url).open()
    leave.set()
    await asyncio.to_thread(other.join, 20)
    async with Store(url) as store:
        await store.answers()


async def test_a_full_disk_is_said_and_passes(tmp_path: Path) -> None:
    async with Store(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}") as store:
        async with store.engine.connect() as connection:
            pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar()

        async def grow() -> None:
            async with store.writing() as session:
                for _ in range(50):
                    await _event(session, "y" * 5000)

        _limit(store, int(pages or 0))
        with pytest.raises(StoreUnavailable, match="disk is full") as caught:
            await grow()
        assert "make room" in caught.value.hint
        _limit(store, 1_000_000)
        await grow()


def _limit(store: Store, pages: int) -> None:
    """Let the file grow no further: SQLite then says what it says on a full disk."""

    def limited(connection: object, _record: object, _proxy: object = None) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute(f"PRAGMA max_page_count={pages}")
        cursor.close()

    event.listen(store.engine.sync_engine, "checkout", limited)


async def _event(session: AsyncSession, words: str) -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    await audit.append(session, release=None, kind="test", at=at, data={"words": words})


async def test_a_postgresql_that_is_away_is_said_and_comes_back(postgres: Cluster) -> None:
    async with Store(postgres.fresh()) as store:
        await store.answers()
        await asyncio.to_thread(postgres.stop)
        try:
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await store.answers()
        finally:
            await asyncio.to_thread(postgres.start)
        await store.answers()


async def test_a_postgresql_that_dies_in_a_transaction_is_said(postgres: Cluster) -> None:
    async with Store(postgres.fresh()) as store:

        async def interrupted() -> None:
            async with store.writing() as session:
                await _event(session, "half")
                await asyncio.to_thread(postgres.stop)

        try:
            with pytest.raises(StoreUnavailable):
                await interrupted()
        finally:
            await asyncio.to_thread(postgres.start)
        async with store.reading() as session:
            assert (await session.scalars(select(EventRow))).all() == []


async def test_a_user_that_is_not_let_in_is_said_without_showing_the_address(postgres: Cluster) -> None:
    url = postgres.fresh().replace("bot@", "nobody@")
    with pytest.raises(StoreUnavailable) as caught:
        await Store(url).open()
    assert "nobody" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://x", "postgresql+psycopg://x/y", "sqlite+aiosqlite://"])
async def test_a_database_that_cannot_keep_releases_is_refused(url: str) -> None:
    with pytest.raises(BadSettings):
        await Store(url).open()


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = await Store(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}").open()
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.answers()


async def test_a_task_that_is_cancelled_anywhere_leaves_the_database_to_the_next(url: str) -> None:
    """Cut off in the middle of a statement, SQLite would keep the lock of a connection that is closed already."""
    moments = random.Random(1)  # noqa: S311  # moments, not secrets
    async with Store(url) as store:

        async def write(position: int) -> None:
            async with store.writing() as session:
                await session.merge(CursorRow(name="narrator", position=position))
                await session.flush()

        for number in range(150):
            task = asyncio.create_task(write(number))
            for _ in range(moments.randrange(60)):
                await asyncio.sleep(0)
            await asyncio.sleep(moments.choice((0, 0.001, 0.002)))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with asyncio.timeout(4):
                await write(-1)
