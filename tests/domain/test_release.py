from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Conflict
from bot.domain.release import (
    FINISHED,
    RELEASE_MOVES,
    STEP_MOVES,
    ReleaseState,
    StepState,
    move_release,
    move_step,
)

releases, steps = st.sampled_from(ReleaseState), st.sampled_from(StepState)


@given(releases, releases)
def test_a_release_goes_only_where_the_table_says(old: ReleaseState, new: ReleaseState) -> None:
    if new in RELEASE_MOVES[old]:
        assert move_release(old, new) is new
    else:
        with pytest.raises(Conflict, match=f"{old} cannot become {new}"):
            move_release(old, new)


@given(steps, steps)
def test_a_step_goes_only_where_the_table_says(old: StepState, new: StepState) -> None:
    if new in STEP_MOVES[old]:
        assert move_step(old, new) is new
    else:
        with pytest.raises(Conflict, match=f"{old} cannot become {new}"):
            move_step(old, new)


@given(st.lists(releases, max_size=30))
def test_what_is_finished_stays_finished(wanted: list[ReleaseState]) -> None:
    state = ReleaseState.PLANNED
    for new in wanted:
        before = state
        try:
            state = move_release(state, new)
        except Conflict:
            assert state is before
        assert before not in FINISHED or state is before


def test_every_state_has_its_moves_and_every_open_release_can_be_aborted() -> None:
    assert set(RELEASE_MOVES) == set(ReleaseState)
    assert set(STEP_MOVES) == set(StepState)
    for state in set(ReleaseState) - FINISHED:
        assert ReleaseState.ABORTED in RELEASE_MOVES[state]


def test_only_a_running_release_succeeds_and_every_state_can_be_reached() -> None:
    assert [old for old, new in RELEASE_MOVES.items() if ReleaseState.SUCCEEDED in new] == [ReleaseState.RUNNING]
    assert _reached(ReleaseState.PLANNED) == set(ReleaseState)


def test_a_step_is_done_only_after_it_was_begun_and_never_undone() -> None:
    assert StepState.DONE not in STEP_MOVES[StepState.PENDING]
    assert STEP_MOVES[StepState.DONE] == STEP_MOVES[StepState.SKIPPED] == frozenset()
    assert all(StepState.PENDING not in moves for moves in STEP_MOVES.values())


def _reached(start: ReleaseState) -> set[ReleaseState]:
    seen, left = {start}, [start]
    while left:
        for new in RELEASE_MOVES[left.pop()] - seen:
            seen.add(new)
            left.append(new)
    return seen
