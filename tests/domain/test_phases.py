"""The phases of the lock: what a checklist may say of them, what a plan makes of it, and what edits leave alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checklists import catalogue, parse, schema
from bot.domain.checklist_diff import differences
from bot.domain.edits import Insert, LeaveOut, Move
from bot.domain.errors import BadSettings, Conflict
from bot.domain.phases import Phase, begins_unlocked, demand_alone, last_locked, needs_lock, outside, phase, resolved
from bot.domain.planning import make_plan
from bot.domain.release import ReleaseState
from bot.domain.vigil import Outage, of_site
from bot.engine.codec import plan_in, plan_out
from bot.steps.registry import load
from tests.domain.test_editing import APPROVER, done

REGISTRY = load()
CATALOGUE = catalogue(REGISTRY)
TEXT = """\
name: phased
title: Phased
{marks}steps:
  - step: review_acknowledged
  - manual: Prepare for days
    key: prepare
  - step: push_branches
    unless: hotfix
  - step: deploy
  - step: prove_live
  - manual: Look at it
    key: look
    part: es_update
  - step: announce_success
"""


def text(first: str = "push_branches", last: str = "prove_live") -> str:
    marks = (f"locked_from: {first}\n" if first else "") + (f"locked_until: {last}\n" if last else "")
    return TEXT.format(marks=marks)


def planned(*, checklist: str | None = None, **facts: Any) -> Any:
    return make_plan(
        parse(checklist or text(), "phased.yml", REGISTRY),
        catalogue=CATALOGUE,
        commands=lambda _plan, _step: (),
        environment="prod",
        base="a" * 40,
        head="b" * 40,
        version="1.9.10",
        previous_version="1.9.9",
        **facts,
    )


@pytest.mark.parametrize(
    ("first", "last", "complaint"),
    [
        ("push_brances", "", "line 3, step push_brances: `locked_from` names no step. Did you mean 'push_branches'?"),
        ("", "nowhere", "line 3, step nowhere: `locked_until` names no step."),
        ("deploy", "prepare", "line 4, step prepare: `locked_until` comes before `locked_from` (deploy)."),
        ("deploy", "", "line 8, step push_branches: it changes what is live, so it must lie within the lock"),
        ("push_branches", "push_branches", "line 11, step deploy: it changes what is live"),
    ],
)
def test_marks_that_make_no_sense_are_named_with_file_line_and_step(first: str, last: str, complaint: str) -> None:
    with pytest.raises(BadSettings) as caught:
        parse(text(first, last), "phased.yml", REGISTRY)
    assert f"phased.yml, {complaint}" in caught.value.message


def test_what_costs_to_undo_lies_within_the_lock_as_well() -> None:
    class Swap(REGISTRY["ci_green"].__class__):  # type: ignore[misc]
        id = "swap"
        costly_to_undo = True

    registry: Any = {**REGISTRY, "swap": Swap()}
    swapped = text().replace("  - manual: Prepare for days\n    key: prepare\n", "  - step: swap\n")
    with pytest.raises(BadSettings, match="step swap: it changes what is live"):
        parse(swapped, "phased.yml", registry)


def test_the_schema_and_a_comparison_know_the_marks() -> None:
    assert {"locked_from", "locked_until"} <= set(schema(REGISTRY)["properties"])  # type: ignore[call-overload]
    old, new = parse(text("", ""), "old.yml"), parse(text(), "new.yml")
    assert differences(old, new) == ["~ locked from its start → push_branches", "~ locked until its end → prove_live"]


def test_a_plan_keeps_its_marks_and_only_they_change_its_fingerprint() -> None:
    plan, plain = planned(), planned(checklist=text("", ""))
    assert (plan.locked_from, plan.locked_until) == ("push_branches", "prove_live")
    assert plan.fingerprint != plain.fingerprint
    assert replace(plan, locked_from="", locked_until="").fingerprint == plain.fingerprint, "earlier plans keep theirs"
    assert plan_in(plan_out(plan)) == plan
    without = {name: value for name, value in plan_out(plain).items() if not name.startswith("locked")}
    assert plan_in(without) == plain, "a plan that was stored before is read"


def test_where_a_marked_step_is_left_out_the_next_one_there_is_takes_its_place() -> None:
    assert planned(hotfix=True).locked_from == "deploy"
    assert planned(checklist=text("push_branches", "look")).locked_until == "prove_live"
    assert planned(checklist=text("push_branches", "look"), parts=["es_update"]).locked_until == "look"


keys = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True)


@given(keys, st.data())
def test_the_phases_are_one_piece_and_every_step_is_in_one(order: list[str], data: st.DataObject) -> None:
    first, last = (data.draw(st.sampled_from(["", *order])) for _ in range(2))
    there = data.draw(st.sets(st.sampled_from(order)))
    begin, end = resolved(order, there, first=first, last=last)
    left = [key for key in order if key in there]
    free = outside(left, begin, end)
    assert begin in {"", *left}
    assert end in {"", *left}
    locked = [key for key in left if key not in free]
    places = [left.index(key) for key in locked]
    assert places == list(range(places[0], places[-1] + 1)) if places else not left
    if first and begin:
        assert all(order.index(key) >= order.index(first) for key in locked)


def test_each_step_says_its_phase() -> None:
    plan = planned()
    found = {step.key: phase(plan, step.key) for step in plan.steps}
    assert found == {
        "review_acknowledged": Phase.BEFORE,
        "prepare": Phase.BEFORE,
        "push_branches": Phase.LOCKED,
        "deploy": Phase.LOCKED,
        "prove_live": Phase.LOCKED,
        "announce_success": Phase.AFTER,
    }
    assert begins_unlocked(plan)
    assert [key for key in found if needs_lock(plan, key)] == ["push_branches", "deploy", "prove_live"]
    assert [key for key in found if last_locked(plan, key)] == ["prove_live", "announce_success"]
    late = planned(checklist=text("", "prove_live"))
    assert not begins_unlocked(late)
    assert phase(late, "prepare") is Phase.LOCKED
    assert phase(planned(checklist=text("", "")), "deploy") is Phase.WHOLE


def test_no_edit_takes_what_changes_live_out_of_the_lock() -> None:
    plan = planned()
    for edit in (Move("prove_live", "deploy"), Move("deploy", "")):
        with pytest.raises(Conflict):
            done(plan, edit, by=APPROVER)
    earlier = done(plan, Move("push_branches", "prepare"), by=APPROVER)
    assert phase(earlier, "prepare") is Phase.LOCKED, "the lock is taken with its step, wherever that stands"
    looking = planned(checklist=text("push_branches", "look"), parts=["es_update"])
    with pytest.raises(Conflict, match="“Release fast-forwarded to the pinned commit” changes what is live"):
        done(looking, Move("look", "push_branches"), by=APPROVER)
    more = done(plan, Insert("Look once more", before="push_branches"))
    assert phase(more, "added_1") is Phase.BEFORE
    assert phase(done(plan, LeaveOut("prepare", "not this time")), "push_branches") is Phase.LOCKED


def test_one_alone_works_beside_the_lock() -> None:
    plan = planned()
    demand_alone(plan, [("R1", planned(checklist=text("", "")))])
    with pytest.raises(Conflict, match=r"R7 \(1\.9\.10\) prepares prod beside its lock already"):
        demand_alone(plan, [("R7", plan)])


def test_beside_the_lock_a_site_that_is_down_is_told_and_nothing_is_paused() -> None:
    facts: dict[str, Any] = {"state": ReleaseState.RUNNING, "step": "prepare", "warn_after": 45, "pause_after": 60}
    for beside in (False, True):
        trouble = of_site(Outage(1, 61, "503"), beside=beside, **facts)
        assert trouble is not None
        assert trouble.pause is not beside
