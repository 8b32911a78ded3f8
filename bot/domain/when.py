"""Times as people type them: ``14:00``, ``tomorrow 9:00``, ``fri``, ``2026-12-24 18:00``, ``in 2h``. Always in the future.

Where the clocks are changed, a time of day may not exist, or come twice. Then one is taken by a rule, and that is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from bot.domain.errors import WrongUse

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

EXAMPLES = "14:00, tomorrow 9:00, fri 18:00, 2026-12-24 18:00, in 2h"
LONGEST = timedelta(days=366)
_SPAN = re.compile(r"(?:in )?(\d{1,4}) ?(m|min|minutes?|h|hours?|d|days?)")
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?(am|pm)?")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_NOON = 12


@dataclass(frozen=True, slots=True)
class Meant:
    """The moment that somebody typed. ``note`` says what was taken where the clocks are changed at that time."""

    at: datetime
    note: str = ""


def parse(text: str, *, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment that is meant; see `meant`."""
    return meant(text, now=now, zone=zone).at


def meant(text: str, *, now: datetime, zone: ZoneInfo) -> Meant:
    """Return the moment that is meant, as seen from ``now`` by somebody in ``zone``.

    A time of day without a date is the next one; a day without a time begins at midnight. A time that is left out when the
    clocks are put forward counts as if they were not; of two that are the same, the first that is still to come is meant.
    Raises `WrongUse` for what is no time, is over, or is more than a year away.
    """
    said = " ".join(text.lower().split())
    if span := _SPAN.fullmatch(said):
        return Meant(_future(now + int(span[1]) * _UNITS[span[2][0]], now, text))
    try:
        found = _moment(said, now.astimezone(zone))
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise WrongUse(f"{text[:60]!r} is no time that I understand; nothing was done.", hint=EXAMPLES)
    return Meant(_future(found.astimezone(UTC), now, text), _changed_clocks(found))


def in_words(at: datetime, zone: ZoneInfo) -> str:
    """Say a moment with its zone: ``Wednesday 25 November 2026, 06:00 CET (Europe/Berlin)``."""
    here = at.astimezone(zone)
    return f"{here:%A} {here.day} {here:%B %Y, %H:%M %Z} ({zone.key})"


def _moment(said: str, here: datetime) -> datetime | None:
    if re.match(r"\d{4}-\d{2}-\d{2}", said):
        whole = datetime.fromisoformat(said)
        return whole if whole.tzinfo else _on(whole.date(), whole.time(), here)
    first, _, rest = said.partition(" ")
    if (day := _day(first, here)) is not None:
        at = _clock(rest.removeprefix("at ")) if rest else time(0)
        if at is None:
            return None
        found = _on(day, at, here)
        over = _over(found, here) and first not in {"today", "tomorrow"}
        return _on(day + timedelta(days=7), at, here) if over else found
    at = _clock(said.removeprefix("at "))
    if at is None or (":" not in said and not said.endswith(("am", "pm"))):
        return None
    found = _on(here.date(), at, here)
    return _on(here.date() + timedelta(days=1), at, here) if _over(found, here) else found


def _on(day: date, at: time, here: datetime) -> datetime:
    """Return that time of that day; where it comes twice, the first that is still to come."""
    first = datetime.combine(day, at, here.tzinfo)
    second = first.replace(fold=1)
    return second if _over(first, here) and not _over(second, here) else first


def _over(found: datetime, here: datetime) -> bool:
    return found.astimezone(UTC) <= here.astimezone(UTC)  # in one zone Python compares what the clocks show


def _changed_clocks(found: datetime) -> str:
    """Say what was taken where the clocks are changed; ``found`` is what was typed, on the clocks of its zone."""
    if found.utcoffset() == found.replace(fold=1 - found.fold).utcoffset():
        return ""
    real = found.astimezone(UTC).astimezone(found.tzinfo)
    if real.replace(tzinfo=None) != found.replace(tzinfo=None):
        return (
            f"{found:%H:%M} does not exist on that day, because the clocks are put forward: {real:%H:%M %Z} is meant."
        )
    which = "second" if found.fold else "first"
    return f"{found:%H:%M} comes twice on that day, because the clocks are put back: the {which}, {real:%H:%M %Z}, is meant."


def _day(word: str, here: datetime) -> date | None:
    if word in {"today", "tomorrow"}:
        return here.date() + timedelta(days=word == "tomorrow")
    if len(word) < 3:  # noqa: PLR2004  # "mon" is the shortest that names one day
        return None
    found = next((number for number, name in enumerate(_DAYS) if name.startswith(word)), None)
    return None if found is None else here.date() + timedelta(days=(found - here.weekday()) % 7)


def _clock(text: str) -> time | None:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hour, minute, half = int(match[1]), int(match[2] or 0), match[3]
    if half and not 1 <= hour <= _NOON:
        return None
    if half:
        hour = hour % _NOON + (_NOON if half == "pm" else 0)
    return time(hour, minute) if hour < 24 and minute < 60 else None  # noqa: PLR2004  # a day's hours, an hour's minutes


def _future(found: datetime, now: datetime, text: str) -> datetime:
    if found <= now:
        raise WrongUse(f"{text[:60]!r} is over already; nothing was done.", hint=EXAMPLES)
    if found - now > LONGEST:
        raise WrongUse(f"{text[:60]!r} is more than a year away; nothing was done.", hint=EXAMPLES)
    return found
