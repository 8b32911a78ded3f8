"""Rates, times left, milestones and how often a message is edited: properties first."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Conflict, NotAllowed, WrongUse
from bot.domain.jobs import Followed, Going, JobView, Wanted, demand_stop, demand_workers, ending, left_over, standing
from bot.domain.progress import (
    Estimate,
    Run,
    estimate,
    may_edit,
    passed,
    percent,
    rate,
    stalled_since,
    thinned,
    usual_rate,
)
from bot.domain.readmodel import Person
from bot.domain.reindexing import Failure, Ledger
from bot.domain.world import JobReport, JobState
from bot.pictures.progress import Drawing, draw, words
from tests.engine.clock import BEGIN

if TYPE_CHECKING:
    from datetime import datetime

    Point = tuple[datetime, int]


def at(minutes: float) -> datetime:
    return BEGIN + timedelta(minutes=minutes)


def history(*points: tuple[float, int]) -> tuple[Point, ...]:
    return tuple((at(minutes), done) for minutes, done in points)


histories = st.lists(st.tuples(st.integers(1, 600), st.integers(0, 50)), min_size=1, max_size=30).map(
    lambda steps: tuple(
        (at(sum(gap for gap, _ in steps[: n + 1])), sum(more for _, more in steps[: n + 1])) for n in range(len(steps))
    )
)


@given(histories, st.integers(0, 500))
def test_a_rate_is_never_negative_and_never_more_than_was_done(points: tuple[Point, ...], later: int) -> None:
    now = points[-1][0] + timedelta(minutes=later)
    found = rate(points, now)
    assert found is None or found >= 0
    if found is not None and now > points[0][0]:
        assert found * min((now - points[0][0]).total_seconds(), 3600) <= points[-1][1] + 1


@given(st.integers(1, 1000), st.integers(2, 300))
def test_an_even_job_has_its_rate_whatever_the_window_cuts(per_hour: int, minutes: int) -> None:
    points = history(*((minute, per_hour * minute) for minute in range(minutes)))
    assert rate(points, points[-1][0]) == pytest.approx(per_hour / 60)


def test_who_stands_still_slows_down_and_the_last_hour_alone_counts() -> None:
    points = history((0, 0), (30, 300))
    assert rate(points, at(60)) == pytest.approx(300 / 3600)
    assert rate(points, at(200)) == 0.0
    fast_then_slow = history((0, 0), (60, 6000), (120, 6060))
    assert rate(fast_then_slow, at(120)) == pytest.approx(60 / 3600)
    assert rate((), at(1)) is None


def test_what_is_left_is_told_by_its_own_speed_once_that_says_enough_else_by_earlier_jobs() -> None:
    runs = [Run(100, 1000), Run(100, 1100), Run(100, 90_000), Run(0, 5), Run(7, 0)]
    assert usual_rate(runs) == pytest.approx(100 / 1100), "one odd run does not count"
    assert estimate(100, history((0, 0)), at(0.5), runs) == Estimate(100 / 1100, 1100, measured=False)
    own = estimate(100, history((0, 0), (10, 60)), at(10), runs)
    assert own is not None
    assert (own.measured, own.left) == (True, pytest.approx(1000))
    quick = estimate(10, history((0, 0), (0.5, 20)), at(0.5), runs)
    assert quick is not None
    assert quick.measured
    assert estimate(10, (), at(0)) is None
    assert estimate(10, history((0, 0), (90, 0)), at(90)) is None, "nothing done tells nothing"


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_percent_says_100_only_when_all_are_done(done: int, total: int) -> None:
    found = percent(done, total)
    assert 0 <= found <= 100
    assert (found == 100) == (done >= total)


@given(st.lists(st.integers(0, 100), max_size=30).map(sorted))
def test_each_milestone_is_told_at_most_once_in_order_and_the_end_is_none(dones: list[int]) -> None:
    told, said = 0, []
    for done in dones:
        if reached := passed(told, done, 100):
            told = reached
            said.append(reached)
            assert done < 100
    assert said == sorted(set(said))
    assert set(said) <= {25, 50, 75}


@given(st.lists(st.booleans(), min_size=720, max_size=720))
def test_a_message_is_edited_at_most_230_times_an_hour_whatever_happens(matters: list[bool]) -> None:
    edits: list[datetime] = []
    for look, one in enumerate(matters):  # one each five seconds
        now = BEGIN + timedelta(seconds=5 * look)
        if may_edit(edits[-4:], now, matters=one):
            assert not edits or now - edits[-1] >= timedelta(seconds=5)
            edits.append(now)
    assert 150 <= len(edits) <= 230


@given(histories, st.integers(2, 40))
def test_a_thinner_history_keeps_its_ends_and_its_order(points: tuple[Point, ...], most: int) -> None:
    kept = thinned(points, most)
    assert len(kept) <= max(most, 1)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert list(kept) == sorted(kept)


def test_a_job_that_finishes_nothing_for_long_is_noticed() -> None:
    points = history((0, 0), (10, 5), (35, 5))
    assert stalled_since(points, at(39)) is None
    assert stalled_since(points, at(41)) == at(10)
    assert stalled_since((), at(500)) is None


# how a job stands


def report(state: JobState = JobState.FINISHED, status: int | None = 0) -> JobReport:
    return JobReport("job", state, BEGIN, BEGIN, {}, BEGIN, status)


FAILED = (Failure("2016-01", 3, "KeyError"),)
STANDING = [
    (report(JobState.RUNNING, None), Ledger(9, 9, ended=True), "", Going.RUNNING),
    (report(), Ledger(9, 9, ended=True), "", Going.WHOLE),
    (report(), Ledger(9, 8, failed=FAILED, ended=True), "", Going.FAILURES),
    (report(status=1), Ledger(9, 8, failed=FAILED, ended=True), "", Going.FAILURES),
    (report(), Ledger(9, 3), "", Going.FAILED),
    (report(), None, "", Going.WHOLE),
    (report(status=2), None, "", Going.FAILED),
    (report(status=143), Ledger(9, 3), "", Going.STOPPED),
    (report(status=1), Ledger(9, 3), "U01", Going.STOPPED),
    (report(JobState.LOST, None), Ledger(9, 3), "U01", Going.LOST),
    (None, None, "", Going.AWAITED),
]


@pytest.mark.parametrize(("seen", "ledger", "stop_by", "going"), STANDING)
def test_receipt_and_ledger_together_say_how_a_job_stands(
    seen: JobReport | None, ledger: Ledger | None, stop_by: str, going: Going
) -> None:
    assert standing(seen, ledger, stop_by=stop_by, made_at=BEGIN, now=at(1)) is going


def test_one_that_nobody_needs_and_that_never_began_is_lost_after_a_while() -> None:
    for minutes, needed, going in ((14, False, Going.AWAITED), (16, False, Going.LOST), (999, True, Going.AWAITED)):
        assert standing(None, None, stop_by="", made_at=BEGIN, now=at(minutes), needed=needed) is going


def followed(state: Going, **facts: object) -> Followed:
    job = Wanted("web", "r1-x", "es_update", "Elasticsearch update")
    return Followed(1, "prod", job, state, BEGIN, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", list(Going))
def test_only_what_went_wrong_is_left_to_be_looked_at(state: Going) -> None:
    one = followed(state, ledger=Ledger(9, 4, failed=FAILED), failed=1, exit_status=3, started_at=BEGIN)
    assert ending(one)
    assert bool(left_over(one)) == (state in {Going.FAILURES, Going.FAILED, Going.LOST})


def test_who_may_stop_a_job_types_its_name_and_an_ended_one_is_left_alone() -> None:
    people = {
        role: Person(f"U{n}", role, frozenset({role}))
        for n, role in enumerate(("viewer", "releaser", "approver", "admin"))
    }
    view = JobView(followed(Going.RUNNING, ledger=Ledger(9, 4)), starter="U1")
    for role, person in people.items():
        if role == "viewer":
            with pytest.raises(NotAllowed):
                demand_stop(view, by=person, typed="r1-x")
        else:
            demand_stop(view, by=person, typed=" r1-x ")
    with pytest.raises(NotAllowed):
        demand_stop(JobView(view.one, starter="U9"), by=people["releaser"], typed="r1-x")
    with pytest.raises(NotAllowed):
        demand_stop(JobView(view.one, starter="U1"), by=Person("U1", "gone"), typed="r1-x")
    with pytest.raises(WrongUse):
        demand_stop(view, by=people["admin"], typed="r1-y")
    with pytest.raises(Conflict, match="finished"):
        demand_stop(JobView(followed(Going.WHOLE)), by=people["admin"], typed="r1-x")
    with pytest.raises(Conflict, match="no workers"):
        demand_workers(followed(Going.RUNNING), 1, most=8)


# pictures


@given(histories, st.integers(0, 3000), st.booleans(), st.text(max_size=80))
def test_any_history_can_be_drawn(points: tuple[Point, ...], total: int, ahead: bool, title: str) -> None:  # noqa: FBT001
    guess = Estimate(1e-9, 1e12, measured=True) if ahead else None
    drawing = Drawing(title, total, points, points[-1][0] + timedelta(seconds=1), guess, failed=2)
    assert draw(drawing).startswith(b"\x89PNG\r\n")
    assert f"of {total:,}" in words(drawing)
