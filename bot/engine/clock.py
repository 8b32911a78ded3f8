"""The clock itself; tests bring one of their own."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime


class SystemClock:
    """Time as the machine tells it (`bot.ports.Clock`)."""

    def now(self) -> datetime:
        """Return the time, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    async def sleep(self, *, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
