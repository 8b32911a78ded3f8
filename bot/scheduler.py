"""The timer. It only wakes: what is due stands in tables of ours, and is claimed there by compare-and-set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.domain.errors import ReleaseError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to look after every so many seconds. ``turn`` returns how much it did, and may be asked at any time."""

    name: str
    every: float
    turn: Callable[[], Awaitable[int]]

    async def guarded(self) -> None:
        """Take a turn; what goes wrong is logged, and tried again at the next."""
        try:
            done = await self.turn()
        except ReleaseError as error:
            _log.warning("chore_waits", chore=self.name, why=error.message, hint=error.hint)
        except Exception:  # noqa: BLE001  # a bug in one chore must not stop the others
            _log.exception("chore_error", chore=self.name)
        else:
            if done:
                _log.info("chore_done", chore=self.name, count=done)


class Scheduler:
    """Runs chores until asked to stop: each at once, then again and again, never twice at the same time."""

    def __init__(self, chores: Sequence[Chore]) -> None:
        self._chores = chores

    async def run(self, stop: asyncio.Event) -> None:
        """Wake the chores until ``stop`` is set."""
        timer = AsyncIOScheduler(timezone=UTC)
        for one in self._chores:
            await one.guarded()
            timer.add_job(one.guarded, "interval", seconds=one.every, id=one.name, max_instances=1, coalesce=True)
        timer.start()
        try:
            await stop.wait()
        finally:
            timer.shutdown(wait=False)
