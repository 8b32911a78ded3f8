"""Times as people type them: ``14:00``, ``tomorrow 9:00``, ``fri``, ``2026-12-24 18:00``, ``in 2h``. Always in the future."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
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


def parse(text: str, *, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment that is meant, as seen from ``now`` by somebody in ``zone``.

    A time of day without a date is the next one; a day without a time begins at midnight. Raises `WrongUse` for what is no
    time, is over, or is more than a year away.
    """
    said = " ".join(text.lower().split())
    if span := _SPAN.fullmatch(said):
        return _future(now + int(span[1]) * _UNITS[span[2][0]], now, text)
    try:
        found = _moment(said, now.astimezone(zone), zone)
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise WrongUse(f"{text[:60]!r} is no time that I understand; nothing was done.", hint=EXAMPLES)
    return _future(found, now, text)


def _moment(said: str, here: datetime, zone: ZoneInfo) -> datetime | None:
    if re.match(r"\d{4}-\d{2}-\d{2}", said):
        whole = datetime.fromisoformat(said)
        return whole if whole.tzinfo else whole.replace(tzinfo=zone)
    first, _, rest = said.partition(" ")
    if (day := _day(first, here)) is not None:
        at = _clock(rest.removeprefix("at ")) if rest else time(0)
        if at is None:
            return None
        meant = datetime.combine(day, at, zone)
        over = meant <= here and first not in {"today", "tomorrow"}
        return datetime.combine(day + timedelta(days=7), at, zone) if over else meant
    at = _clock(said.removeprefix("at "))
    if at is None or (":" not in said and not said.endswith(("am", "pm"))):
        return None
    meant = datetime.combine(here.date(), at, zone)
    return meant if meant > here else datetime.combine(here.date() + timedelta(days=1), at, zone)


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
