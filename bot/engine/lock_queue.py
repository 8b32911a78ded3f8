"""The queue for an environment: joins, leaves, tells whose turn it is. Each change is one transaction, shown in Slack after it.

What Slack is to show is drawn from the row, and the row notes what was: a kill in between loses nothing and repeats nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from bot.domain.errors import Conflict, NotAllowed
from bot.domain.queue import Ended, Waiting, in_line
from bot.engine import audit, waits
from bot.engine.schedule_tables import LockWaitRow
from bot.engine.tables import LockRow
from bot.views import locks as views

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.readmodel import Person
    from bot.engine.authors import Outbox
    from bot.engine.store import Store
    from bot.ports import Clock

TOLD = "told"


@dataclass(slots=True)
class LockQueue:
    """What commands and the timer ask of the queue. ``claim``: how long a free environment is kept for who is next."""

    store: Store
    outbox: Outbox
    clock: Clock
    claim: timedelta

    async def line(self, environment: str) -> tuple[Waiting, ...]:
        """Return who waits, the first in front."""
        async with self.store.reading() as session:
            return in_line(await waits.waiting(session, environment), self.clock.now())

    async def join(self, environment: str, *, by: Person, source: str = "") -> tuple[Waiting, ...]:
        """Wait for an environment, at the end of the line; who waits already keeps their place.

        Raises `Conflict` where there is nothing to wait for: it is free, or one's own.
        """
        now = self.clock.now()
        await self._expire(environment)
        async with self.store.writing() as session:
            line = in_line(await waits.waiting(session, environment), now)
            held = await session.get(LockRow, environment)
            _demand_held(environment, held, line, by)
            if await waits.join(session, environment, person=by.slack, now=now):
                await self._event(session, "lock.awaited", by.slack, {"environment": environment}, source)
            return in_line(await waits.waiting(session, environment), now)

    async def leave(self, number: int, *, by: Person, source: str = "") -> Waiting:
        """Wait no longer, or let one's turn go by. Raises `NotAllowed` for somebody else's place, `Conflict` when it has ended."""
        async with self.store.writing() as session:
            row = await session.get(LockWaitRow, number)
            if row is None or row.ended:
                raise Conflict("You do not wait there any more; nothing was changed.", hint="/release lock")
            if row.person != by.slack and "admin" not in by.roles:
                raise NotAllowed(f"That is <@{row.person}>'s place; nothing was changed.", hint="/release lock")
            if not await waits.end(session, number, Ended.LEFT, now=self.clock.now()):
                raise Conflict("That has changed this moment; nothing was changed.", hint="/release lock")
            data = {"environment": row.environment, "person": row.person}
            await self._event(session, "lock.left", by.slack, data, source)
            left = waits.wait(row)
        await self.turn()
        return left

    async def turn(self) -> int:
        """Tell whose turn it is wherever an environment is free, and show what has changed; returns how many were told."""
        async with self.store.reading() as session:
            query = select(LockWaitRow.environment).where(LockWaitRow.ended == Ended.NOT).distinct()
            environments = (await session.scalars(query)).all()
        told = 0
        for environment in environments:
            await self._expire(environment)
            async with self.store.writing() as session:
                told += await self._tell_next(session, environment)
        await self._show()
        return told

    async def _expire(self, environment: str) -> None:
        """Who let the time go by is out, for everybody to see. Each in a transaction of its own: the log comes last in all of them."""
        now = self.clock.now()
        async with self.store.reading() as session:
            over = [one for one in await waits.waiting(session, environment) if one.over(now)]
        for one in over:
            async with self.store.writing() as session:
                if await waits.end(session, one.id, Ended.RAN_OUT, now=now):
                    data = {"environment": environment, "person": one.person}
                    await self._event(session, "lock.ran_out", "", data)

    async def _tell_next(self, session: AsyncSession, environment: str) -> int:
        """Note that the first in line may take it, if it is free; of several replicas, one does."""
        now = self.clock.now()
        line = in_line(await waits.waiting(session, environment), now)
        held = await session.get(LockRow, environment)
        if not line or line[0].told_at or held is not None:
            return 0
        first = line[0]
        query = update(LockWaitRow).where(
            LockWaitRow.id == first.id, LockWaitRow.ended == Ended.NOT, LockWaitRow.told_at.is_(None)
        )
        query = query.values(told_at=now, claim_until=now + self.claim)
        done: Any = await session.execute(query.execution_options(synchronize_session=False))
        if done.rowcount:
            await self._event(session, "lock.offered", "", {"environment": environment, "person": first.person})
        return int(done.rowcount)

    async def _show(self) -> None:
        """Put what is not shown yet into the outbox; a message of that key is there once, however often it is put."""
        state = LockWaitRow.ended
        async with self.store.reading() as session:
            query = select(LockWaitRow).where(LockWaitRow.told_at.is_not(None))
            query = query.where((LockWaitRow.shown == "") | ((state != Ended.NOT) & (LockWaitRow.shown != state)))
            rows = [(waits.wait(row), row.ended_at) for row in await session.scalars(query.order_by(LockWaitRow.id))]
        for one, ended_at in rows:
            message = views.turn(one, ended_at)
            await self.outbox.put(f"lock-wait-{one.id}", text=message.text, blocks=message.blocks)
            async with self.store.writing() as session:
                shown = update(LockWaitRow).where(LockWaitRow.id == one.id, LockWaitRow.ended == one.ended)
                await session.execute(shown.values(shown=one.ended or TOLD))

    async def _event(
        self, session: AsyncSession, kind: str, by: str, data: Mapping[str, object], source: str = ""
    ) -> None:
        now = self.clock.now()
        await audit.append(session, release=None, kind=kind, at=now, by=by, source=source, data=data)


def _demand_held(environment: str, lock: LockRow | None, line: tuple[Waiting, ...], by: Person) -> None:
    if lock is not None and lock.owner == by.slack and lock.release is None:
        raise Conflict(f"{environment} is yours already; nothing was changed.", hint=f"/release unlock {environment}")
    if lock is None and (not line or line[0].person == by.slack):
        raise Conflict(f"{environment} is free; nothing was changed.", hint=f"/release lock {environment} REASON")
