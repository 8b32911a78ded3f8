from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Conflict, Refused
from bot.domain.findings import Finding, Kind, Severity
from bot.domain.plan import PlannedStep, StepKind
from bot.domain.planning import loose_ends
from bot.domain.release import FINISHED, ReleaseState, StepState
from bot.domain.rollback import (
    demand_compatible,
    demand_offered,
    in_the_way,
    offered,
    proved_before,
    switched_off,
    touched_live,
)
from tests.views import worlds

KEYS = ("workload", "deploy", "prove_live", "processing_back")
PLAN = worlds.plan(steps=tuple(PlannedStep(key, key, 1, key, StepKind.AUTOMATIC) for key in KEYS))


def release(state: ReleaseState, *states: StepState, **facts: object) -> worlds.ReleaseView:
    views = worlds.steps(*([StepState.PENDING] * 3))
    steps = tuple(
        replace(views[0], key=key, state=one, facts=facts if key == "workload" else {})
        for key, one in zip(KEYS, states, strict=True)
    )
    return worlds.release(state, plan=PLAN, steps=steps)


DONE, FAILED, PENDING, RUNNING = StepState.DONE, StepState.FAILED, StepState.PENDING, StepState.RUNNING


@given(st.sampled_from(ReleaseState), st.tuples(*[st.sampled_from(StepState)] * 4))
def test_it_is_offered_only_where_nothing_is_in_work_and_something_was_deployed(
    state: ReleaseState, states: tuple[StepState, ...]
) -> None:
    seen = release(state, *states)
    if offered(seen):
        assert RUNNING not in states
        assert states[1] not in (PENDING, StepState.SKIPPED)
        assert state in FINISHED | {ReleaseState.STOPPED, ReleaseState.PAUSED}
        demand_offered(seen)
    else:
        with pytest.raises(Conflict, match="not to be rolled back"):
            demand_offered(seen)


def test_before_the_deploy_there_is_nothing_to_go_back_from() -> None:
    assert not offered(release(ReleaseState.STOPPED, DONE, PENDING, PENDING, PENDING))
    assert offered(release(ReleaseState.STOPPED, DONE, DONE, FAILED, PENDING))
    assert offered(release(ReleaseState.STOPPED, DONE, FAILED, PENDING, PENDING)), "half deployed"
    assert touched_live(PLAN, {"deploy": FAILED})
    assert not touched_live(PLAN, {})


def migration(*, compatible: bool, kind: Kind = Kind.GRAPHQL_MIGRATION) -> Finding:
    return Finding(kind, "m.ts", Severity.ATTENTION, "m.ts", backward_compatible=compatible)


def test_a_migration_that_is_not_backward_compatible_stands_in_the_way_and_is_named() -> None:
    harmless = worlds.review(findings=(migration(compatible=True), worlds.review().findings[0]))
    demand_compatible(harmless, "1.9.9")
    for kind in (Kind.GRAPHQL_MIGRATION, Kind.ENGINE_MIGRATION):
        bad = worlds.review(findings=(migration(compatible=True), migration(compatible=False, kind=kind)))
        assert in_the_way(bad.findings) == ("m.ts",)
        with pytest.raises(Refused, match=r"1\.9\.9 .*m\.ts") as caught:
            demand_compatible(bad, "1.9.9")
        assert "snapshot" in caught.value.hint
        assert "roll forward" in caught.value.hint


def test_what_was_live_before_must_be_known_and_another_commit() -> None:
    seen = release(ReleaseState.STOPPED, DONE, DONE, FAILED, PENDING)
    assert proved_before(seen, ("c" * 40, "1.9.9")) == ("c" * 40, "1.9.9")
    with pytest.raises(Refused, match="no commit to go back to"):
        proved_before(seen, None)
    with pytest.raises(Conflict):
        proved_before(seen, (PLAN.head, "1.9.10"))


def test_switches_that_were_not_given_back_go_with_it() -> None:
    found = {"how": "drain", "can_process_datasets": True, "can_mutate": True, "message": None, "by": "U01REL"}
    stopped = release(ReleaseState.STOPPED, DONE, DONE, FAILED, PENDING, **found, queued=3)
    assert switched_off(stopped) == found
    assert switched_off(release(ReleaseState.SUCCEEDED, DONE, DONE, DONE, DONE, **found)) is None
    assert switched_off(release(ReleaseState.STOPPED, DONE, DONE, FAILED, PENDING, **{**found, "how": "wait"})) is None
    assert loose_ends([{"owes": {"processing": "off"}}, {"settles": ["processing"]}]) == ()
