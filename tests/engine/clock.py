"""A clock that a test moves: nobody waits for real time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

BEGIN = datetime(2026, 11, 23, 12, tzinfo=UTC)


class FakeClock:
    """Sleepers wake in the order of their times, and only when the test moves the clock."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self._asleep = asyncio.Event()

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, *, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.seconds + seconds, future))
        self._asleep.set()
        await future

    async def until_asleep(self) -> None:
        """Return once somebody waits for this clock."""
        async with asyncio.timeout(10):
            while all(future.done() for _, future in self._sleepers):
                self._asleep.clear()
                await self._asleep.wait()

    async def advance(self, seconds: float) -> None:
        """Move on, waking each sleeper at its own time."""
        target = self.seconds + seconds
        while due := self._due(target):
            at, future = due
            self.seconds = max(self.seconds, at)
            if not future.done():
                future.set_result(None)
            await asyncio.sleep(0)
        self.seconds = target
        await asyncio.sleep(0)

    def _due(self, target: float) -> tuple[float, asyncio.Future[None]] | None:
        self._sleepers = sorted((one for one in self._sleepers if not one[1].done()), key=lambda one: one[0])
        return self._sleepers.pop(0) if self._sleepers and self._sleepers[0][0] <= target else None
