"""Ever more seldom, and never at night."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.reminding import Pace, Quiet

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
NEVER_QUIET = Quiet(time(0), time(0), BERLIN)
NIGHT = Quiet(time(20), time(8), BERLIN)
moments = st.integers(0, 365 * 24 * 60).map(lambda minutes: NOON + timedelta(minutes=minutes))
times = st.times()


def reminded(pace: Pace, since: datetime, until: datetime) -> list[datetime]:
    """When somebody who looks every minute would remind."""
    found: list[datetime] = []
    now = since
    while now <= until:
        if pace.due(since=since, last=found[-1] if found else None, times=len(found), now=now):
            found.append(now)
        now += timedelta(minutes=1)
    return found


def test_each_span_is_twice_the_one_before() -> None:
    hours = [
        (one - NOON).total_seconds() / 3600 for one in reminded(Pace(3600, NEVER_QUIET), NOON, NOON + timedelta(days=2))
    ]
    assert hours == [1, 3, 7, 15, 31]


def test_at_night_nobody_is_reminded_and_in_the_morning_once() -> None:
    found = reminded(Pace(3600, NIGHT), NOON + timedelta(hours=6, minutes=30), NOON + timedelta(hours=24))
    assert [f"{one.astimezone(BERLIN):%H:%M}" for one in found] == ["19:30", "08:00", "12:00"]


def test_nought_never_reminds() -> None:
    assert reminded(Pace(0, NEVER_QUIET), NOON, NOON + timedelta(days=1)) == []


@given(times, times, moments, st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu"]))
def test_a_moment_is_quiet_or_the_opposite_hours_are(begins: time, ends: time, at: datetime, zone: str) -> None:
    one, other = Quiet(begins, ends, ZoneInfo(zone)), Quiet(ends, begins, ZoneInfo(zone))
    if begins == ends:
        assert not one.covers(at)
    else:
        assert one.covers(at) is not other.covers(at)


@given(moments, st.integers(0, 20), st.integers(1, 10**6))
def test_what_is_due_stays_due_until_the_night(since: datetime, count: int, seconds: int) -> None:
    pace = Pace(3600, NEVER_QUIET)
    now = since + timedelta(seconds=seconds)
    if pace.due(since=since, last=None, times=count, now=now):
        assert pace.due(since=since, last=None, times=count, now=now + timedelta(hours=1))
        assert not Pace(3600, NIGHT).due(since=since, last=None, times=count, now=now.replace(hour=1))
