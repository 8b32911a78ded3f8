"""News inside one process: whoever waits is woken at once. Another process finds out at its next look."""

from __future__ import annotations

import asyncio


class Bell:
    """Wakes everybody who waits, and whoever looked away since ``rung`` was read."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self.rung = 0
        self._event = asyncio.Event()

    def ring(self) -> None:
        """There is something new."""
        self.rung += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, *, at_most: float, since: int | None = None) -> None:
        """Return at the next ring, or after that many seconds; at once if it has rung after ``since`` was read."""
        if since is not None and since != self.rung:
            return
        try:
            async with asyncio.timeout(at_most):
                await self._event.wait()
        except TimeoutError:
            return
