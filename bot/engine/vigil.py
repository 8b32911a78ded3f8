"""Keeps watch over a release that goes on: pauses it by itself when the site or a proved service goes bad."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select

from bot.domain.errors import ReleaseError
from bot.domain.phases import marked, needs_lock
from bot.domain.release import ReleaseState, StepState, move_release
from bot.domain.vigil import Outage, of_programs, of_site, watched_now
from bot.engine.codec import plan_in
from bot.engine.readings import step_rows
from bot.engine.records import LeaseLost
from bot.engine.tables import EventRow, OutageRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.vigil import Trouble
    from bot.engine.records import Book
    from bot.engine.step import StepEnvironment
    from bot.engine.tables import ReleaseRow
    from bot.ports import Ports

_log = structlog.get_logger()
KIND, WARNING = "release.trouble", "release.warned"
_FRESH = 15.0  # seconds since the probe last saw an outage go on
_EACH = 2.5  # looks of a step that fit between two of the vigil's


class Vigil:
    """One release's, for as long as it is driven."""

    def __init__(self, book: Book, environment: StepEnvironment, ports: Ports) -> None:
        self._book, self._environment, self._ports = book, environment, ports

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep watch while the block runs."""
        task = asyncio.create_task(self._keep(), name=f"vigil-{self._book.number}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            await self._ports.clock.sleep(seconds=self._environment.poll * _EACH)
            try:
                await self.look()
            except LeaseLost:
                return  # another runner's vigil watches over it now
            except ReleaseError as error:  # what cannot be seen is no reason to stop; the probe tells outages
                _log.info("vigil_blind", why=error.message)
            except Exception:  # noqa: BLE001  # a bug of the vigil's must not end the release that it watches
                _log.exception("vigil_error")

    async def look(self) -> None:
        """Look once at the site's outage and, once they are proved, at the services; pause or tell."""
        async with self._book.looking() as (session, row):
            trouble = await self._of_site(session, row)
            proved = await self._proved(session, row)
        if trouble is None and proved:
            trouble = await self._of_programs()
        if trouble:
            await self._act(trouble)

    async def _of_site(self, session: AsyncSession, row: ReleaseRow) -> Trouble | None:
        query = select(OutageRow).where(OutageRow.release == row.number, OutageRow.over.is_(False))
        down = await session.scalar(query.order_by(OutageRow.id.desc()).limit(1))
        if down and (self._book.now() - down.until).total_seconds() > _FRESH:
            down = None  # a watch that was killed left it open
        outage = (
            Outage(down.id, (down.until - down.began).total_seconds(), down.detail or "no answer") if down else None
        )
        plan, over = plan_in(row.plan), (StepState.DONE, StepState.SKIPPED)
        current = next((one for one in await step_rows(session, row.number) if one.state not in over), None)
        beside = current is not None and marked(plan) and not needs_lock(plan, current.key)
        return of_site(
            outage,
            state=ReleaseState(row.state),
            step=plan.step(current.key).step if current else "",
            warn_after=self._environment.warn_after_down,
            pause_after=self._environment.pause_after_down,
            beside=beside,
        )

    async def _proved(self, session: AsyncSession, row: ReleaseRow) -> bool:
        plan = plan_in(row.plan)
        steps = [(plan.step(one.key).step, StepState(one.state)) for one in await step_rows(session, row.number)]
        return watched_now(state=ReleaseState(row.state), steps=steps)

    async def _of_programs(self) -> Trouble | None:
        programs = await self._ports.server.programs()
        return of_programs(
            programs, watched=self._environment.watched_programs, ending=self._environment.ending_programs
        )

    async def _act(self, trouble: Trouble) -> None:
        """Tell it, and pause; once for each trouble: a person who resumed has seen it."""
        async with self._book.looking() as (session, row):
            if await self._told(session, row.number, trouble):
                return
        async with self._book.writing() as (session, row):
            if row.state != ReleaseState.RUNNING:
                return
            if trouble.pause:
                row.state = move_release(ReleaseState(row.state), ReleaseState.PAUSED)
                row.note = f"paused by the bot: {trouble.why}"
            kind = KIND if trouble.pause else WARNING
            await self._book.event(session, kind, "", {"key": trouble.key, "why": trouble.why})

    @staticmethod
    async def _told(session: AsyncSession, number: int, trouble: Trouble) -> bool:
        query = select(EventRow.data).where(EventRow.release == number, EventRow.kind.in_((KIND, WARNING)))
        return any(data.get("key") == trouble.key for data in await session.scalars(query))
