"""Freezes: windows in which no release starts. One that runs is never stopped by them. A thaw is an exception to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from bot.domain.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Freeze:
    """A window ``[starts, ends)`` that somebody set, or, with ``thaw``, an exception to what the settings forbid."""

    id: int
    environment: str
    starts: datetime
    ends: datetime
    reason: str
    by: str
    thaw: bool = False

    def covers(self, at: datetime) -> bool:
        """Tell whether the moment lies in it."""
        return self.starts <= at < self.ends


@dataclass(frozen=True, slots=True)
class Weekly:
    """A window of the settings that comes back every week: on ``days``, from one time of day to another, in one zone.

    An end that is not after the beginning lies on the next day.
    """

    days: tuple[str, ...]
    begins: time
    ends: time
    zone: ZoneInfo
    reason: str

    def around(self, at: datetime) -> tuple[datetime, datetime] | None:
        """Return the window that the moment lies in, or None."""
        here = at.astimezone(self.zone).date()
        for day in (here - timedelta(days=1), here):
            if DAYS[day.weekday()] in self.days:
                last = day if self.ends > self.begins else day + timedelta(days=1)
                begins = datetime.combine(day, self.begins, self.zone)
                ends = datetime.combine(last, self.ends, self.zone)
                if begins <= at < ends:
                    return begins, ends
        return None


def demand_open(
    at: datetime, *, environment: str, zone: ZoneInfo, given: Iterable[Freeze], weekly: Sequence[Weekly]
) -> None:
    """Raise `Conflict`, saying why and until when (on the clocks of ``zone``), while no release may start at this moment."""
    found = [one for one in given if one.covers(at)]
    if frozen := max((one for one in found if not one.thaw), key=lambda one: one.ends, default=None):
        raise _closed(environment, frozen.reason, frozen.ends.astimezone(zone), f"{environment} F{frozen.id}")
    if any(one.thaw for one in found):
        return
    windows = [(span[1], one.reason) for one in weekly if (span := one.around(at))]
    if windows:
        ends, reason = max(windows)
        raise _closed(environment, reason, ends.astimezone(zone), f"{environment} until … because …")


def _closed(environment: str, reason: str, ends: datetime, how: str) -> Conflict:
    return Conflict(
        f"{environment} is frozen until {ends:%A %Y-%m-%d %H:%M %Z}: {reason}. Nothing was started.",
        hint=f"wait, or an admin lets releases through: /release thaw {how}",
        changed="Nothing.",
    )
