"""Questions to authors, whatever people write: within Slack's limits, and nothing of it acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.asking import Asked, AuthorAnswer, Moment, Said
from bot.domain.people import Author, How, Link, Match
from bot.domain.review import PullRequest
from bot.engine.authors import Matched
from bot.views import authors, ids, plan, review
from bot.views.limits import modal_faults
from tests.domain.test_asking import NOTHING, asked, yes
from tests.views import worlds
from tests.views.test_views import buttons, holds, hostile, words

if TYPE_CHECKING:
    from bot.domain.report import ReviewReport

SLACK = st.sampled_from(["", "U06ADA", "<!channel>"])
PULLS = st.lists(st.tuples(st.integers(1, 9999), worlds.texts), min_size=1, max_size=60, unique_by=lambda one: one[0])
answers = st.builds(
    AuthorAnswer,
    said=st.sampled_from(Said),
    by=SLACK,
    at=worlds.times,
    on_behalf=st.booleans(),
    what=worlds.texts,
    moment=st.sampled_from(Moment),
    how=worlds.texts,
)
questions = st.builds(
    Asked,
    id=st.integers(1, 10**9).map(str),
    inquiry=st.just("ask-1"),
    environment=worlds.names,
    identity=worlds.texts,
    name=worlds.texts,
    slack=SLACK,
    pulls=PULLS.map(tuple),
    paths=st.lists(worlds.texts, max_size=10).map(tuple),
    asked_by=SLACK,
    asked_at=worlds.times,
    answer=st.none() | answers,
    closed_at=st.none() | worlds.times,
)
writers = st.builds(
    Author,
    identity=worlds.texts,
    name=worlds.texts,
    pulls=st.lists(
        st.builds(PullRequest, st.integers(1, 9999), worlds.texts, worlds.texts, worlds.shas), max_size=20
    ).map(tuple),
)
many = st.lists(questions, max_size=60)


@hostile
@given(questions)
def test_a_question_fits_and_nothing_in_it_acts(one: Asked) -> None:
    holds(authors.question(one))
    assert modal_faults(authors.yes_form(one)) == []
    holds(authors.too_late(one, worlds.release()))


@hostile
@given(many)
def test_the_thread_and_its_reminders_fit(every: list[Asked]) -> None:
    for view in (authors.inquiry, authors.reminder, authors.found):
        holds(view(every))


@hostile
@given(
    st.lists(st.tuples(writers, st.none() | st.builds(Match, SLACK, st.sampled_from(How))), max_size=70),
    worlds.texts,
    st.booleans(),
)
def test_the_list_of_people_fits(matched: Any, problem: str, may_link: bool) -> None:  # noqa: FBT001  # drawn by Hypothesis
    links = [Link(author.identity, "U06ADA", "U01REL", worlds.NOW) for author, _ in matched]
    likely = {author.identity: (("U1", author.name or "x"), ("U2", "y" * 200)) * 5 for author, _ in matched}
    found = Matched(tuple(matched), problem, likely)
    holds(authors.people(found, links, may_link=may_link))
    holds(authors.unknown_message(found))


@hostile
@given(many)
def test_a_review_and_a_plan_with_answers_fit(every: list[Asked]) -> None:
    report = worlds.report(asked=tuple(every))
    holds(review.review(report))
    holds(plan.preview_message(type(worlds.prepared())(worlds.plan(), "steps: []", report), {}))


def test_an_open_question_has_two_buttons_and_mentions_who_must_act_and_an_answered_one_has_none() -> None:
    shown = authors.question(asked(11))
    assert set(buttons(shown)) == {ids.ASK_NOTHING, ids.ASK_YES}
    assert shown.text.startswith("<@U06ADA>")
    assert "#11 Colours" in words(shown)
    assert buttons(authors.question(asked(11, NOTHING))) == {}
    closed = authors.question(asked(11, closed_at=worlds.NOW))
    assert buttons(closed) == {}
    assert "without an answer" in closed.text


def test_an_answer_says_who_in_whose_place_when_and_how() -> None:
    shown = words(authors.question(asked(11, yes(Moment.AFTER, on_behalf=True))))
    for part in ("after the deploy", "“Fill the colours”", "in the author's place", "python fix.py", "then look"):
        assert part in shown


def lines(report: ReviewReport) -> str:
    return "\n".join(authors.answers_line(report))


def test_the_review_sums_answers_up_with_each_yes_and_who_is_open() -> None:
    assert "not asked" in lines(worlds.report(asked=()))
    assert lines(worlds.report()) == "", "not looked up yet"
    said = lines(worlds.report(asked=(asked(1388, yes()), asked(12, NOTHING), asked(13))))
    assert "1 of 3 questions answered “nothing by hand”" in said
    assert "open: Ada Keller (#13)" in said
    assert "By hand before the deploy: “Fill the colours” (#1388, Ada Keller)" in said
    assert "1 pull request not asked about" in lines(worlds.report(asked=(asked(12, NOTHING),)))
