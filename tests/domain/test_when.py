from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import WrongUse
from bot.domain.when import LONGEST, parse

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = datetime(2026, 11, 24, 13, 30, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14:00", "2026-11-24 14:00"),
        ("13:30", "2026-11-25 13:30"),
        ("at 9:05", "2026-11-25 09:05"),
        ("2pm", "2026-11-24 14:00"),
        ("12am", "2026-11-25 00:00"),
        ("tomorrow", "2026-11-25 00:00"),
        ("Tomorrow at 9", "2026-11-25 09:00"),
        ("today 18:00", "2026-11-24 18:00"),
        ("fri", "2026-11-27 00:00"),
        ("Friday 18:00", "2026-11-27 18:00"),
        ("tue 13:00", "2026-12-01 13:00"),
        ("tue 14:00", "2026-11-24 14:00"),
        ("2026-12-24", "2026-12-24 00:00"),
        ("2026-12-24 18:00", "2026-12-24 18:00"),
        ("2026-12-24T18:00", "2026-12-24 18:00"),
        ("2026-12-24T17:00+00:00", "2026-12-24 18:00"),
        ("in 2h", "2026-11-24 15:30"),
        ("90 minutes", "2026-11-24 15:00"),
        ("3d", "2026-11-27 13:30"),
    ],
)
def test_what_people_type_is_the_moment_they_mean(text: str, expected: str) -> None:
    assert f"{parse(text, now=TUESDAY, zone=BERLIN).astimezone(BERLIN):%Y-%m-%d %H:%M}" == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "9", "25:00", "12:60", "13pm", "today 9:00", "2026-02-30", "2026-11-24 13:30", "2030-01-01", "fr 9", "in 0h"]
)  # fmt: skip
def test_what_is_no_time_to_come_is_refused_with_examples(text: str) -> None:
    with pytest.raises(WrongUse) as refused:
        parse(text, now=TUESDAY, zone=BERLIN)
    assert "tomorrow 9:00" in refused.value.hint


def test_a_summer_time_day_of_23_hours_keeps_the_time_of_day() -> None:
    before = datetime(2026, 3, 28, 12, 0, tzinfo=BERLIN)
    found = parse("tomorrow 12:00", now=before, zone=BERLIN)
    assert found.astimezone(UTC) - before.astimezone(UTC) == timedelta(hours=23)


@given(st.text(max_size=30))
def test_whatever_is_typed_is_a_time_to_come_or_refused(text: str) -> None:
    try:
        found = parse(text, now=TUESDAY, zone=BERLIN)
    except WrongUse:
        return
    assert TUESDAY < found <= TUESDAY + LONGEST
