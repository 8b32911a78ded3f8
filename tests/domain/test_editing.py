"""Edits of a plan: what they make of it, what they never touch, and why one is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checklists import catalogue, shipped
from bot.domain.approval import ApprovalPolicy, as_param, bound, changed, policy_of
from bot.domain.editing import demand_seen, editable, edited, first_free, turned_round
from bot.domain.edits import (
    Assign,
    Edit,
    Insert,
    LeaveOut,
    Move,
    Note,
    assigned_name,
    edit_in,
    edit_out,
    left_out,
)
from bot.domain.errors import Conflict, NotAllowed, ReleaseError, WrongUse
from bot.domain.plan import StepKind
from bot.domain.planning import Merge, make_plan
from bot.domain.readmodel import Person
from bot.engine.codec import plan_in, plan_out
from bot.steps import registry

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bot.domain.plan import Plan, PlannedStep

AT = datetime(2026, 8, 3, 12, 0, tzinfo=UTC)
STEPS = registry.load()
CATALOGUE = catalogue(STEPS)
RELEASER = Person("U01REL", "Releaser", frozenset({"releaser"}))
APPROVER = Person("U02APP", "Approver", frozenset({"approver"}))
VIEWER = Person("U07VIE", "Viewer", frozenset({"viewer"}))


def planned(*, merge: bool = False) -> Plan:
    return make_plan(
        shipped(STEPS)["in_place"],
        catalogue=CATALOGUE,
        commands=lambda _plan, _step: (),
        environment="prod",
        base="a" * 40,
        head="b" * 40,
        version="1.9.10",
        previous_version="1.9.9",
        parts=("pull_request_comments",),
        merge=Merge("c" * 40, "a" * 40) if merge else None,
    )


PLAN, MERGING = planned(), planned(merge=True)
KEYS = [step.key for step in MERGING.steps]


def done(plan: Plan, edit: Edit, *, by: Person = RELEASER, begun: Collection[str] = ()) -> Plan:
    return edited(plan, edit, by=by, at=AT, catalogue=CATALOGUE, begun=begun)


def tried(plan: Plan, edit: Edit, by: Person, begun: Collection[str]) -> Plan | ReleaseError:
    try:
        return done(plan, edit, by=by, begun=begun)
    except ReleaseError as error:
        return error


def after(plan: Plan, *wanted: Edit) -> Plan:
    for edit in wanted:
        plan = done(plan, edit)
    return plan


def order(plan: Plan) -> list[str]:
    return [step.key for step in plan.steps]


def broken(steps: Sequence[PlannedStep]) -> list[tuple[str, str]]:
    """Name the steps that stand before one that they must come after, by the steps' own word."""
    ids = [step.step for step in steps if not left_out(step)]
    return [
        (step, other)
        for place, step in enumerate(ids)
        for other in CATALOGUE[step].needs | CATALOGUE[step].after
        if other in ids[place:] and other not in ids[:place] and other != step
    ]


keys = st.sampled_from([*KEYS, "added_1", "added_2", "nothing"])
places = st.one_of(st.just(""), keys)
words = st.sampled_from(["Look at an ion image", "not needed today", "once", "", "x" * 2000])
people = st.sampled_from(["U01REL", "", "<!channel>"])
edits = st.one_of(
    st.builds(Insert, title=words, before=places, text=words, person=people, name=words, evidence=words),
    st.builds(LeaveOut, key=keys, reason=words),
    st.builds(Move, key=keys, before=places),
    st.builds(Move, key=keys, before=places),
    st.builds(Note, key=keys, note=words),
    st.builds(Assign, key=keys, person=people, name=words),
)


@given(
    st.sampled_from([PLAN, MERGING]),
    st.lists(st.tuples(edits, st.sampled_from([RELEASER, APPROVER])), max_size=25),
    st.integers(0, 8),
)
def test_no_sequence_of_edits_breaks_the_order_or_touches_what_a_step_does(
    plan: Plan, wanted: list[tuple[Edit, Person]], begun_steps: int
) -> None:
    begun = order(plan)[:begun_steps]
    now = plan
    for edit, by in wanted:
        before = now
        outcome = tried(now, edit, by, begun)
        if isinstance(outcome, ReleaseError):
            assert outcome.message
            assert outcome.hint
            continue
        now = outcome
        assert now.revision == before.revision + 1
        assert now.fingerprint != before.fingerprint, "approvals are void"
        assert changed(bound(before), bound(now)), "and the facts are named"
        assert order(now)[: first_free(plan, begun)] == order(plan)[: first_free(plan, begun)], "what has begun stays"
    assert broken(now.steps) == []
    assert turned_round(plan.steps, [step for step in now.steps if step.key in order(plan)], CATALOGUE) is None
    assert len(set(order(now))) == len(now.steps)
    assert set(order(plan)) <= set(order(now)), "nothing vanishes"
    for step in plan.steps:
        other = now.step(step.key)
        assert (other.step, other.version, other.kind, other.costly_to_undo) == (
            step.step,
            step.version,
            step.kind,
            step.costly_to_undo,
        )
        assert policy_of(other) == policy_of(step)
        if left_out(other):
            assert CATALOGUE[other.step].skip != "never"
    assert plan_in(json.loads(json.dumps(plan_out(now)))) == now, "it is the same again from the database"


@given(edits)
def test_an_edit_is_the_same_again_from_json(edit: Edit) -> None:
    assert edit_in(json.loads(json.dumps(edit_out(edit)))) == edit


def test_a_step_is_put_in_before_another_with_text_person_and_evidence() -> None:
    edit = Insert("Tell the labs", "deploy", "By mail.", "U05ADA", "Ada", "the mail's address in the archive")
    now = done(PLAN, edit)
    at = order(now).index("added_1")
    assert order(now)[at + 1] == "deploy"
    step = now.steps[at]
    assert (step.step, step.kind, step.title, step.by_hand) == ("manual", StepKind.MANUAL, "Tell the labs", "By mail.")
    assert assigned_name(step) == "Ada"
    assert now.edits[0].said == f"put in “Tell the labs” before “{PLAN.step('deploy').title}”"
    assert order(done(now, Insert("Again")))[-1] == "added_2"


def test_the_same_edits_make_the_same_plan_of_a_plan_made_afresh() -> None:
    wanted = [Insert("One", "deploy"), Insert("Two", "added_1"), Move("added_2", ""), Note("deploy", "slowly")]
    made = [PLAN, planned()]
    for edit in wanted:
        made = [done(one, edit) for one in made]
    assert made[0].fingerprint == made[1].fingerprint


def test_a_left_out_step_says_who_and_why_and_is_not_edited_again() -> None:
    now = done(PLAN, LeaveOut("announce_start", "told them yesterday"))
    assert left_out(now.step("announce_start")) == ("U01REL", "told them yesterday")
    with pytest.raises(Conflict, match="left out already"):
        done(now, Note("announce_start", "hello"))
    assert "announce_start" not in [step.key for step in editable(now)]


@pytest.mark.parametrize(
    ("edit", "error", "words"),
    [
        (LeaveOut("deploy", "not needed today"), NotAllowed, "never skipped"),
        (LeaveOut("tag", "not needed today"), NotAllowed, "never skipped"),
        (LeaveOut("ci_green", "not needed today"), NotAllowed, "role approver"),
        (LeaveOut("workload", "not needed today"), NotAllowed, "role approver"),
        (LeaveOut("announce_start", ""), WrongUse, "needs a few words"),
        (LeaveOut("announce_start", "because"), WrongUse, "needs a few words"),
        (LeaveOut("elsewhere", "not needed today"), WrongUse, "no step 'elsewhere'"),
        (LeaveOut("review_acknowledged", "not needed today"), Conflict, "stands before what has begun"),
        (Move("deploy", "tag"), Conflict, "must come after"),
        (Move("push_branches", ""), Conflict, "must come after “"),
        (Move("configuration", "review_acknowledged"), Conflict, "comes first"),
        (Move("configuration", "configuration"), WrongUse, "before itself"),
        (Move("configuration", "authors_answered"), Conflict, "so already"),
        (Insert("", "deploy"), WrongUse, "needs words"),
        (Insert("x" * 151, "deploy"), WrongUse, "151 characters"),
        (Insert("Look", "elsewhere"), WrongUse, "no step"),
        (Insert("Look", "deploy", person="ada"), WrongUse, "choose a person"),
        (Note("deploy", "  "), WrongUse, "needs words"),
        (Assign("deploy", ""), WrongUse, "choose a person"),
    ],
)
def test_what_may_not_be_is_refused_with_the_reason(edit: Edit, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as refused:
        done(PLAN, edit)
    assert words in str(refused.value)


def test_a_step_that_another_needs_is_not_left_out_before_that_one_is() -> None:
    with pytest.raises(Conflict, match="needs “"):
        done(PLAN, LeaveOut("prove_live", "seen by hand"), by=APPROVER)
    now = done(PLAN, LeaveOut("announce_success", "told by hand"))
    now = done(now, LeaveOut("pull_request_comments", "not this time"))
    assert left_out(done(now, LeaveOut("prove_live", "seen by hand"), by=APPROVER).step("prove_live"))


def test_what_has_begun_does_not_change_and_nothing_comes_before_it() -> None:
    begun = order(PLAN)[:4]
    for edit in (Note("ci_green", "hm"), Move("ci_green", ""), Assign("ci_green", "U05ADA")):
        with pytest.raises(Conflict, match="has begun"):
            done(PLAN, edit, begun=begun)
    with pytest.raises(Conflict, match="Nothing can come before"):
        done(PLAN, Insert("Look", "ci_green"), begun=begun)
    assert "added_1" in order(done(PLAN, Insert("Look", order(PLAN)[4]), begun=begun))


def test_ci_of_a_merge_stays_behind_the_merge_and_masters_before_it() -> None:
    for edit in (Move("ci_green_merge", "master_contains_release"), Move("ci_green", "push_branches")):
        with pytest.raises(Conflict, match="must come after"):
            done(MERGING, edit)


def test_a_step_that_people_approve_is_not_left_out() -> None:
    param = {"approval": as_param(ApprovalPolicy())}
    steps = tuple(replace(s, params=param) if s.key == "announce_start" else s for s in PLAN.steps)
    with pytest.raises(NotAllowed, match="People approve"):
        done(replace(PLAN, steps=steps), LeaveOut("announce_start", "told them yesterday"))


def test_who_only_looks_changes_nothing() -> None:
    with pytest.raises(NotAllowed, match="role releaser"):
        done(PLAN, Note("deploy", "hello"), by=VIEWER)


def test_an_edit_made_looking_at_another_version_is_told_what_came_between() -> None:
    now = done(PLAN, Note("deploy", "slowly"))
    demand_seen(now, 1)
    with pytest.raises(Conflict, match=r"<@U01REL> wrote a note .* you saw version 0 .* at version 1"):
        demand_seen(now, 0)
    with pytest.raises(Conflict, match="version 7"):
        demand_seen(now, 7)


def test_a_plan_is_not_changed_for_ever() -> None:
    with pytest.raises(Conflict, match="steps at most"):
        after(PLAN, *(Insert(f"Step {number}") for number in range(70)))
    with pytest.raises(Conflict, match="times already"):
        after(PLAN, *(Note("deploy", f"Note {number}") for number in range(70)))
