from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Conflict
from bot.domain.freeze import DAYS, Freeze, Weekly, demand_open

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 27, 17, 0, tzinfo=BERLIN)  # a Friday
WEEKEND = Weekly(("fri",), time(16), time(8), BERLIN, "weekend")
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda one: one.replace(tzinfo=UTC))  # noqa: DTZ001


def freeze(begins: float, ends: float, **changes: Any) -> Freeze:
    """``begins`` and ``ends`` in hours from now."""
    values = {"id": 1, "environment": "prod", "reason": "fair", "by": "U1"} | changes
    return Freeze(starts=NOW + timedelta(hours=begins), ends=NOW + timedelta(hours=ends), **values)


def demand(at: datetime, *given_: Freeze, weekly: tuple[Weekly, ...] = ()) -> None:
    demand_open(at, environment="prod", zone=BERLIN, given=given_, weekly=weekly)


def test_a_freeze_begins_with_its_first_moment_and_is_over_at_its_last() -> None:
    demand(NOW, freeze(-2, 0))
    with pytest.raises(Conflict, match="until Friday 2026-11-27 18:00 CET: fair"):
        demand(NOW, freeze(0, 1))


def test_the_freeze_that_lasts_longest_is_named() -> None:
    with pytest.raises(Conflict, match="long"):
        demand(NOW, freeze(-1, 9, reason="long"), freeze(-1, 1, reason="short"))


def test_a_weekly_window_reaches_into_the_next_day() -> None:
    for at in (NOW, NOW + timedelta(hours=14)):
        with pytest.raises(Conflict, match="weekend"):
            demand(at, weekly=(WEEKEND,))
    demand(NOW + timedelta(hours=15), weekly=(WEEKEND,))
    demand(NOW - timedelta(hours=1, seconds=1), weekly=(WEEKEND,))


def test_a_thaw_opens_a_weekly_window_and_not_what_a_person_set() -> None:
    thaw = freeze(-1, 1, id=2, thaw=True)
    demand(NOW, thaw, weekly=(WEEKEND,))
    with pytest.raises(Conflict) as closed:
        demand(NOW, thaw, freeze(-1, 1), weekly=(WEEKEND,))
    assert "/release thaw prod F1" in closed.value.hint


@given(moments, st.sets(st.sampled_from(DAYS), min_size=1), st.times(), st.times())
def test_a_weekly_window_is_the_same_every_week_by_the_clock_on_the_wall(
    at: datetime, days: set[str], begins: time, ends: time
) -> None:
    window = Weekly(tuple(days), begins, ends, BERLIN, "")
    later = (at.astimezone(BERLIN) + timedelta(days=7)).astimezone(UTC)
    wall = [one.astimezone(BERLIN) for one in (at, later)]
    if wall[0].time() == wall[1].time():  # not where the clock was changed in between at this very hour
        assert (window.around(at) is None) == (window.around(later) is None)


@given(moments)
def test_a_window_contains_the_moment_that_it_was_found_for(at: datetime) -> None:
    found = WEEKEND.around(at)
    assert found is None or found[0] <= at < found[1]
