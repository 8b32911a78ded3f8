"""What a scheduled start is bound to, and what makes it ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.errors import NotAllowed, Unavailable
from bot.domain.readmodel import Person
from bot.domain.report import Drift
from bot.domain.schedule import broken, demand_seen, demand_starter, differences, facts_of, missed
from bot.domain.world import Check, CheckState
from tests.views import worlds


def changed(**changes: object) -> tuple[str, ...]:
    """Say what differs when the plan does."""
    then = worlds.prepared()
    now = replace(then, plan=replace(then.plan, **changes))  # type: ignore[arg-type]  # any field of a plan
    return differences(facts_of(then), facts_of(now))


def test_the_same_plan_and_review_differ_in_nothing() -> None:
    assert differences(facts_of(worlds.prepared()), facts_of(worlds.prepared())) == ()


def test_another_commit_is_named_and_its_steps_are_not_told_one_by_one() -> None:
    plan = worlds.prepared().plan
    steps = tuple(replace(one, params={**one.params, "commit": "e" * 40}) for one in plan.steps)
    (said,) = changed(head="e" * 40, steps=steps)
    assert said == f"the commit: {plan.head[:8]} then, eeeeeeee now"


def test_a_changed_parameter_names_its_step() -> None:
    plan = worlds.prepared().plan
    steps = (replace(plan.steps[0], params={"another": True}), *plan.steps[1:])
    assert changed(steps=steps) == (f"step {plan.steps[0].key} changed",)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("version", "1.9.11", "the version: 1.9.10 then, 1.9.11 now"),
        ("checklist", "in_place@other", "the checklist changed"),
        ("base", "d" * 40, "dddddddd now"),
    ],
)
def test_each_fact_is_named(field: str, value: str, says: str) -> None:
    (said,) = changed(**{field: value})
    assert says in said


def test_another_finding_counts_and_what_is_live_counts_where_it_was_seen() -> None:
    then = worlds.prepared()
    review = replace(then.report.review, findings=())
    assert differences(facts_of(then), facts_of(replace(then, report=replace(then.report, review=review)))) == (
        "what the review found changed",
    )

    def live(commit: str) -> dict[str, str]:
        drift = Drift("release", worlds.BASE, live=commit)
        return facts_of(replace(then, report=replace(then.report, drift=drift)))

    assert differences(live("c" * 40), live("")) == ()
    assert differences(live(""), live("c" * 40)) == ()
    assert differences(live("c" * 40), live("d" * 40)) == ("what is live: cccccccc then, dddddddd now",)


def test_only_a_job_that_has_failed_speaks_against_a_start() -> None:
    report = worlds.report(checks=(Check("test-engine", CheckState.FAILED), Check("test-webapp", CheckState.PENDING)))
    assert list(broken(report)) == ["CI: test-engine has failed"]
    assert list(broken(replace(report, checks=None))) == [], "not answered: the release's own step looks again"


def test_a_job_that_had_passed_must_still_have_and_one_that_passes_later_is_no_change() -> None:
    def ci(state: CheckState) -> dict[str, str]:
        prepared = worlds.prepared()
        report = replace(prepared.report, checks=(Check("test-engine", state),), required_ci=("test-engine",))
        return facts_of(replace(prepared, report=report))

    passed, pending = ci(CheckState.PASSED), ci(CheckState.PENDING)
    assert differences(pending, passed) == ()
    assert differences(passed, pending) == ("CI: test-engine had passed, and has not now",)


def test_nothing_starts_unasked_on_what_could_not_be_looked_at() -> None:
    demand_seen(worlds.report())
    with pytest.raises(Unavailable, match="CI could not be looked at: GitHub sleeps"):
        demand_seen(worlds.report(checks=None, checks_problem="GitHub sleeps"))
    with pytest.raises(Unavailable, match="The server could not be looked at: no route"):
        demand_seen(worlds.report(drift=Drift("release", worlds.BASE, live_problem="no route")))


def test_a_start_is_missed_once_the_grace_is_over() -> None:
    grace = timedelta(minutes=10)
    assert not missed(worlds.NOW, worlds.NOW + grace, grace)
    assert missed(worlds.NOW, worlds.NOW + grace + timedelta(seconds=1), grace)


def test_who_lost_the_role_starts_nothing_any_more() -> None:
    demand_starter(Person("U1", "Ada", frozenset({"releaser"})))
    with pytest.raises(NotAllowed, match="<@U1>"):
        demand_starter(Person("U1", "Ada", frozenset({"viewer"})))
