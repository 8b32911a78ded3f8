"""The clock itself; tests bring one of their own."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

_RUNNING: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class SystemClock:
    """Time as the machine tells it (`bot.ports.Clock`)."""

    def now(self) -> datetime:
        """Return the time, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back, and that go on while the process is stopped or, on Linux, the machine sleeps."""
        return time.clock_gettime(_RUNNING) if _RUNNING is not None else time.monotonic()

    async def sleep(self, *, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
