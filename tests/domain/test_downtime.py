from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.downtime import GAP, Span, covered, measured

BEGIN = datetime(2026, 11, 23, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def span(began: float, until: float) -> Span:
    return Span(at(began), at(until))


whole = st.integers(0, 200)
spans = st.lists(st.tuples(whole, whole).map(lambda pair: span(min(pair), max(pair))), max_size=8)


@given(spans)
def test_what_spans_cover_is_what_a_second_by_second_count_finds(given_spans: list[Span]) -> None:
    seconds = {
        second
        for one in given_spans
        for second in range(int((one.began - BEGIN).total_seconds()), int((one.until - BEGIN).total_seconds()))
    }
    assert covered(given_spans) == len(seconds)


@given(spans, spans, whole, whole)
def test_nothing_outside_the_release_counts_and_no_second_twice(
    watched: list[Span], outages: list[Span], one: int, two: int
) -> None:
    began, until = min(one, two), max(one, two)
    downtime, unwatched = measured(watched, outages, began=at(began), until=at(until))
    assert 0 <= unwatched <= until - began
    assert downtime is None or 0 <= downtime <= until - began


@given(spans, spans)
def test_the_order_in_which_spans_were_written_does_not_matter(watched: list[Span], outages: list[Span]) -> None:
    limits = {"began": at(0), "until": at(200)}
    assert measured(watched, outages, **limits) == measured(watched[::-1], outages[::-1], **limits)


def test_nobody_looked() -> None:
    assert measured([], [], began=at(0), until=at(60)) == (None, 60)


def test_a_look_at_moments_is_watching() -> None:
    downtime, unwatched = measured([span(1, 57)], [span(10, 12)], began=at(0), until=at(60))
    assert (downtime, unwatched) == (2, 0)


def test_a_restart_of_the_bot_is_time_that_nobody_watched_and_an_outage_across_it_is_counted_as_seen() -> None:
    watched = [span(0, 20), span(50, 100)]
    outages = [span(15, 20), span(50, 55)]
    assert measured(watched, outages, began=at(0), until=at(100)) == (10, 30)


def test_a_gap_just_longer_than_two_looks_is_told_whole() -> None:
    watched = [span(0, 10), span(10 + GAP + 1, 30)]
    assert measured(watched, [], began=at(0), until=at(30)) == (0, GAP + 1)
