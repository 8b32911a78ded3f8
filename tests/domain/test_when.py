from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import WrongUse
from bot.domain.when import LONGEST, in_words, meant, parse

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


@given(
    st.text(max_size=30),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_in_every_zone_whatever_is_typed_is_a_time_to_come_or_refused(text: str, zone: str) -> None:
    now = TUESDAY.astimezone(UTC)
    try:
        found = meant(text, now=now, zone=ZoneInfo(zone))
    except WrongUse:
        return
    assert now < found.at <= now + LONGEST


CHANGES = (
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
)  # when Berlin changes its clocks


@given(
    st.sampled_from(CHANGES),
    st.integers(-300, 300),
    st.integers(0, 23),
    st.integers(0, 59),
)
def test_around_a_change_of_the_clocks_a_time_of_day_is_the_next_that_the_clocks_show(
    change: datetime, minutes: int, hour: int, minute: int
) -> None:
    now = change + timedelta(minutes=minutes)
    found = meant(f"{hour}:{minute:02}", now=now, zone=BERLIN)
    shown = found.at.astimezone(BERLIN)
    if "does not exist" in found.note:
        assert (hour, shown.hour, shown.minute) == (2, 3, minute)
        return
    assert (shown.hour, shown.minute) == (hour, minute)
    moments = (now + timedelta(minutes=ahead) for ahead in range(1, 26 * 60))
    first = next(one for one in moments if f"{one.astimezone(BERLIN):%H:%M}" == f"{hour:02}:{minute:02}")
    assert found.at == first


def test_a_time_that_is_left_out_is_taken_as_if_the_clocks_were_not_changed_and_said() -> None:
    found = meant("2026-03-29 02:30", now=datetime(2026, 3, 1, tzinfo=UTC), zone=BERLIN)
    assert found.at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert "does not exist" in found.note
    assert "03:30 CEST" in found.note


def test_of_two_times_that_are_the_same_the_first_to_come_is_taken_and_said() -> None:
    early = meant("2026-10-25 02:30", now=datetime(2026, 10, 1, tzinfo=UTC), zone=BERLIN)
    assert early.at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert "the first, 02:30 CEST" in early.note
    between = meant("02:30", now=datetime(2026, 10, 25, 0, 45, tzinfo=UTC), zone=BERLIN)
    assert between.at == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert "the second, 02:30 CET" in between.note


def test_an_ordinary_time_has_no_note_and_is_said_with_its_zone() -> None:
    found = meant("tomorrow 7am", now=TUESDAY, zone=BERLIN)
    assert found.note == ""
    assert in_words(found.at, BERLIN) == "Wednesday 25 November 2026, 07:00 CET (Europe/Berlin)"
    assert in_words(found.at, ZoneInfo("America/New_York")).startswith("Wednesday 25 November 2026, 01:00 EST")
