"""The database: SQLite on a local disk, held by one process, or PostgreSQL shared by several."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from bot.domain.errors import BadSettings, Conflict, Unavailable
from bot.engine import schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_BUSY = 5000  # milliseconds that SQLite waits for another writer


class StoreUnavailable(Unavailable):
    """The bot's own database does not answer, or cannot write."""


class Store:
    """Transactions, and nothing else. Every failure of the database becomes `StoreUnavailable` here."""

    def __init__(self, url: str, *, look: bool = False) -> None:
        """``url`` is an SQLAlchemy URL; raises `BadSettings` for a database that is neither SQLite nor PostgreSQL.

        With ``look`` it only reads: it takes no lock file, changes no tables, and may look while the bot runs.
        """
        self._look = look
        self._url = make_url(url)
        self.sqlite = self._url.get_backend_name() == "sqlite"
        if not self.sqlite and self._url.get_driver_name() != "asyncpg":
            raise BadSettings(
                f"database.url names {self._url.drivername}; expected sqlite+aiosqlite or postgresql+asyncpg.",
                hint="releasebot config example",
            )
        self._lock: Any = None
        # SQLite's writers wait for each other by sleeping; in one process they can take turns instead.
        self._turn: AbstractAsyncContextManager[Any] = asyncio.Lock() if self.sqlite else nullcontext()
        self._engine: AsyncEngine | None = None
        self._write: async_sessionmaker[AsyncSession] | None = None
        self._read: async_sessionmaker[AsyncSession] | None = None

    async def open(self) -> Self:
        """Take the lock file (SQLite), connect, and bring the tables to this version.

        Raises `Conflict` naming the process that has the file, `StoreUnavailable` when the database does not answer.
        """
        if self.sqlite and not self._look:
            self._take_lock()
        try:
            self._engine = engine(self._url.render_as_string(hide_password=False))
            async with translated():
                await (self._demand_current() if self._look else schema.upgrade(self._engine))
        except BaseException:
            await self.close()
            raise
        self._write = None if self._look else async_sessionmaker(self._engine, expire_on_commit=False)
        self._read = async_sessionmaker(self._engine.execution_options(readonly=True), expire_on_commit=False)
        return self

    @property
    def engine(self) -> AsyncEngine:
        """The engine, for the tables that are not the engine's own; raises `StoreUnavailable` when closed."""
        if self._engine is None:
            raise StoreUnavailable("The database is closed.")
        return self._engine

    async def close(self) -> None:
        """Disconnect, and give the lock file back."""
        self._write = self._read = None
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def __aenter__(self) -> Self:
        """Open."""
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction that commits at its end; nothing of it stays when it raises."""
        if self._write is None:
            raise StoreUnavailable("The database is closed.")
        async with self._turn, translated(), self._write.begin() as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction that sees one moment and writes nothing."""
        if self._read is None:
            raise StoreUnavailable("The database is closed.")
        async with translated(), self._read.begin() as session:
            yield session

    async def _demand_current(self) -> None:
        file = self._url.database or ""
        if self.sqlite and not await asyncio.to_thread(Path(file).is_file):
            raise Conflict(f"There is no database {file}.", hint="the settings' database.url; or start the bot first")
        found, wanted = await schema.current(self.engine), schema.newest()
        if found != wanted:
            raise Conflict(
                f"The database's tables are at revision {found or 'none'}, this bot's at {wanted}.",
                hint="releasebot db upgrade, while no other bot uses it",
            )

    async def answers(self) -> None:
        """Raise `StoreUnavailable` unless the database answers."""
        async with self.reading() as session:
            await session.execute(text("SELECT 1"))

    def _take_lock(self) -> None:
        file = self._url.database
        if not file or file == ":memory:":
            raise BadSettings(
                "database.url names no file; a release must outlive the process.", hint="releasebot config example"
            )
        path = Path(f"{file}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("a+")
        except OSError as error:
            raise StoreUnavailable(
                f"Cannot open {path}: {error.strerror}.", hint="check database.url and the disk"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            lock.close()
            raise Conflict(
                f"{file} is in use by process {holder}.", hint="one bot at a time on SQLite; use PostgreSQL for several"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock


def engine(url: str) -> AsyncEngine:
    """Make an engine. SQLite: WAL, full synchronisation, foreign keys, and writers that take their turn at BEGIN."""
    if not url.startswith("sqlite"):
        return create_async_engine(
            url, pool_pre_ping=True, pool_size=10, connect_args={"timeout": 5, "command_timeout": 30}
        )
    made = create_async_engine(url)

    def on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def on_begin(connection: Any) -> None:
        readonly = connection.get_execution_options().get("readonly")
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    def on_invalidate(connection: Any, _record: object, _error: BaseException | None) -> None:
        """Roll back: a statement cut off in the middle (a task was cancelled) keeps a closed connection's lock alive."""
        connection.rollback()

    event.listen(made.sync_engine, "connect", on_connect)
    event.listen(made.sync_engine, "invalidate", on_invalidate)
    event.listen(made.sync_engine, "begin", on_begin)
    return made


async def revision(url: str, *, upgrade: bool) -> str:
    """Return the revision of a database's tables, after bringing them to this version where that is asked."""
    opened = engine(url)
    try:
        async with translated():
            if upgrade:
                await schema.upgrade(opened)
            return await schema.current(opened)
    finally:
        await opened.dispose()


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Turn what the database driver raises into a sentence."""
    try:
        yield
    except (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if isinstance(error, SQLAlchemyError) and not isinstance(error, DBAPIError | PoolTimeout):
            raise  # wrong use of SQLAlchemy is a bug of ours
        raise StoreUnavailable(_sentence(str(error).lower()), hint=_hint(str(error).lower())) from error


def _sentence(why: str) -> str:
    if "disk is full" in why or "no space left" in why or "disk full" in why:
        return "The bot's disk is full: nothing can be written down, so nothing is done."
    if "locked" in why:
        return "The bot's database is locked by another process."
    if "readonly" in why or "read-only" in why:
        return "The bot's database cannot be written to."
    return "The bot's database does not answer."


def _hint(why: str) -> str:
    if "full" in why or "no space" in why:
        return "make room on the bot's disk; the release goes on by itself"
    if "locked" in why:
        return "end the program that has the database file open; the release goes on by itself"
    return "releasebot doctor --only database"
