from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.checklist import Checklist, Item
from bot.domain.checklist_diff import differences

KEYS = ["review", "ci", "push", "notes", "tag", "deploy", "prove"]
orders = st.lists(st.sampled_from(KEYS), unique=True)


def checklist(*keys: str, **changes: dict[str, Any]) -> Checklist:
    items = tuple(replace(Item(key, f"{key}_step", 1), **changes.get(key, {})) for key in keys)
    return Checklist("mine", "Mine", "", items, text="")


@given(orders)
def test_a_checklist_differs_from_itself_in_nothing(keys: list[str]) -> None:
    assert differences(checklist(*keys), checklist(*keys)) == []


@given(orders, orders)
def test_everything_that_came_or_went_is_named_once(old: list[str], new: list[str]) -> None:
    lines = differences(checklist(*old), checklist(*new))
    gone, come = set(old) - set(new), set(new) - set(old)
    assert sorted(line[2:].partition(":")[0] for line in lines if line[0] == "-") == sorted(gone)
    assert sorted(line[2:].partition(":")[0] for line in lines if line[0] == "+") == sorted(come)


@given(orders, orders)
def test_only_what_stands_elsewhere_counts_as_moved(old: list[str], new: list[str]) -> None:
    shared_old, shared_new = [k for k in old if k in new], [k for k in new if k in old]
    moved = {line[2:].partition(":")[0] for line in differences(checklist(*old), checklist(*new)) if line[0] == ">"}
    assert [k for k in shared_old if k not in moved] == [k for k in shared_new if k not in moved]
    assert not moved or shared_old != shared_new


def test_one_moved_step_is_told_with_its_new_place() -> None:
    assert differences(checklist("ci", "tag", "deploy"), checklist("tag", "deploy", "ci")) == ["> ci: now after deploy"]


def test_what_changed_in_a_step_is_told_with_old_and_new() -> None:
    new = checklist("ci", "tag", ci={"assignee": "Ada", "unless_hotfix": True}, tag={"params": {"sign": True}})
    assert differences(checklist("ci", "tag"), new) == [
        "~ ci: left out of a hotfix no → yes",
        "~ ci: assignee none → 'Ada'",
        "~ tag: parameters none → {'sign': True}",
    ]
