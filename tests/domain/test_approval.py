from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.approval import (
    Approval,
    ApprovalPolicy,
    ApprovalRules,
    Delegation,
    assess,
    bound,
    changed,
    combined,
    default_policy,
    demand_glass,
    demand_typed,
    read,
    reminder_due,
    seconds,
    voice_of,
    weakened,
)
from bot.domain.errors import Conflict, NotAllowed, ReleaseError, WrongUse
from bot.domain.policy import demand_delegable
from bot.domain.readmodel import Person
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 8, 3, 12, tzinfo=UTC)
APPROVER, OTHER = Person("UA", "A", frozenset({"approver"})), Person("UB", "B", frozenset({"approver"}))
STARTER = Person("US", "S", frozenset({"releaser", "approver", "admin"}))
VIEWER, ADMIN = Person("UV", "V", frozenset({"viewer"})), Person("UX", "X", frozenset({"admin"}))
PEOPLE = (APPROVER, OTHER, STARTER, VIEWER, ADMIN)
HOUR = timedelta(hours=1)

policies = st.builds(
    ApprovalPolicy,
    count=st.integers(1, 5),
    role=st.sampled_from(["releaser", "approver", "admin"]),
    starter=st.sampled_from(["never", "may"]),
    expires=st.floats(60, 86400),
    typed=st.booleans(),
    break_glass=st.booleans(),
)
givens = st.lists(
    st.builds(
        Approval,
        id=st.integers(1, 99),
        by=st.sampled_from("abcde"),
        voice=st.sampled_from("abcde"),
        at=st.integers(-100_000, 0).map(lambda n: NOW + timedelta(seconds=n)),
        glass=st.just(False),
    ),
    max_size=8,
)
lent = st.lists(
    st.builds(
        Delegation,
        of=st.sampled_from([one.slack for one in PEOPLE]),
        to=st.sampled_from([one.slack for one in PEOPLE]),
        roles=st.just(frozenset({"approver"})),
        since=st.just(NOW - HOUR),
        until=st.sampled_from([NOW, NOW + HOUR]),
    ),
    max_size=4,
)


ONE = ApprovalPolicy()


def voice(person: Person, policy: ApprovalPolicy = ONE, *lent: Delegation, given: Sequence[Approval] = ()) -> str:
    return voice_of(policy, person, starter="US", given=given, delegations=lent, now=NOW)


@given(policies, givens)
def test_only_fresh_voices_count_each_once(policy: ApprovalPolicy, given: list[Approval]) -> None:
    standing = assess(policy, given, NOW)
    assert {*standing.valid, *standing.expired} == set(given)
    assert all((NOW - one.at).total_seconds() <= policy.expires for one in standing.valid)
    assert standing.complete == (len({one.voice for one in standing.valid}) >= policy.count)


@given(policies, st.lists(st.sampled_from(PEOPLE), max_size=12), lent)
def test_whoever_presses_in_any_order_no_voice_counts_twice_and_the_starters_never(
    policy: ApprovalPolicy, presses: list[Person], delegations: list[Delegation]
) -> None:
    policy, heard = replace(policy, starter="never"), []
    for number, person in enumerate(presses):
        try:
            whose = voice_of(policy, person, starter="US", given=heard, delegations=delegations, now=NOW)
        except ReleaseError:
            continue
        heard.append(Approval(number, person.slack, whose, NOW))
    assert len({one.by for one in heard}) == len({one.voice for one in heard}) == len(heard)
    assert not {"US"} & {name for one in heard for name in (one.by, one.voice)}


def test_who_lacks_the_role_approves_only_for_whom_they_stand_in() -> None:
    assert voice(APPROVER) == "UA"
    assert voice(ADMIN) == "UX"
    with pytest.raises(NotAllowed, match="role approver"):
        voice(VIEWER)
    stands_in = Delegation("UA", "UV", frozenset({"approver"}), NOW - HOUR, NOW + HOUR)
    assert voice(VIEWER, ApprovalPolicy(), stands_in) == "UA"
    with pytest.raises(NotAllowed):
        voice(VIEWER, ApprovalPolicy(), replace(stands_in, until=NOW))
    with pytest.raises(NotAllowed, match="stand in for"):
        voice(VIEWER, ApprovalPolicy(), replace(stands_in, of="US"))
    with pytest.raises(NotAllowed, match="You started"):
        voice(STARTER, ApprovalPolicy(), replace(stands_in, to="US"))


def test_a_voice_lent_and_its_owner_are_one() -> None:
    stands_in = Delegation("UA", "UV", frozenset({"approver"}), NOW - HOUR, NOW + HOUR)
    given = [Approval(1, "UV", "UA", NOW)]
    with pytest.raises(Conflict, match="in your stead"):
        voice(APPROVER, ApprovalPolicy(count=2), stands_in, given=given)
    with pytest.raises(Conflict, match="another person"):
        voice(VIEWER, ApprovalPolicy(count=2), stands_in, given=given)
    assert voice(STARTER, ApprovalPolicy(starter="may")) == "US"


def test_glass_is_broken_by_an_admin_with_a_reason_where_it_may_be() -> None:
    demand_glass(ApprovalPolicy(), ADMIN, reason="the site is down")
    with pytest.raises(NotAllowed, match="admin"):
        demand_glass(ApprovalPolicy(), APPROVER, reason="the site is down")
    with pytest.raises(NotAllowed, match="alone"):
        demand_glass(ApprovalPolicy(break_glass=False), ADMIN, reason="the site is down")
    with pytest.raises(WrongUse, match="reason"):
        demand_glass(ApprovalPolicy(), ADMIN, reason=" ")
    with pytest.raises(WrongUse, match=r"1\.9\.10"):
        demand_typed("1.9.1", "1.9.10")
    rules = ApprovalRules(weaker=("swap",))
    assert not rules.may_break_glass("drop")
    assert not rules.may_break_glass("terminate_old")
    assert rules.may_break_glass("dropper")
    assert rules.may_weaken("swap_aliases")


def test_what_cannot_be_undone_needs_a_second_person_and_the_typed_version() -> None:
    assert default_policy(irreversible=False, costly=False) is None
    assert default_policy(irreversible=False, costly=True) == ApprovalPolicy(count=1, starter="never")
    hard = default_policy(irreversible=True, costly=True)
    assert hard is not None
    assert hard.typed
    assert hard.starter == "never"
    assert weakened(hard, {"count": 3, "role": "admin", "expires": 60.0}) == ()
    less = weakened(hard, {"starter": "may", "typed": False, "role": "releaser", "expires": 86400.0})
    assert len(less) == 4
    assert weakened(None, {"starter": "may"}) == ()
    assert combined(None, {}, glass=True) is None
    made = combined(None, {"count": 2}, glass=False)
    assert made == ApprovalPolicy(count=2, break_glass=False)


@given(st.dictionaries(st.sampled_from(["count", "role", "starter", "expires", "typed", "glass"]), st.one_of(
    st.integers(-2, 9), st.booleans(), st.text(max_size=5), st.sampled_from(["approver", "never", "4h", "2d", "90m"]), st.none(),
), max_size=5))  # fmt: skip
def test_what_a_checklist_says_is_read_or_named(raw: dict[str, object]) -> None:
    good, wrong = read(raw)
    assert set(good) | set(wrong) == set(raw)
    assert not set(good) & set(wrong)
    made = combined(None, good, glass=True)
    assert made is None or (1 <= made.count <= 5 and made.expires >= 60)


@pytest.mark.parametrize("text", ["", "4", "h", "0h", "4 h", "8d", "-4h", "4h4h", "9999d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        seconds(text)
    assert [seconds(one) for one in ("30m", "4h", "2d")] == [1800, 14400, 172800]


def test_a_reminder_is_due_once_in_a_while() -> None:
    late = NOW + timedelta(seconds=900)
    assert not reminder_due(asked_at=NOW, reminded_at=None, every=900, now=NOW + timedelta(seconds=899))
    assert reminder_due(asked_at=NOW, reminded_at=None, every=900, now=late)
    assert not reminder_due(asked_at=NOW, reminded_at=late, every=900, now=late + timedelta(seconds=899))
    assert not reminder_due(asked_at=NOW, reminded_at=None, every=0, now=late)


def test_a_changed_plan_is_named_fact_by_fact() -> None:
    plan = worlds.plan()
    assert changed(bound(plan), bound(worlds.plan(version="2.0.0", tags=("x",)))) == (), "not of the fingerprint"
    assert changed(bound(plan), bound(replace(plan, head="c" * 40))) == (
        "the commit changed from bbbbbbbb to cccccccc",
    )
    fewer = replace(plan, steps=plan.steps[:-1])
    assert changed(bound(plan), bound(fewer)) == ("the order of the steps changed", "step notes is gone")
    other = replace(plan, steps=(replace(plan.steps[0], params={"a": 1}), *plan.steps[1:]))
    assert changed(bound(plan), bound(other)) == ("step ci changed",)
    assert (plan.fingerprint == other.fingerprint) is False


def test_only_an_approver_lets_somebody_known_stand_in_and_not_for_ever() -> None:
    assert demand_delegable(APPROVER, VIEWER, until=NOW + HOUR, now=NOW) == {"approver"}
    for of, to, until in (
        (VIEWER, APPROVER, NOW + HOUR),
        (APPROVER, Person("U9", "Stranger"), NOW + HOUR),
        (APPROVER, APPROVER, NOW + HOUR),
        (APPROVER, VIEWER, NOW),
        (APPROVER, VIEWER, NOW + timedelta(days=15)),
    ):
        with pytest.raises(ReleaseError, match="nothing was done"):
            demand_delegable(of, to, until=until, now=NOW)
