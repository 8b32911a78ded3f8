from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.causes import MOST, PastFailure, ending, likely, normalised

NOW = datetime(2026, 8, 3, 12, tzinfo=UTC)
failures = st.builds(PastFailure, st.text(max_size=60), st.just(NOW), st.sampled_from(["", "retry failed again"]))
past = st.lists(failures, max_size=9)


@given(st.text(), past, st.lists(st.text(max_size=20), max_size=5))
def test_there_are_at_most_three_and_each_is_counted_or_said_to_be_general(
    message: str, failures: list[PastFailure], general: list[str]
) -> None:
    causes = likely(message, failures, general)
    assert len(causes) <= MOST
    assert all(one.count for one in causes) if failures else not any(one.count for one in causes)
    assert sum(one.count for one in causes) <= len(failures)
    assert normalised(normalised(message)) == normalised(message)


def test_what_differs_between_two_failures_of_one_kind_is_left_out() -> None:
    first = "<@U01REL>: R7-deploy-1 ended with status 2 after 1:04 at 1234567890abcdef in /opt/dev/metaspace/webapp, see https://x.test/1"
    other = "<@U02APP>: R12-deploy-3 ended with status 4 after 12:59 at ffee0123456 in /srv/a/b, see https://y.test/22"
    assert normalised(first) == normalised(other)
    assert normalised("sm-api is FATAL") != normalised("sm-graphql is FATAL")


def test_this_very_failure_comes_first_then_the_most_frequent() -> None:
    failures = [
        *[PastFailure("The disk is full.", NOW, "aborted: moved files") for _ in range(3)],
        PastFailure("sm-api is FATAL after 12 s", NOW, "retry worked after 5 minutes"),
        PastFailure("sm-api is FATAL after 3 s", NOW + timedelta(days=1), "retry worked after 5 minutes"),
    ]
    first, second = likely("sm-api is FATAL after 99 s", failures, ["anything"])
    assert (first.what, first.count, first.last) == ("sm-api is FATAL after 3 s", 2, NOW + timedelta(days=1))
    assert first.endings == ("retry worked after 5 minutes",)
    assert (second.what, second.count) == ("The disk is full.", 3)
    assert [(one.what, one.count) for one in likely("x", [], ["usual", "rare"])] == [("usual", 0), ("rare", 0)]


def test_an_ending_says_what_a_person_did_and_what_came_of_it() -> None:
    assert ending("retry", reason="", seconds=300, worked=True) == "retry worked after 5 minutes"
    assert ending("retry", reason="", seconds=300, worked=False) == "retry failed again"
    assert ending("skip", reason="done by hand", seconds=1, worked=False) == "skipped: done by hand"
    assert ending("abort", reason="", seconds=1, worked=False) == "aborted"
    assert ending("roll_back", reason="bad", seconds=1, worked=False) == "rolled back: bad"
