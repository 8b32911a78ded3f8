"""Drives releases: claims what nobody drives, asks the world before every effect, and waits for people.

The runner keeps nothing in memory that matters: after every turn it reads how things stand. So it may be killed anywhere, and
another one, or the same after a restart, goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

from bot.domain.release import ReleaseState
from bot.engine.records import Book, LeaseLost, Ledger, Situation
from bot.engine.store import StoreUnavailable
from bot.engine.turn import Area, Pace, Turn
from bot.engine.vigil import Vigil

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.engine.bell import Bell
    from bot.engine.step import Step
    from bot.ports import Clock

__all__ = ["Area", "Runner"]

_log = structlog.get_logger()
LOOK = 1.0  # seconds between two looks for news that no bell rang for (another process, a person's row)


class Runner:
    """One a process. `run` owns a task for each release that it drives."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        registry: Mapping[str, Step],
        areas: Mapping[str, Area],
        clock: Clock,
        bell: Bell,
        lease: float,
    ) -> None:
        """``lease`` in seconds, as the ledger's."""
        self._ledger, self._registry, self._areas, self._clock, self._bell = ledger, registry, areas, clock, bell
        self._lease = lease
        self.brief = 5.0  # seconds that a step which may be run again is let finish when the release is aborted
        self.grace = 20.0  # seconds that an effect nobody could see half done is let finish when the bot is stopped
        self._driving: dict[int, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Drive releases until ``stop`` is set; then let effects in work finish, and give every lease back."""
        try:
            while not stop.is_set():
                rung = self._bell.rung
                await self._claim()
                await self._bell.wait(at_most=LOOK, since=rung)
        finally:
            await asyncio.sleep(0)  # one claimed this moment must have begun, to give its lease back
            for task in self._driving.values():
                task.cancel()
            await asyncio.gather(*self._driving.values(), return_exceptions=True)

    async def _claim(self) -> None:
        for number in [number for number, task in self._driving.items() if task.done()]:
            del self._driving[number]
        try:
            claimed = await self._ledger.claim(tuple(self._areas), but=tuple(self._driving))
        except StoreUnavailable as error:
            _log.warning("runner_waits", why=error.message, hint=error.hint)
            return
        for number, fence in claimed:
            book = self._ledger.book(number, fence)
            self._driving[number] = asyncio.create_task(self._drive(book), name=f"release-{number}")

    async def _drive(self, book: Book) -> None:
        """Drive one release until it is over, waits for nobody of ours, or is somebody else's."""
        with structlog.contextvars.bound_contextvars(release=f"R{book.number}"):
            try:
                await self._leased(book)
            except LeaseLost:
                _log.warning("lease_lost")
            except StoreUnavailable as error:
                _log.warning("release_waits_for_database", why=error.message, hint=error.hint)
            except Exception:  # noqa: BLE001  # a bug of ours holds up this release alone; it is claimed again at the next look
                _log.exception("release_not_driven")
            except asyncio.CancelledError:
                with contextlib.suppress(LeaseLost, StoreUnavailable):
                    await book.let_go()
                raise

    async def _leased(self, book: Book) -> None:
        """Turn after turn, while a heartbeat keeps the lease; a lost lease cancels the turn in the middle."""
        driving = asyncio.ensure_future(self._turns(book))
        beating = asyncio.ensure_future(self._heartbeat(book))
        try:
            await asyncio.wait({driving, beating}, return_when=asyncio.FIRST_COMPLETED)
            if driving.done():
                await driving
            else:
                await beating
        finally:
            for task in (driving, beating):
                task.cancel()
            await asyncio.gather(driving, beating, return_exceptions=True)

    async def _heartbeat(self, book: Book) -> None:
        """Renew the lease; raise `LeaseLost` before it runs out while the database says no, or says nothing at all."""
        while True:
            await self._clock.sleep(seconds=min(self._lease / 3, book.left))
            renewing = asyncio.ensure_future(book.renew())
            renewing.add_done_callback(_heard)
            try:
                await asyncio.wait({renewing}, timeout=max(book.left, 0.0))
                if renewing.done():
                    await renewing
            except StoreUnavailable as error:
                _log.warning("lease_not_renewed", why=error.message)
            finally:
                renewing.cancel()
            if book.left <= 0:
                raise LeaseLost("the database does not answer")

    async def _turns(self, book: Book) -> None:
        async with contextlib.AsyncExitStack() as stack:
            now = await book.situation()
            area = self._areas[now.environment]
            if area.watch:
                await stack.enter_async_context(area.watch.during(book.number, area.ports.site))
                await stack.enter_async_context(Vigil(book, area.environment, area.ports).kept())
            rung = self._bell.rung
            while await self._turn(book, now, area, rung):
                rung = self._bell.rung
                now = await book.situation()

    async def _turn(self, book: Book, now: Situation, area: Area, rung: int) -> bool:
        """Do the next thing; False once the release is over. ``rung``: the bell's count before ``now`` was read."""
        if now.state is ReleaseState.ABORTING:
            return not await book.end(ReleaseState.ABORTED)
        if now.state is ReleaseState.RUNNING and now.step is None:
            return not await book.end(ReleaseState.SUCCEEDED)
        if now.state is not ReleaseState.RUNNING or now.waiting or self._waits(now, area):
            await self._bell.wait(at_most=LOOK, since=rung)
        else:
            pace = Pace(LOOK, self.brief, self.grace)
            await Turn(book, now, step=self.step_of(now), area=area, bell=self._bell, pace=pace).take()
        return True

    def _waits(self, now: Situation, area: Area) -> bool:
        """Tell whether an approval is waited for about which there is nothing to do yet."""
        if now.approval is None:
            return False
        every = area.environment.remind_every
        return now.approval.waits(now=self._clock.now(), every=every, fingerprint=now.fingerprint)

    def step_of(self, now: Situation) -> Step | None:
        """Return the code of the step in work, or None when this bot does not have that version."""
        planned = now.plan.step(now.step.key) if now.step else None
        step = self._registry.get(planned.step) if planned else None
        return step if step and planned and step.version == planned.version else None


def _heard(task: asyncio.Future[None]) -> None:
    """Take note of how a task ended that nobody may wait for any more."""
    if not task.cancelled():
        task.exception()
