"""Which rehearsal counts for a plan, and what it comes to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Conflict, Refused
from bot.domain.plan import PlannedStep, StepKind
from bot.domain.rehearsal import (
    Rehearsal,
    RehearsalState,
    Standing,
    demand_passed,
    demand_rehearsable,
    differences,
    planned,
    sentence,
    standing,
    told,
)
from bot.domain.release import ReleaseState, StepState
from tests.views import worlds

PLAN = worlds.plan()
OTHER = worlds.plan(head="c" * 40)
BACK = worlds.plan(
    steps=(
        PlannedStep(
            "deploy", "deploy", 1, "Deploy", StepKind.AUTOMATIC,
            params={"roll_back": {"commit": worlds.HEAD, "release": "R6"}},
        ),
    )
)  # fmt: skip
PASSED = worlds.rehearsal(PLAN, state=RehearsalState.PASSED, finished_at=worlds.NOW)
states = st.sampled_from(RehearsalState)


def of(state: RehearsalState, plan: object = PLAN, name: str = "H1") -> Rehearsal:
    return worlds.rehearsal(plan, state=state, id=name)  # type: ignore[arg-type]


def test_the_very_plan_has_no_difference_and_every_other_is_named() -> None:
    assert differences(PASSED, PLAN) == ()
    assert differences(PASSED, OTHER) == ("the commit changed from bbbbbbbb to cccccccc",)
    assert differences(PASSED, replace(PLAN, version="1.10.0")) == ("the version changed from 1.9.10 to 1.10.0",)
    first, *rest = PLAN.steps
    assert differences(PASSED, replace(PLAN, steps=(replace(first, params={"commit": "d"}), *rest))) == (
        "step ci changed",
    )
    assert "step notes is gone" in differences(PASSED, replace(PLAN, steps=PLAN.steps[:2]))
    assert differences(
        replace(PASSED, binds={}, fingerprint="x"), PLAN
    )  # from before facts were kept: void, not passed


def test_what_is_no_part_of_a_plan_changes_nothing() -> None:
    named = replace(PLAN, because="it is small", recommended="fork_vm")
    shown = replace(named, steps=tuple(replace(one, commands=(), by_hand="type it") for one in named.steps))
    assert differences(PASSED, shown) == ()


@given(st.lists(st.tuples(states, st.booleans()), max_size=6))
def test_only_a_rehearsal_of_exactly_this_plan_passes_it(made: list[tuple[RehearsalState, bool]]) -> None:
    rehearsals = [of(state, PLAN if same else OTHER, f"H{n}") for n, (state, same) in enumerate(made)]
    found = standing(PLAN, rehearsals)
    decided = [state for state, same in made if same and state in (RehearsalState.PASSED, RehearsalState.FAILED)]
    assert found.passed == (decided[:1] == [RehearsalState.PASSED])
    assert sentence(found)


def test_a_newer_failure_counts_and_a_newer_interruption_does_not() -> None:
    assert not standing(PLAN, [of(RehearsalState.FAILED), PASSED]).passed
    for undecided in (
        RehearsalState.INTERRUPTED,
        RehearsalState.STOPPED,
        RehearsalState.BROKEN,
        RehearsalState.RUNNING,
    ):
        assert standing(PLAN, [of(undecided), PASSED]).passed


def test_each_state_is_said_in_a_sentence() -> None:
    failed = told(planned(PLAN), [{"key": "push", "state": "failed", "said": "refused"}])
    said = {state: sentence(Standing(replace(of(state), steps=failed))) for state in RehearsalState}
    assert said[RehearsalState.FAILED] == "Rehearsed: failed at Push the branches"
    assert len(set(said.values())) == len(RehearsalState)
    assert sentence(Standing()) == "Not rehearsed"
    assert sentence(standing(OTHER, [PASSED])) == (
        "The rehearsal H1 was of another plan: the commit changed from bbbbbbbb to cccccccc; it does not count"
    )
    many = Standing(PASSED, tuple(f"step {n} changed" for n in range(9)))
    assert "step 2 changed; and 6 more" in sentence(many)


def test_where_it_is_required_nothing_else_will_do() -> None:
    demand_passed(PLAN, Standing(PASSED))
    for found in (Standing(), standing(OTHER, [PASSED]), Standing(of(RehearsalState.FAILED))):
        with pytest.raises(Refused, match="prod asks for a rehearsal that passed") as refused:
            demand_passed(PLAN, found)
        assert "/release rehearse" in refused.value.hint
    demand_passed(BACK, Standing())  # a rollback is needed now


def test_what_has_deployed_or_goes_back_is_not_rehearsed() -> None:
    deploying = worlds.plan(steps=(PlannedStep("ci", "deploy", 1, "Deploy", StepKind.AUTOMATIC), *PLAN.steps[1:]))
    demand_rehearsable(worlds.release(plan=deploying, steps=worlds.steps(StepState.PENDING)))
    with pytest.raises(Conflict, match="too late"):
        demand_rehearsable(worlds.release(plan=deploying, steps=worlds.steps(StepState.FAILED)))
    with pytest.raises(Conflict, match="is a rollback"):
        demand_rehearsable(worlds.release(plan=BACK, state=ReleaseState.STOPPED))


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["key", "state", "seconds", "said"]), st.none() | st.text() | st.integers())
    )
)
def test_what_a_child_says_never_breaks_the_steps(news: list[dict[str, object]]) -> None:
    steps = told(planned(PLAN), news)
    assert [one.key for one in steps] == [one.key for one in PLAN.steps]
    assert all(isinstance(one.state, StepState) for one in steps)
