"""What may be looked at without changing anything: releases, questions, the log, who holds an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from bot.domain.release import FINISHED, ReleaseState, StepState
from bot.engine import cursors, readings
from bot.engine.approvals import delegations
from bot.engine.codec import plan_in
from bot.engine.phases import touched_at
from bot.engine.tables import EventRow, LockRow, ReleaseRow, StepRow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.approval import Delegation
    from bot.domain.readmodel import AskedQuestion, EventView, LockView, ReleaseView
    from bot.engine.cursors import Cursor
    from bot.engine.store import Store
    from bot.ports import Clock

OPEN = tuple(state for state in ReleaseState if state not in FINISHED and state is not ReleaseState.PLANNED)


class Looking:
    """The reading half of the desk."""

    def __init__(self, store: Store, *, clock: Clock, skip_of: Callable[[str], str]) -> None:
        """``skip_of`` tells who may skip a step, by the step's id."""
        self._store, self._clock, self._skip_of = store, clock, skip_of

    async def release(self, release: str, /) -> ReleaseView:
        """Return a release as it stands; raises `WrongUse` for an unknown one."""
        number = readings.number_of(release)
        async with self._store.reading() as session:
            return await readings.release_view(session, number, now=self._clock.now(), skip_of=self._skip_of)

    async def checklist(self, release: str, /) -> str:
        """Return the text of the checklist that a release was planned from."""
        async with self._store.reading() as session:
            row = await session.get(ReleaseRow, readings.number_of(release))
            return row.checklist if row else ""

    async def active(self) -> tuple[ReleaseView, ...]:
        """Return every release that is neither finished nor only planned, oldest first."""
        return await self._views(
            select(ReleaseRow.number).where(ReleaseRow.state.in_(OPEN)).order_by(ReleaseRow.number)
        )

    async def history(self, environment: str, *, limit: int) -> tuple[ReleaseView, ...]:
        """Return the newest releases of an environment, the newest first."""
        chosen = select(ReleaseRow.number).where(ReleaseRow.environment == environment)
        return await self._views(chosen.order_by(ReleaseRow.number.desc()).limit(limit))

    async def _views(self, numbers: Any) -> tuple[ReleaseView, ...]:
        now = self._clock.now()
        async with self._store.reading() as session:
            found = (await session.scalars(numbers)).all()
            return tuple([await readings.release_view(session, one, now=now, skip_of=self._skip_of) for one in found])

    async def questions(self, release: str, /) -> tuple[AskedQuestion, ...]:
        """Return every question of a release, oldest first."""
        async with self._store.reading() as session:
            return await readings.questions(session, readings.number_of(release))

    async def events(self, *, after: int, limit: int, release: str = "") -> Sequence[EventView]:
        """Return the events behind a position, oldest first."""
        query = select(EventRow).where(EventRow.id > after).order_by(EventRow.id).limit(limit)
        if release:
            query = query.where(EventRow.release == readings.number_of(release))
        async with self._store.reading() as session:
            return [readings.event_view(one) for one in await session.scalars(query)]

    async def cursor(self, name: str, /) -> Cursor:
        """Return how far a reader of the log has read."""
        async with self._store.reading() as session:
            return await cursors.cursor(session, name)

    async def lock_of(self, environment: str) -> LockView | None:
        """Return who holds an environment."""
        async with self._store.reading() as session:
            row = await session.get(LockRow, environment)
            return readings.lock_view(row) if row else None

    async def delegations(self, person: str, /) -> tuple[Delegation, ...]:
        """Return for whom a person may approve, and who may for them, the newest first."""
        async with self._store.reading() as session:
            return await delegations(session, person, now=self._clock.now())

    async def last_proved(self, environment: str, *, before: str = "") -> tuple[str, str] | None:
        """Return commit and version of the last full release that was proved live here, or None; ``before``: a release."""
        query = (
            select(ReleaseRow)
            .join(StepRow, StepRow.release == ReleaseRow.number)
            .where(ReleaseRow.environment == environment, StepRow.key == "prove_live", StepRow.state == StepState.DONE)
            .order_by(StepRow.finished_at.desc(), ReleaseRow.number.desc())
        )
        async with self._store.reading() as session:
            if before:
                query = await self._before(session, query, readings.number_of(before))
            for row in await session.scalars(query):
                plan = plan_in(row.plan)
                if not plan.partial:
                    return plan.head, plan.version
        return None

    @staticmethod
    async def _before(session: AsyncSession, query: Any, number: int) -> Any:
        """What counts is when a release began to change what is live: one that prepares for days has an early number."""
        row = await session.get(ReleaseRow, number)
        touched = await touched_at(session, row) if row else None
        query = query.where(ReleaseRow.number != number)
        return query.where(StepRow.finished_at < touched) if touched else query.where(ReleaseRow.number < number)
