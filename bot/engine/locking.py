"""The part of a release's book that is about its environment's lock (`bot.engine.phases`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from bot.domain.release import ReleaseState
from bot.engine import phases
from bot.engine.codec import plan_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.phases import WentLive
    from bot.domain.plan import Plan
    from bot.engine.tables import ReleaseRow


class Locking(Protocol):
    """What `bot.engine.records.Book` writes of the lock; what it needs of the book stands first."""

    def writing(self) -> AbstractAsyncContextManager[tuple[AsyncSession, ReleaseRow]]:
        """Open a fenced transaction, and ring the bell once it is committed."""

    def looking(self) -> AbstractAsyncContextManager[tuple[AsyncSession, ReleaseRow]]:
        """Open a fenced transaction that writes nothing."""

    def now(self) -> datetime:
        """Return the time by the ledger's clock."""

    async def event(self, session: AsyncSession, kind: str, key: str, data: Mapping[str, Any]) -> None:
        """Add an event about a step."""

    async def demand_open(self, session: AsyncSession, plan: Plan) -> None:
        """Raise `bot.domain.errors.Conflict` while a freeze keeps releases from taking the lock."""

    async def have_lock(self, session: AsyncSession, row: ReleaseRow, key: str) -> None:
        """Have the lock for a step exactly if it needs it, in the transaction that begins it; raises `phases.Waits`."""
        plan = plan_in(row.plan)
        kind = await phases.enter(session, row, plan, key, now=self.now(), demand_open=self.demand_open)
        await self._tell(session, row, key, kind)

    async def lock_done(self, session: AsyncSession, row: ReleaseRow, key: str) -> None:
        """Give the lock back where the step that is proved was the last one to need it."""
        await self._tell(session, row, key, await phases.done(session, row, key, now=self.now()))

    async def await_lock(self, key: str, waiting: phases.Waits) -> None:
        """Note that the release waits for its environment's lock, in the line where there is one; only news are written."""
        async with self.looking() as (session, row):
            if row.waits == waiting.why and await phases.stands(session, row, waiting):
                return
        async with self.writing() as (session, row):
            if row.state == ReleaseState.RUNNING and await phases.wait(session, row, waiting, now=self.now()):
                await self.event(session, phases.AWAITED, key, {"environment": row.environment, "why": waiting.why})

    async def went_live(self) -> Sequence[WentLive]:
        """Return what others proved live in the environment since the release was started."""
        async with self.looking() as (session, row):
            return await phases.went_live(session, row)

    async def _tell(self, session: AsyncSession, row: ReleaseRow, key: str, kind: str) -> None:
        if kind:
            await self.event(session, kind, key, {"environment": row.environment})
