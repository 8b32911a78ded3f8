"""The fingerprint that an approval names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.plan import Command, Plan, PlannedStep, StepKind

JSON = st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5), max_size=3)
STEPS = st.lists(
    st.builds(
        PlannedStep,
        key=st.text(min_size=1, max_size=5),
        step=st.text(min_size=1, max_size=5),
        version=st.integers(1, 3),
        title=st.text(max_size=5),
        kind=st.sampled_from(StepKind),
        params=JSON,
    ),
    min_size=1,
    max_size=4,
)


def plan(steps: list[PlannedStep], **facts: Any) -> Plan:
    given = {
        "environment": "prod",
        "strategy": "in_place",
        "checklist": "in_place@1",
        "base": "a" * 40,
        "head": "b" * 40,
    }
    given |= {"version": "1.0.1", "previous_version": "1.0.0", "hotfix": False, "tags": ()}
    return Plan(**{**given, **facts}, steps=tuple(steps))


@given(STEPS)
def test_it_rests_on_head_steps_and_parameters_and_nothing_else(steps: list[PlannedStep]) -> None:
    told = [replace(step, title="other", commands=(Command("here", ("ls",)),), costly_to_undo=True) for step in steps]
    assert plan(steps).fingerprint == plan(told, base="c" * 40, version="2.0.0", checklist="x@2").fingerprint


@given(STEPS)
def test_it_changes_with_the_head(steps: list[PlannedStep]) -> None:
    assert plan(steps).fingerprint != plan(steps, head="c" * 40).fingerprint


@given(STEPS, st.data())
def test_it_changes_with_any_step(steps: list[PlannedStep], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(steps) - 1))
    changed = data.draw(
        st.sampled_from(
            [
                replace(steps[at], key=steps[at].key + "x"),
                replace(steps[at], step=steps[at].step + "x"),
                replace(steps[at], version=steps[at].version + 1),
                replace(steps[at], params={**steps[at].params, "another one": 1}),
            ]
        )
    )
    assert plan(steps).fingerprint != plan([*steps[:at], changed, *steps[at + 1 :]]).fingerprint


def test_a_step_is_found_by_its_key() -> None:
    step = PlannedStep("a", "ci_green", 1, "CI", StepKind.AUTOMATIC)
    assert plan([step]).step("a") is step
    with pytest.raises(KeyError):
        plan([step]).step("b")


def test_with_tags_it_is_partial() -> None:
    assert plan([], tags=("sm-api",)).partial
    assert not plan([]).partial
