"""When people are reminded of what waits for them: ever more seldom, and never at night."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, time
    from zoneinfo import ZoneInfo

_MOST = 8  # doublings: then the spans stay as long as they are


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours in which nobody is reminded, on the clocks of a zone. An end that is not after the beginning lies on the next day.

    The same time twice means that there are none.
    """

    begins: time
    ends: time
    zone: ZoneInfo

    def covers(self, at: datetime) -> bool:
        """Tell whether nobody is reminded at this moment."""
        here = at.astimezone(self.zone).time()
        if self.begins <= self.ends:
            return self.begins <= here < self.ends
        return here >= self.begins or here < self.ends


@dataclass(frozen=True, slots=True)
class Pace:
    """Reminders after ``every`` seconds (0: never), then after twice as long, and so on."""

    every: float
    quiet: Quiet

    def due(self, *, since: datetime, last: datetime | None, times: int, now: datetime) -> bool:
        """Tell whether it is time, for something that waits since then and was reminded of ``times`` before, at ``last``."""
        if self.every <= 0 or self.quiet.covers(now):
            return False
        waited = (now - max(since, last or since)).total_seconds()
        return waited >= self.every * (1 << min(times, _MOST))
