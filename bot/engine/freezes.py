"""Freezes as rows, together with the windows of the settings: whether a release may start now, and who said so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from bot.domain.errors import Conflict
from bot.domain.freeze import Freeze, Weekly, demand_open
from bot.engine import audit
from bot.engine.tables import FreezeRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.plan import Plan
    from bot.domain.readmodel import Person
    from bot.engine.store import Store
    from bot.ports import Clock


class Freezes:
    """Every method is one transaction; each raises `bot.engine.store.StoreUnavailable` when the database does not answer."""

    def __init__(
        self, store: Store, *, clock: Clock, zone: ZoneInfo, weekly: Mapping[str, Sequence[Weekly]] | None = None
    ) -> None:
        """``weekly``: the windows of the settings, by environment; times are told on the clocks of ``zone``."""
        self._store, self._clock, self.zone, self._weekly = store, clock, zone, weekly or {}

    async def demand_open(self, session: AsyncSession, plan: Plan) -> None:
        """Raise `Conflict` while no release may start; in the very transaction that would start it."""
        await self._demand(session, plan.environment)

    async def demand_open_now(self, environment: str) -> None:
        """Raise `Conflict` while no release may start: for those who are about to look at a plan."""
        async with self._store.reading() as session:
            await self._demand(session, environment)

    async def demand_open_then(self, environment: str, at: datetime) -> None:
        """Raise `Conflict` where no release may start at a time to come, as far as that is known now."""
        async with self._store.reading() as session:
            given = await self._current(session, environment)
        demand_open(at, environment=environment, zone=self.zone, given=given, weekly=self.weekly(environment))

    async def current(self, environment: str) -> tuple[Freeze, ...]:
        """Return what is set and not over, the one that begins first in front."""
        async with self._store.reading() as session:
            return await self._current(session, environment)

    def weekly(self, environment: str) -> Sequence[Weekly]:
        """Return the windows of the settings."""
        return self._weekly.get(environment, ())

    async def set(
        self,
        environment: str,
        *,
        starts: datetime,
        ends: datetime,
        reason: str,
        by: Person,
        thaw: bool = False,
        source: str = "",
    ) -> Freeze:
        """Freeze an environment for a while, or thaw it; a release that runs goes on."""
        row = FreezeRow(environment=environment, starts=starts, ends=ends, reason=reason, by=by.slack, thaw=thaw)
        async with self._store.writing() as session:
            session.add(row)
            await session.flush()
            await self._event(session, "freeze.thawed" if thaw else "freeze.set", row, by=by, source=source)
            return _freeze(row)

    async def lift(self, environment: str, *, number: int, by: Person, reason: str, source: str = "") -> Freeze:
        """End a freeze, or a thaw, at this moment; raises `Conflict` for one that is not there or is over."""
        now = self._clock.now()
        async with self._store.writing() as session:
            row = await session.get(FreezeRow, number, with_for_update=True)
            if row is None or row.environment != environment or row.ends <= now:
                raise Conflict(
                    f"There is no freeze F{number} of {environment}; nothing was lifted.", hint="/release freeze"
                )
            row.starts, row.ends = min(row.starts, now), now
            await self._event(session, "freeze.lifted", row, by=by, source=source, why=reason)
            return _freeze(row)

    async def _demand(self, session: AsyncSession, environment: str) -> None:
        given = await self._current(session, environment)
        weekly = self.weekly(environment)
        demand_open(self._clock.now(), environment=environment, zone=self.zone, given=given, weekly=weekly)

    async def _current(self, session: AsyncSession, environment: str) -> tuple[Freeze, ...]:
        query = select(FreezeRow).where(FreezeRow.environment == environment, FreezeRow.ends > self._clock.now())
        return tuple(_freeze(row) for row in await session.scalars(query.order_by(FreezeRow.starts, FreezeRow.id)))

    async def _event(
        self, session: AsyncSession, kind: str, row: FreezeRow, *, by: Person, source: str, why: str = ""
    ) -> None:
        data = {
            "freeze": row.id,
            "environment": row.environment,
            "starts": row.starts.isoformat(),
            "ends": row.ends.isoformat(),
            "reason": why or row.reason,
        }
        now = self._clock.now()
        await audit.append(session, release=None, kind=kind, at=now, by=by.slack, source=source, data=data)


def _freeze(row: FreezeRow) -> Freeze:
    return Freeze(row.id, row.environment, row.starts, row.ends, row.reason, row.by, row.thaw)
