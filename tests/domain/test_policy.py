from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import NotAllowed
from bot.domain.policy import DECIDES, demand, demand_skip, may_decide
from bot.domain.readmodel import Person
from bot.domain.release import DecisionKind

ROLES = ("viewer", "releaser", "approver", "admin")
kinds = st.sampled_from(DecisionKind)
roles = st.frozensets(st.sampled_from([*ROLES, "something new"]))


def person(*held: str) -> Person:
    return Person("U1", "Somebody", frozenset(held))


@given(kinds)
def test_a_stranger_a_viewer_and_an_unknown_role_decide_nothing(kind: DecisionKind) -> None:
    for nobody in (person(), person("viewer"), person("something new")):
        assert not may_decide(nobody, kind)
        with pytest.raises(NotAllowed, match="nothing was done"):
            demand(nobody, kind)


@given(kinds)
def test_an_admin_decides_everything(kind: DecisionKind) -> None:
    demand(person("admin"), kind)


@given(roles, roles, kinds)
def test_another_role_never_takes_a_right_away(held: frozenset[str], more: frozenset[str], kind: DecisionKind) -> None:
    if may_decide(person(*held), kind):
        assert may_decide(person(*held, *more), kind)


def test_every_decision_names_who_may_take_it() -> None:
    assert set(DECIDES) == set(DecisionKind)


@pytest.mark.parametrize("role", ROLES)
def test_what_is_never_skipped_is_skipped_by_nobody(role: str) -> None:
    with pytest.raises(NotAllowed, match="never"):
        demand_skip(person(role), skip="never")


@pytest.mark.parametrize(("skip", "may"), [("releaser", {"releaser", "admin"}), ("approver", {"approver", "admin"})])
def test_a_step_names_who_may_leave_it_out(skip: str, may: set[str]) -> None:
    for role in ROLES:
        if role in may:
            demand_skip(person(role), skip=skip)
        else:
            with pytest.raises(NotAllowed):
                demand_skip(person(role), skip=skip)
