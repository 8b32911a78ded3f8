"""Stores in memory, for what does not depend on a database. They outlive a bot that is killed, as a database does."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from bot.domain.errors import Unavailable
from bot.slack.outbox import Row, Wish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.slack.envelope import Envelope


class RealClock:
    """The clock itself."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, *, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Messages:
    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.gone = False  # the database does not answer

    def _answer(self) -> None:
        if self.gone:
            raise Unavailable("The database does not answer.")

    async def put(self, key: str, wish: Wish) -> None:
        self._answer()
        old = self.rows.get(key)
        if old is None:
            self.rows[key] = Row(key, f"rb-{uuid4().hex[:20]}", wish, wanted=1, created_at=datetime.now(UTC))
        elif (old.wish.text, old.wish.blocks, old.wish.final) != (wish.text, wish.blocks, wish.final):
            kept = dataclasses.replace(
                wish, channel=old.wish.channel, thread=old.wish.thread, thread_key=old.wish.thread_key
            )
            self.rows[key] = dataclasses.replace(old, wish=kept, wanted=old.wanted + 1)

    async def get(self, key: str) -> Row | None:
        self._answer()
        row = self.rows.get(key)
        parent = self.rows.get(row.wish.thread_key) if row else None
        return dataclasses.replace(row, parent_ts=parent.ts) if row and parent else row

    async def pending(self) -> Sequence[Row]:
        self._answer()
        found = [await self.get(row.key) for row in self.rows.values() if row.sent < row.wanted]
        return [row for row in found if row]

    held = math.inf

    async def intend(self, key: str) -> Row | None:
        self._answer()
        before = await self.get(key)
        row = self.rows[key]
        self.rows[key] = dataclasses.replace(row, intended_at=row.intended_at or datetime.now(UTC))
        return before

    async def confirm(self, key: str, *, ts: str, sent: int) -> None:
        self._answer()
        self.rows[key] = dataclasses.replace(self.rows[key], ts=ts, sent=sent, error="")

    async def forget(self, key: str) -> None:
        self._answer()
        self.rows[key] = dataclasses.replace(self.rows[key], ts="", sent=0, intended_at=None)

    async def fail(self, key: str, *, error: str) -> None:
        self._answer()
        self.rows[key] = dataclasses.replace(self.rows[key], error=error)


class Requests:
    def __init__(self) -> None:
        self.rows: dict[str, Envelope] = {}
        self.done: set[str] = set()
        self.mine: set[str] = set()
        self.tries: dict[str, int] = {}
        self.stuck: asyncio.Event | None = None  # the database does not answer until it is set

    async def take(self, envelope: Envelope) -> bool:
        if self.stuck:
            await self.stuck.wait()
        new = envelope.id not in self.rows
        self.rows.setdefault(envelope.id, envelope)
        self.mine.add(envelope.id)
        self.tries.setdefault(envelope.id, 1)
        return new

    async def claim(self) -> Sequence[tuple[Envelope, int]]:
        left = [one for one in self.rows.values() if one.id not in self.done | self.mine]
        for one in left:
            self.mine.add(one.id)
            self.tries[one.id] += 1
        return [(one, self.tries[one.id]) for one in left]

    async def finish(self, envelope_id: str) -> None:
        self.done.add(envelope_id)

    async def hold(self) -> None:
        """Nobody else is there."""

    def killed(self) -> None:
        """The process that worked on them is gone."""
        self.mine.clear()
