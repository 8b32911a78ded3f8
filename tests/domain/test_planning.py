"""From a checklist to a plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checklists import catalogue, parse, shipped
from bot.domain.checklist import StepFacts
from bot.domain.drafting import Draft
from bot.domain.errors import WrongUse
from bot.domain.notes import Note, NoteKind
from bot.domain.plan import Command, Plan, PlannedStep
from bot.domain.planning import ManualStep, Merge, loose_ends, make_plan, planned_merge
from bot.steps.registry import load

CATALOGUE = catalogue(load())
CHECKLIST = shipped(load())["in_place"]
OWN = """
name: own
title: A team's own
steps:
  - step: review_acknowledged
  - manual: Run the scripts that the review names
    key: scripts
    part: manual_migrations
  - step: announce_start
  - step: deploy
  - step: prove_live
  - step: announce_success
"""
SHAS = st.text("0123456789abcdef", min_size=40, max_size=40)
MERGES = st.none() | st.builds(Merge, ours=SHAS, theirs=SHAS)
PARTS_HERE = st.sets(st.sampled_from(sorted(CHECKLIST.parts)))
MANUAL = st.lists(st.builds(ManualStep, text=st.text(min_size=1, max_size=9), after_deploy=st.booleans()), max_size=3)


def commands(plan: Plan, step: PlannedStep) -> tuple[Command, ...]:
    return (Command("here", (step.key, plan.head)),)


def drafted(title: str) -> Draft:
    return Draft((Note(NoteKind.TASK, title, 7),), pull_requests=(7,))


def make(catalogue: dict[str, StepFacts] = CATALOGUE, **facts: Any) -> Plan:
    given = {"environment": "prod", "base": "a" * 40, "head": "b" * 40, "version": "1.0.1", "previous_version": "1.0.0"}
    return make_plan(CHECKLIST, catalogue=catalogue, commands=commands, **{**given, **facts})


@given(SHAS, PARTS_HERE, MANUAL, MERGES, st.text(max_size=20))
def test_the_same_facts_make_the_same_plan(
    head: str, parts: set[str], manual: list[ManualStep], merge: Merge | None, title: str
) -> None:
    notes = drafted(title)
    facts = {"head": head, "parts": parts, "manual_steps": manual, "merge": merge, "notes": notes}
    one, other = make(**facts), make(**facts)
    assert one == other
    assert one.fingerprint == other.fingerprint


@given(st.booleans(), PARTS_HERE, MANUAL, MERGES)
def test_keys_are_unique_and_the_checklists_order_holds(
    hotfix: bool,  # noqa: FBT001  # drawn by Hypothesis
    parts: set[str],
    manual: list[ManualStep],
    merge: Merge | None,
) -> None:
    plan = make(hotfix=hotfix, parts=parts, manual_steps=manual, merge=None if hotfix else merge)
    keys = [step.key for step in plan.steps]
    assert len(keys) == len(set(keys))
    listed = [item.key for item in CHECKLIST.items]
    assert [key for key in keys if key in listed] == [key for key in listed if key in keys]
    assert all(step.commands == commands(plan, step) for step in plan.steps)


@given(PARTS_HERE)
def test_a_part_is_there_exactly_when_it_is_switched_on(parts: set[str]) -> None:
    keys = {step.key for step in make(parts=parts).steps}
    assert {item.part for item in CHECKLIST.items if item.part and item.key in keys} == parts


def test_a_hotfix_pushes_neither_master_nor_release() -> None:
    assert not {"master_contains_release", "push_branches"} & {step.step for step in make(hotfix=True).steps}


def test_the_draft_of_the_notes_is_part_of_what_is_approved() -> None:
    assert make(notes=drafted("a")).step("notes").params == {"draft": "[Task] a #7"}
    assert make(notes=drafted("a")).fingerprint != make(notes=drafted("b")).fingerprint


def test_the_pull_requests_of_the_range_are_those_that_are_told() -> None:
    plan = make(notes=drafted("a"), parts={"pull_request_comments"})
    assert plan.step("pull_request_comments").params == {"pull_requests": [7]}


def test_a_merge_asks_ci_before_and_after() -> None:
    merge = Merge(ours="c" * 40, theirs="a" * 40)
    plan = make(merge=merge)
    assert planned_merge(plan) == merge
    assert plan.step("ci_green").params == {"commit": merge.ours}
    assert plan.step("ci_green_merge").params == {}
    assert planned_merge(make()) is None


def test_manual_steps_stand_before_anything_is_stopped_or_announced_or_where_they_are_put() -> None:
    plan = make(manual_steps=[ManualStep("first"), ManualStep("second"), ManualStep("third", before="tag")])
    titles = [step.title for step in plan.steps]
    assert titles.index("third") + 1 == titles.index("Annotated tag pushed")
    assert [*titles[(at := titles.index("first")) : at + 2], titles[at + 2]] == [
        "first",
        "second",
        "Running work looked at",
    ]


def test_manual_steps_after_the_deploy_stand_behind_its_proof_in_their_order() -> None:
    steps = [ManualStep("one", after_deploy=True), ManualStep("first"), ManualStep("two", after_deploy=True)]
    titles = [step.title for step in make(manual_steps=steps, parts={"es_update"}).steps]
    at = titles.index("one")
    assert titles[at - 1] == CATALOGUE["prove_live"].title
    assert titles[at + 1] == "two"
    assert titles.index("first") < titles.index("Start announced")


def test_a_checklist_of_a_teams_own_keeps_its_part_and_gets_the_concrete_steps_as_well() -> None:
    own = parse(OWN, "own.yml", load())
    steps = [ManualStep("Run x.py"), ManualStep("Tell the labs", after_deploy=True)]
    facts: dict[str, Any] = {"environment": "prod", "base": "a" * 40, "head": "b" * 40, "version": "1.0.1"}
    plan = make_plan(
        own,
        catalogue=CATALOGUE,
        commands=commands,
        previous_version="1.0.0",
        parts=own.parts,
        manual_steps=steps,
        **facts,
    )
    assert [step.key for step in plan.steps] == [
        "review_acknowledged", "scripts", "by_hand_1", "announce_start", "deploy", "prove_live", "by_hand_2", "announce_success",
    ]  # fmt: skip


def test_what_is_done_by_hand_is_part_of_what_is_approved() -> None:
    one = ManualStep("Run x.py", note="python x.py", assignee="<@U01ADA>")
    prints = [
        make(manual_steps=steps, authors=authors).fingerprint
        for steps, authors in (
            ([], {}), ([one], {}), ([replace(one, note="python y.py")], {}), ([replace(one, assignee="")], {}),
            ([replace(one, after_deploy=True)], {}), ([], {"pulls": [1]}),
        )
    ]  # fmt: skip
    assert len(set(prints)) == len(prints)


def test_tags_are_sorted_once_each() -> None:
    assert make(tags=("sm-web-app", "sm-api", "sm-api")).tags == ("sm-api", "sm-web-app")


def test_the_plan_keeps_the_versions_of_its_steps() -> None:
    changed = {**CATALOGUE, "tag": StepFacts("tag", 7, "Tag", CATALOGUE["tag"].kind, "never")}
    assert make(changed).step("tag").version == 7


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"head": "HEAD"}, "full commit ids"),
        ({"base": "abc"}, "full commit ids"),
        ({"tags": ("sm-api; rm -rf /",)}, "no Ansible tag"),
        ({"tags": ("--flush-cache",)}, "no Ansible tag"),
        ({"parts": {"reindex"}}, "has no part reindex"),
        ({"manual_steps": [ManualStep("x", before="nowhere")]}, "no step 'nowhere'"),
        ({"hotfix": True, "merge": Merge("c" * 40, "a" * 40)}, "does not merge"),
    ],
)
def test_facts_that_make_no_plan_are_refused(facts: dict[str, Any], why: str) -> None:
    with pytest.raises(WrongUse, match=why) as caught:
        make(**facts)
    assert caught.value.hint


def test_what_is_owed_and_not_settled_is_a_loose_end() -> None:
    facts: list[dict[str, object]] = [
        {"owes": {"a": "A", "b": "B"}},
        {"other": 1},
        {"settles": ["a"]},
        {"owes": {"c": "C"}},
    ]
    assert loose_ends(facts) == ("B", "C")
