"""What becomes of authors' answers: steps of the plan; and when they are reminded."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.asking import Asked, AuthorAnswer, Moment, Reminding, Said, manual_steps, open_ones, yes_ones
from bot.domain.findings import Finding, Kind, Severity
from bot.domain.people import Known
from bot.domain.review import PullRequest
from tests.views import worlds

AT = datetime(2026, 8, 3, 12, tzinfo=UTC)
MIGRATION = "metaspace/engine/migrations/r1_9_20260120_add_colour.sql"
SCRIPT = "metaspace/engine/scripts/fix_colours.py"
BERLIN = ZoneInfo("Europe/Berlin")
WEEK = frozenset(range(5))


def asked(number: int, answer: AuthorAnswer | None = None, **changes: Any) -> Asked:
    values: dict[str, Any] = {
        "id": f"A{number}", "inquiry": "ask-1", "environment": "prod", "identity": "ada", "name": "Ada Keller", "slack": "U06ADA",
        "pulls": ((number, "Colours"),), "paths": (), "asked_by": "U01REL", "asked_at": AT, "answer": answer,
        "closed_at": AT if answer else None,
    }  # fmt: skip
    return Asked(**{**values, **changes})


def yes(moment: Moment = Moment.BEFORE, **changes: Any) -> AuthorAnswer:
    return AuthorAnswer(
        Said.YES, "U06ADA", AT, what="Fill the colours", moment=moment, how="python fix.py\nthen look", **changes
    )


NOTHING = AuthorAnswer(Said.NOTHING, "U06ADA", AT)


def report(*questions: Asked, kinds: tuple[Kind, ...] = (Kind.ENGINE_MIGRATION, Kind.ENGINE_SCRIPT)) -> Any:
    paths = {Kind.ENGINE_MIGRATION: MIGRATION, Kind.ENGINE_SCRIPT: SCRIPT}
    found = tuple(
        Finding(one, paths[one], Severity.ATTENTION, paths[one], detail="Adds a column.", manual=True) for one in kinds
    )
    pulls = (PullRequest(11, "Colours", "Ada Keller", worlds.HEAD), PullRequest(12, "Fix", "Chen Wu", worlds.BASE))
    return worlds.report(
        review=worlds.review(findings=found, pull_requests=pulls),
        authors={11: "ada", 12: "chen"},
        brought={MIGRATION: 11, SCRIPT: 12},
        asked=questions,
    )


def test_each_migration_and_script_is_a_step_that_says_what_the_review_cannot_know() -> None:
    steps = manual_steps(report(), Known(settings={"ada": "U06ADA"}))
    assert [step.text for step in steps] == [
        "Run the migration r1_9_20260120_add_colour.sql (#11)",
        "Run the new script fix_colours.py (#12)",
    ]
    assert [step.assignee for step in steps] == ["<@U06ADA>", ""]
    assert not any(step.after_deploy for step in steps)
    assert all("cannot know" in step.note for step in steps)
    assert MIGRATION in steps[0].note


def test_a_yes_is_a_step_with_its_instructions_where_its_author_says() -> None:
    (step,) = manual_steps(report(asked(13, yes(Moment.AFTER)), kinds=()), Known())
    assert step.text == "Fill the colours (#13)"
    assert step.after_deploy
    assert step.note == "python fix.py\nthen look\nAsked for by Ada Keller."
    assert step.assignee == "<@U06ADA>"


def test_an_answer_in_the_authors_place_is_said_to_be_one() -> None:
    (step,) = manual_steps(report(asked(13, yes(on_behalf=True)), kinds=()), Known())
    assert "on behalf of Ada Keller" in step.note


def test_a_migration_stands_where_its_author_says() -> None:
    first, *_ = manual_steps(report(asked(11, yes(Moment.AFTER))), Known())
    assert first.after_deploy
    assert "after the deploy" in first.note


def test_nothing_by_hand_takes_a_script_out_and_leaves_a_migration_to_be_checked() -> None:
    both = (asked(11, NOTHING), asked(12, NOTHING))
    (step,) = manual_steps(report(*both), Known())
    assert step.text.startswith("Run the migration")
    assert "make sure that it has been run" in step.note


def test_an_open_question_is_no_step() -> None:
    assert manual_steps(report(asked(13), kinds=()), Known()) == ()
    assert open_ones([asked(13), asked(14, NOTHING)]) == (asked(13),)
    assert yes_ones([asked(13), asked(14, NOTHING), asked(15, yes())]) == (asked(15, yes()),)


def test_an_automatic_migration_and_a_file_of_the_schema_are_no_work_by_hand() -> None:
    plain = Finding(Kind.ENGINE_SCRIPT, SCRIPT, Severity.INFO, SCRIPT, manual=False)
    own = Finding(Kind.GRAPHQL_MIGRATION, "x.ts", Severity.INFO, "x.ts")
    assert manual_steps(worlds.report(review=worlds.review(findings=(plain, own))), Known()) == ()


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)), st.integers(0, 4))  # noqa: DTZ001  # the zone follows
def test_a_reminder_comes_on_a_later_working_day_at_its_time_and_one_a_day(naive: datetime, reminded: int) -> None:
    after = naive.replace(tzinfo=UTC)
    found = Reminding(time(10), BERLIN, WEEK, 5).next(after, reminded=reminded)
    assert found is not None
    there = found.astimezone(BERLIN)
    assert there.weekday() in WEEK
    assert (there.hour, there.minute) == (10, 0)
    assert there.date() > after.astimezone(BERLIN).date()
    assert found - after <= timedelta(days=4)


def test_often_enough_or_on_no_day_is_never() -> None:
    assert Reminding(time(10), BERLIN, WEEK, 5).next(AT, reminded=5) is None
    assert Reminding(time(10), BERLIN, frozenset(), 5).next(AT, reminded=0) is None
    assert Reminding(time(10), BERLIN, WEEK, 0).next(AT, reminded=0) is None
