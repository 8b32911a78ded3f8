"""Requests and messages in the database. Every method is one committed transaction.

Several replicas may share a PostgreSQL database: a row is held by one of them for a while (``holder``, ``held_until``).
With SQLite a process has the database to itself, so what another one held is free at once (``alone``).
"""

from __future__ import annotations

import contextlib
import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import and_, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from bot.domain.errors import Unavailable
from bot.slack.context import Attachment
from bot.slack.envelope import Envelope
from bot.slack.outbox import Row, Wish
from bot.slack.tables import intake, messages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from bot.ports import Clock

HELD = timedelta(seconds=60)  # longer than any call to Slack


class _Store:
    def __init__(self, engine: AsyncEngine, *, clock: Clock, alone: bool, holder: str = "") -> None:
        """``alone``: no other process works with this database. ``holder`` names this process."""
        self._engine, self._clock, self._alone = engine, clock, alone
        self._holder = holder or uuid4().hex[:20]

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except (SQLAlchemyError, OSError) as error:
            raise Unavailable(
                f"The database does not answer ({type(error).__name__}).", hint="releasebot doctor --only database"
            ) from error

    def _free(self, table: Table) -> ColumnElement[bool]:
        """Nobody holds the row, or this process does."""
        others = table.c.holder != self._holder
        if self._alone:
            return or_(others, ~others)
        return or_(~others, table.c.held_until.is_(None), table.c.held_until < self._clock.now())

    def _mine(self) -> dict[str, Any]:
        return {"holder": self._holder, "held_until": self._clock.now() + HELD}


class SqlIntake(_Store):
    """`bot.slack.intake.IntakeStore`."""

    async def take(self, envelope: Envelope) -> bool:
        """Store it; False when one of that id is there already."""
        now = self._clock.now()
        row = {"id": envelope.id, "kind": envelope.kind, "body": dict(envelope.body), "received_at": now, "tries": 1}
        try:
            async with self._transaction() as connection:
                await connection.execute(insert(intake).values(**row, **self._mine()))
        except IntegrityError as error:
            if await self._known(envelope.id):
                return False
            raise Unavailable("The database does not take the request.") from error
        return True

    async def _known(self, envelope_id: str) -> bool:
        async with self._transaction() as connection:
            found = await connection.execute(select(intake.c.id).where(intake.c.id == envelope_id))
            return found.first() is not None

    async def claim(self) -> Sequence[tuple[Envelope, int]]:
        """Return what nobody finished nor works on, now this process's; what this process took is its own already."""
        c = intake.c
        waiting = and_(c.finished_at.is_(None), c.holder != self._holder, self._free(intake))
        async with self._transaction() as connection:
            found = (await connection.execute(select(intake).where(waiting).order_by(c.received_at))).mappings().all()
            mine = []
            for row in found:
                same = and_(c.id == row["id"], c.holder == row["holder"], c.finished_at.is_(None))
                taken = await connection.execute(update(intake).where(same).values(tries=c.tries + 1, **self._mine()))
                if taken.rowcount:
                    mine.append((Envelope(row["id"], row["kind"], row["body"]), row["tries"] + 1))
        return mine

    async def finish(self, envelope_id: str) -> None:
        """Note that it was answered. What it said is forgotten; its id is kept, to know a repetition by."""
        values = {"finished_at": self._clock.now(), "body": {}}
        async with self._transaction() as connection:
            await connection.execute(update(intake).where(intake.c.id == envelope_id).values(**values))

    async def hold(self) -> None:
        """Go on holding what this process has not finished: long work outlives one hold."""
        mine = and_(intake.c.holder == self._holder, intake.c.finished_at.is_(None))
        async with self._transaction() as connection:
            await connection.execute(update(intake).where(mine).values(**self._mine()))


class SqlMessages(_Store):
    """`bot.slack.outbox.MessageStore`."""

    async def put(self, key: str, wish: Wish) -> None:
        """Store what is wanted; nothing changes when it is wanted already. Channel and thread stay those of the first."""
        wanted = _columns(wish)
        if await self._changed(key, wanted):
            return
        fixed = {
            "key": key,
            "id": f"rb-{uuid4().hex[:20]}",
            "wanted": 1,
            "sent": 0,
            "ts": "",
            "error": "",
            "holder": "",
        }
        place = {"channel": wish.channel, "thread_key": wish.thread_key, "thread": wish.thread}
        values = {**fixed, **place, **wanted, "created_at": self._clock.now()}
        try:
            async with self._transaction() as connection:
                await connection.execute(insert(messages).values(**values))
        except IntegrityError as error:  # another process put it first, just now
            if not await self._changed(key, wanted):
                raise Unavailable("The database does not take the message.") from error

    async def _changed(self, key: str, wanted: dict[str, Any]) -> bool:
        """Update the row if it is there; False when it is not."""
        c = messages.c
        async with self._transaction() as connection:
            query = select(messages).where(c.key == key).with_for_update()
            row = (await connection.execute(query)).mappings().one_or_none()
            if row is not None and any(row[name] != value for name, value in wanted.items()):
                await connection.execute(update(messages).where(c.key == key).values(wanted=c.wanted + 1, **wanted))
        return row is not None

    async def get(self, key: str) -> Row | None:
        """Return the message of that key."""
        rows = await self._rows(messages.c.key == key)
        return rows[0] if rows else None

    async def pending(self) -> Sequence[Row]:
        """Return what Slack has not got yet, oldest first."""
        return await self._rows(messages.c.sent < messages.c.wanted)

    async def _rows(self, which: ColumnElement[bool]) -> list[Row]:
        parent = messages.alias("parent")
        query = (
            select(messages, func.coalesce(parent.c.ts, "").label("parent_ts"))
            .outerjoin(parent, and_(parent.c.key == messages.c.thread_key, messages.c.thread_key != ""))
            .where(which)
            .order_by(messages.c.created_at, messages.c.key)
        )
        async with self._transaction() as connection:
            return [_row(one) for one in (await connection.execute(query)).mappings()]

    async def intend(self, key: str) -> bool:
        """Note that it is being sent, now; False when another process is at it."""
        c = messages.c
        since = func.coalesce(c.intended_at, literal(self._clock.now(), c.intended_at.type))
        return await self._note(and_(c.key == key, self._free(messages)), intended_at=since, **self._mine())

    async def confirm(self, key: str, *, ts: str, sent: int) -> None:
        """Note what Slack has."""
        await self._note(messages.c.key == key, ts=ts, sent=sent, error="", **_LOOSE)

    async def forget(self, key: str) -> None:
        """Note that Slack has it not, for sure: no ts, no intent."""
        await self._note(messages.c.key == key, ts="", sent=0, intended_at=None, **_LOOSE)

    async def fail(self, key: str, *, error: str) -> None:
        """Note why Slack does not take it."""
        await self._note(messages.c.key == key, error=error, **_LOOSE)

    async def _note(self, which: ColumnElement[bool], **values: Any) -> bool:
        async with self._transaction() as connection:
            return bool((await connection.execute(update(messages).where(which).values(**values))).rowcount)


_LOOSE: dict[str, Any] = {"holder": "", "held_until": None}


def _columns(wish: Wish) -> dict[str, Any]:
    """Return what of a wish may change."""
    file = dataclasses.asdict(wish.file) if wish.file else None
    blocks = [dict(one) for one in wish.blocks]
    return {"text": wish.text, "blocks": blocks, "broadcast": wish.broadcast, "final": wish.final, "file": file}


def _row(row: Any) -> Row:
    file = Attachment(**row["file"]) if row["file"] else None
    names = ("text", "blocks", "channel", "thread_key", "thread", "broadcast", "final")
    wish = Wish(**{name: row[name] for name in names}, file=file)
    own = ("key", "id", "wanted", "sent", "ts", "intended_at", "created_at", "parent_ts", "error")
    return Row(wish=wish, **{name: row[name] for name in own})
