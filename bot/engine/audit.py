"""Writes the log of events and reads it back: chained, append-only, one writer at a time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, inspect, select, text

from bot.domain.audit import BEGINNING, Chain, Entry, Link, Verdict, digest, source_parts
from bot.domain.errors import Conflict
from bot.engine import schema
from bot.engine.readings import name_of
from bot.engine.store import engine, translated
from bot.engine.tables import ChainRow, EventRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

CHAIN = "events"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 500
GUARDS = {
    "events_follow",
    "events_noted",
    "events_kept",
    "events_held",
}  # triggers on SQLite; PostgreSQL has the first three


async def append(
    session: AsyncSession,
    *,
    release: int | None,
    kind: str,
    at: datetime,
    step: str = "",
    by: str = "",
    source: str = "",
    data: Mapping[str, Any] | None = None,
) -> None:
    """Add an event behind the newest one.

    The row of the newest is locked until the transaction ends: numbers have no gaps, and a reader that has seen number n has
    seen all before it. A trigger notes the new event as the newest.
    """
    position, previous = await turn(session)
    entry = Entry(position + 1, release, step, kind, at, by, source, dict(data or {}))
    await session.execute(
        insert(EventRow).values(
            id=entry.id,
            release=release,
            step=step,
            kind=kind,
            at=at,
            by=by,
            source=source,
            data=entry.data,
            previous=previous,
            hash=digest(entry, previous),
        )
    )


async def turn(session: AsyncSession) -> tuple[int, str]:
    """Wait until no other transaction is adding events, and return number and hash of the newest.

    Of two transactions that do this, the second sees all that the first one wrote.
    """
    query = select(ChainRow.position, ChainRow.hash).where(ChainRow.name == CHAIN).with_for_update()
    position, newest = (await session.execute(query)).one()
    return position, newest


async def verify(url: str, *, seen: str = "") -> Verdict:
    """Read the whole chain. ``seen``: a hash that an earlier `verify` printed, which must still be part of it.

    Raises `Conflict` for a database of another version.
    """
    chain, found = Chain(), not seen or seen == BEGINNING
    async with _opened(url) as connection:
        if missing := await connection.run_sync(_unguarded):
            return _verdict(chain, f"the database no longer refuses changes: {', '.join(missing)} missing")
        async for link in _links(connection):
            if fault := chain.fault(link):
                return _verdict(chain, fault)
            found = found or link.hash == seen
        noted = (
            await connection.execute(select(ChainRow.position, ChainRow.hash).where(ChainRow.name == CHAIN))
        ).first()
    if noted is None:
        return _verdict(chain, "the note of the newest event is missing")
    fault = chain.end_fault(noted.position, noted.hash)
    return _verdict(chain, fault or ("" if found else f"the event of the hash {seen[:64]} is not in the log"))


async def export(
    url: str, *, since: datetime | None = None, release: int | None = None
) -> AsyncIterator[dict[str, Any]]:
    """Yield every event as plain values, oldest first. The hashes go with it, so that a copy can be held against the log."""
    async with _opened(url) as connection:
        async for link in _links(connection, since=since, release=release):
            yield _plain(link)


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[AsyncConnection]:
    """Open a database to read one moment of it, also while a bot works with it."""
    opened = engine(url)
    if opened.dialect.name == "sqlite":
        reader = opened.execution_options(readonly=True)
    else:
        reader = opened.execution_options(isolation_level="REPEATABLE READ")
    try:
        async with translated():
            newest, current = schema.newest(), await schema.current(opened)
            if current != newest:
                raise Conflict(
                    f"The database is at revision {current or 'none'}, not {newest}.", hint="releasebot db upgrade"
                )
            async with reader.connect() as connection:
                yield connection
    finally:
        await opened.dispose()


async def _links(
    connection: AsyncConnection, *, since: datetime | None = None, release: int | None = None
) -> AsyncIterator[Link]:
    table, after = EventRow.__table__, -(2**62)
    query = select(table).order_by(table.c.id).limit(_BATCH)
    if since is not None:
        query = query.where(table.c.at >= since)
    if release is not None:
        query = query.where(table.c.release == release)
    while links := await _batch(connection, query.where(table.c.id > after)):
        for link in links:
            yield link
        after = links[-1].entry.id


async def _batch(connection: AsyncConnection, query: Any) -> list[Link]:
    """Read some events. Where one cannot even be read, it stands there with its number alone and the hash of nothing."""
    try:
        return [_link(row) for row in await connection.execute(query)]
    except (TypeError, ValueError):
        table = EventRow.__table__
        numbers = (await connection.execute(query.with_only_columns(table.c.id))).scalars().all()
        if len(numbers) == 1:
            return [Link(Entry(numbers[0], None, "", "unreadable", EPOCH, "", "", {}), "", "")]
        return [
            one for number in numbers for one in await _batch(connection, select(table).where(table.c.id == number))
        ]


def _link(row: Any) -> Link:
    entry = Entry(row.id, row.release, row.step, row.kind, row.at, row.by, row.source, row.data)
    return Link(entry, row.previous, row.hash)


def _plain(link: Link) -> dict[str, Any]:
    entry = link.entry
    return {
        "id": entry.id,
        "at": entry.at.isoformat(timespec="microseconds"),
        "who": entry.by or "releasebot",
        "what": entry.kind,
        "release": name_of(entry.release) if entry.release else "",
        "step": entry.step,
        "from": dict(source_parts(entry.source)),
        "data": entry.data,
        "previous": link.previous,
        "hash": link.hash,
    }


def _verdict(chain: Chain, fault: str) -> Verdict:
    return Verdict(chain.count, chain.position, chain.hash, fault)


def _unguarded(connection: Connection) -> list[str]:
    """Return the triggers that should refuse changes and are not there, or are switched off."""
    if inspect(connection).dialect.name == "sqlite":
        there = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        wanted = GUARDS
    else:
        there = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"
        wanted = GUARDS - {"events_held"} | {"events_whole"}
    return sorted(wanted - set(connection.execute(text(there)).scalars()))
