"""Requests and messages in the database. Every method is one committed transaction; each raises `Unavailable`.

Several replicas may share a PostgreSQL database: a row is one process's for a while (``holder``, ``held_until``). With
SQLite a process has the database to itself, so what another one held before it is free at once.
"""

from __future__ import annotations

import dataclasses
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Select, Table, and_, delete, func, literal, or_, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.slack.context import Attachment
from bot.slack.envelope import Envelope
from bot.slack.outbox import Row, Wish
from bot.slack.tables import intake, messages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.engine.store import Store
    from bot.ports import Clock

HELD = timedelta(seconds=60)  # longer than any call to Slack (`bot.slack.api.DEADLINE`)
KNOWN = timedelta(days=7)  # how long an answered request's id is kept; Slack repeats for minutes
_LOOSE: dict[str, Any] = {"holder": "", "held_until": None}


class _Shared:
    """What both tables have: a process that holds a row for a while."""

    def __init__(self, store: Store, *, clock: Clock, process: str = "", held: timedelta = HELD) -> None:
        """``process`` names this process; ``held`` is how long a row is one process's."""
        self._store, self._clock, self._process, self._held = store, clock, process or uuid4().hex[:32], held

    def _free(self, table: Table) -> ColumnElement[bool]:
        """Whether no other process holds the row."""
        c = table.c
        ended = or_(c.holder == self._process, c.held_until.is_(None), c.held_until < self._clock.now())
        return true() if self._store.sqlite else ended

    def _mine(self) -> dict[str, Any]:
        return {"holder": self._process, "held_until": self._clock.now() + self._held}

    async def _insert(self, session: AsyncSession, table: Table, values: Mapping[str, Any]) -> bool:
        """Insert a row unless its key is there; tell whether it was inserted."""
        insert: Any = sqlite.insert if self._store.sqlite else postgresql.insert
        new = insert(table).values(**values).on_conflict_do_nothing(index_elements=list(table.primary_key))
        result: Any = await session.execute(new)
        return bool(result.rowcount)


class SqlIntake(_Shared):
    """`bot.slack.intake.IntakeStore`."""

    async def take(self, envelope: Envelope) -> bool:
        """Store it; False when one of that id is there already."""
        row = {"id": envelope.id, "kind": envelope.kind, "body": dict(envelope.body), "received_at": self._clock.now()}
        async with self._store.writing() as session:
            return await self._insert(session, intake, {**row, "tries": 1, **self._mine()})

    async def claim(self) -> Sequence[tuple[Envelope, int]]:
        """Return what nobody finished nor works on, now this process's; what this process took is its own already."""
        c = intake.c
        left = and_(c.finished_at.is_(None), c.holder != self._process, self._free(intake))
        claim = update(intake).where(left).values(tries=c.tries + 1, **self._mine())
        async with self._store.writing() as session:
            await session.execute(delete(intake).where(c.finished_at < self._clock.now() - KNOWN))
            found = (await session.execute(claim.returning(c.id, c.kind, c.body, c.tries, c.received_at))).all()
        return [
            (Envelope(one.id, one.kind, one.body), one.tries) for one in sorted(found, key=lambda one: one.received_at)
        ]

    async def finish(self, envelope_id: str) -> None:
        """Note that it was answered. What was asked is forgotten; the id stays, to know a repetition by."""
        done = update(intake).where(intake.c.id == envelope_id).values(finished_at=self._clock.now(), body={})
        async with self._store.writing() as session:
            await session.execute(done)

    async def hold(self) -> None:
        """Go on holding what this process has not finished: long work outlives one hold."""
        mine = and_(intake.c.holder == self._process, intake.c.finished_at.is_(None))
        async with self._store.writing() as session:
            await session.execute(update(intake).where(mine).values(**self._mine()))


class SqlMessages(_Shared):
    """`bot.slack.outbox.MessageStore`."""

    async def put(self, key: str, wish: Wish) -> None:
        """Store what is wanted; nothing changes when it is wanted already. Channel and thread stay those of the first."""
        c, wanted = messages.c, _contents(wish)
        place = {"channel": wish.channel, "thread_key": wish.thread_key, "thread": wish.thread}
        own = {"key": key, "id": f"rb-{uuid4().hex[:20]}", "wanted": 1, "sent": 0, "ts": "", "error": "", **_LOOSE}
        new = {**own, **place, **wanted, "created_at": self._clock.now()}
        async with self._store.writing() as session:
            if await self._insert(session, messages, new):
                return
            there = (await session.execute(select(messages).where(c.key == key).with_for_update())).mappings().one()
            if any(there[name] != value for name, value in wanted.items()):
                await session.execute(update(messages).where(c.key == key).values(wanted=c.wanted + 1, **wanted))

    async def get(self, key: str) -> Row | None:
        """Return the message of that key."""
        rows = await self._rows(messages.c.key == key)
        return rows[0] if rows else None

    async def pending(self) -> Sequence[Row]:
        """Return what Slack has not got yet, oldest first."""
        return await self._rows(messages.c.sent < messages.c.wanted)

    async def _rows(self, which: ColumnElement[bool]) -> list[Row]:
        async with self._store.reading() as session:
            found = await session.execute(_with_parents(which))
            return [_row(dict(one)) for one in found.mappings()]

    async def intend(self, key: str) -> Row | None:
        """Note that it is being sent, now, and return it as it was before; None when another process is at it."""
        c, now = messages.c, self._clock.now()
        ours = and_(c.key == key, self._free(messages))
        since = func.coalesce(c.intended_at, literal(now, c.intended_at.type))
        async with self._store.writing() as session:
            found = await session.execute(_with_parents(ours).with_for_update(of=messages))
            row = found.mappings().one_or_none()
            if row is not None:
                await session.execute(update(messages).where(c.key == key).values(intended_at=since, **self._mine()))
            return _row(dict(row)) if row is not None else None

    async def confirm(self, key: str, *, ts: str, sent: int) -> None:
        """Note what Slack has."""
        await self._note(self._held_by_us(key), ts=ts, sent=sent, error="", **_LOOSE)

    async def forget(self, key: str) -> None:
        """Note that Slack has it not, for sure: no ts, no intent."""
        await self._note(self._held_by_us(key), ts="", sent=0, intended_at=None, **_LOOSE)

    async def fail(self, key: str, *, error: str) -> None:
        """Note why Slack does not take it."""
        await self._note(self._held_by_us(key), error=error, **_LOOSE)

    @property
    def held(self) -> float:
        """Seconds for which `intend` makes a row this process's; nobody else is there to take it on SQLite."""
        return math.inf if self._store.sqlite else self._held.total_seconds()

    def _held_by_us(self, key: str) -> ColumnElement[bool]:
        """Whether the row is still this process's: one that was taken over meanwhile is the other's to note."""
        return and_(messages.c.key == key, messages.c.holder == self._process)

    async def _note(self, which: ColumnElement[bool], **values: Any) -> None:
        async with self._store.writing() as session:
            await session.execute(update(messages).where(which).values(**values))


def _with_parents(which: ColumnElement[bool]) -> Select[Any]:
    """Select messages, oldest first, with the ts of the one whose thread each belongs to."""
    parent = messages.alias("parent")
    under = and_(messages.c.thread_key != "", parent.c.key == messages.c.thread_key)
    query = select(messages, func.coalesce(parent.c.ts, "").label("parent_ts")).outerjoin(parent, under)
    return query.where(which).order_by(messages.c.created_at, messages.c.key)


def _contents(wish: Wish) -> dict[str, Any]:
    """Return what a later wish may change."""
    file = dataclasses.asdict(wish.file) if wish.file else None
    blocks = [dict(one) for one in wish.blocks]
    return {"text": wish.text, "blocks": blocks, "broadcast": wish.broadcast, "final": wish.final, "file": file}


def _row(row: Mapping[str, Any]) -> Row:
    file = Attachment(**row["file"]) if row["file"] else None
    names = ("text", "blocks", "channel", "thread_key", "thread", "broadcast", "final")
    own = ("key", "id", "wanted", "sent", "ts", "intended_at", "created_at", "parent_ts", "error")
    wish = Wish(**{name: row[name] for name in names}, file=file)
    return Row(wish=wish, **{name: row[name] for name in own})
