"""Reminders of what waits for a person: an open question, a release that stands still, a lock that nobody seems to need.

Of a release the log is told, so the narrator puts the reminder into its thread. Approvals have reminders of their own (the gate).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.domain.errors import NotAllowed
from bot.domain.release import ReleaseState
from bot.engine import audit
from bot.engine.approvals import PURPOSE
from bot.engine.readings import lock_view
from bot.engine.schedule_tables import ReminderRow
from bot.engine.tables import EventRow, LockRow, QuestionRow, ReleaseRow
from bot.views import locks as views

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.readmodel import LockView, Person
    from bot.domain.reminding import Pace
    from bot.engine.authors import Outbox
    from bot.engine.store import Store
    from bot.ports import Clock

QUESTION, RELEASE, LOCK = "question.reminded", "release.reminded", "lock.reminded"
_STANDING = (ReleaseState.PAUSED, ReleaseState.STOPPED)


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that waits for a person since a moment. ``lock`` is set where it is one."""

    key: str
    since: datetime
    kind: str
    data: Mapping[str, object] = field(default_factory=dict)
    release: int | None = None
    step: str = ""
    lock: LockView | None = None


@dataclass(slots=True)
class Reminders:
    """What the timer asks, and the answer to "still needed?". ``waiting`` is the pace for releases, ``locks`` for locks."""

    store: Store
    outbox: Outbox
    clock: Clock
    waiting: Pace
    locks: Pace

    async def turn(self) -> int:
        """Remind of everything that is due; of several replicas, one does. Returns how many reminders there were."""
        now, done = self.clock.now(), 0
        async with self.store.reading() as session:
            found = [*await _questions(session), *await _standing(session), *await _locks(session)]
            known = {row.subject: row for row in await session.scalars(select(ReminderRow))}
        for one in found:
            row = known.get(one.key)
            pace = self.locks if one.lock else self.waiting
            last, times = (row.last_at, row.times) if row else (None, 0)
            if pace.due(since=one.since, last=last, times=times, now=now):
                done += await self._remind(one, row)
        await self._forget([key for key in known if key not in {one.key for one in found}])
        return done

    async def keep(self, lock: LockView, *, by: Person, source: str = "") -> None:
        """Note that a lock is still needed: it is asked again only later. Raises `NotAllowed` for somebody else's."""
        if lock.owner != by.slack and "admin" not in by.roles:
            raise NotAllowed(f"The lock is <@{lock.owner}>'s; nothing was changed.", hint="ask them, or an admin")
        key, now = _lock_key(lock.environment, lock.since), self.clock.now()
        async with self.store.writing() as session:
            new = self._insert(key, times=0)
            await session.execute(new.on_conflict_do_update(index_elements=["subject"], set_={"last_at": now}))
            data = {"environment": lock.environment}
            await audit.append(session, release=None, kind="lock.kept", at=now, by=by.slack, source=source, data=data)

    async def _remind(self, one: Subject, row: ReminderRow | None) -> bool:
        """Write it down, and with it the event that the narrator tells of. A lock's message stands in the outbox before."""
        now = self.clock.now()
        if one.lock:
            key = f"lock-needed-{one.lock.environment}-{int(one.since.timestamp())}-{row.times if row else 0}"
            message = views.needed(one.lock, key)
            await self.outbox.put(key, text=message.text, blocks=message.blocks)
        async with self.store.writing() as session:
            if not await self._noted(session, one.key, row, now):
                return False
            await audit.append(session, release=one.release, kind=one.kind, at=now, step=one.step, data=one.data)
        return True

    async def _noted(self, session: AsyncSession, key: str, row: ReminderRow | None, now: datetime) -> bool:
        """Move on from what was read, unless another replica has."""
        if row is None:
            first: Any = await session.execute(self._insert(key, times=1).on_conflict_do_nothing())
            return bool(first.rowcount)
        query = update(ReminderRow).where(
            ReminderRow.subject == key, ReminderRow.times == row.times, ReminderRow.last_at == row.last_at
        )
        moved: Any = await session.execute(query.values(times=row.times + 1, last_at=now))
        return bool(moved.rowcount)

    async def _forget(self, gone: Sequence[str]) -> None:
        """What waits no longer is not kept: its key never comes back."""
        if not gone:
            return
        async with self.store.writing() as session:
            for key in gone:
                row = await session.get(ReminderRow, key)
                if row is not None:
                    await session.delete(row)

    def _insert(self, key: str, *, times: int) -> Any:
        insert: Any = sqlite.insert if self.store.sqlite else postgresql.insert
        return insert(ReminderRow).values(subject=key, times=times, last_at=self.clock.now())


async def _questions(session: AsyncSession) -> list[Subject]:
    """Return what a running release has asked and nobody has answered; a paused one asks nothing meanwhile."""
    query = select(QuestionRow).join(ReleaseRow, ReleaseRow.number == QuestionRow.release)
    query = query.where(QuestionRow.closed_at.is_(None), QuestionRow.purpose != PURPOSE)
    return [
        Subject(f"question:{row.id}", row.asked_at, QUESTION, {"question": row.id}, row.release, row.step)
        for row in await session.scalars(query.where(ReleaseRow.state == ReleaseState.RUNNING))
    ]


async def _standing(session: AsyncSession) -> list[Subject]:
    """Return the releases that are paused or stopped, since the last thing that happened to each."""
    last = select(func.max(EventRow.id)).where(EventRow.release == ReleaseRow.number, EventRow.kind != RELEASE)
    query = select(ReleaseRow.number, EventRow.id, EventRow.at).join(
        EventRow, EventRow.id == last.correlate(ReleaseRow).scalar_subquery()
    )
    rows = (await session.execute(query.where(ReleaseRow.state.in_(_STANDING)))).all()
    return [
        Subject(f"release:{number}:{event}", at, RELEASE, {"since": at.isoformat()}, number)
        for number, event, at in rows
    ]


async def _locks(session: AsyncSession) -> list[Subject]:
    """Return the locks that people hold by hand without a release, since they took them or their last release ended."""
    found = []
    for row in await session.scalars(select(LockRow).where(LockRow.release.is_(None))):
        ended = await session.scalar(
            select(func.max(ReleaseRow.finished_at)).where(ReleaseRow.environment == row.environment)
        )
        since = max(row.since, ended) if ended else row.since
        data = {"environment": row.environment, "owner": row.owner}
        found.append(Subject(_lock_key(row.environment, row.since), since, LOCK, data, lock=lock_view(row)))
    return found


def _lock_key(environment: str, since: datetime) -> str:
    return f"lock:{environment}:{since.timestamp():.6f}"
