from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.release import ReleaseState, StepState
from bot.domain.vigil import Outage, Trouble, of_programs, of_site, watched_now
from bot.domain.world import Program

NOW = datetime(2026, 8, 3, 12, tzinfo=UTC)
WATCHED, ENDING = ("sm-api", "sm-lithops-daemon"), ("sm-lithops-daemon",)


def site(seconds: float, step: str = "announce_success", state: ReleaseState = ReleaseState.RUNNING) -> Trouble | None:
    return of_site(Outage(3, seconds, "503"), state=state, step=step, warn_after=45, pause_after=60)


@given(st.floats(0, 10_000), st.sampled_from(["deploy", "prove_live"]))
def test_a_deploy_is_never_paused_for_an_outage(seconds: float, step: str) -> None:
    trouble = site(seconds, step)
    assert (trouble is not None) == (seconds >= 45)
    assert trouble is None or not trouble.pause


@given(st.floats(0, 10_000), st.sampled_from(ReleaseState))
def test_only_what_runs_is_paused_after_a_minute(seconds: float, state: ReleaseState) -> None:
    trouble = site(seconds, state=state)
    assert (trouble is not None) == (seconds >= 60 and state is ReleaseState.RUNNING)
    assert trouble is None or (trouble.pause and "503" in trouble.why)


@pytest.mark.parametrize(
    ("name", "group", "state", "bad"),
    [
        ("sm-api", "sm-api", "RUNNING", False),
        ("sm-api", "sm-api", "STARTING", False),
        ("sm-api", "sm-api", "FATAL", True),
        ("sm-api", "sm-api", "EXITED", True),
        ("sm-api", "sm-api", "STOPPED", True),
        ("daemon_0", "sm-lithops-daemon", "EXITED", False),
        ("daemon_0", "sm-lithops-daemon", "FATAL", True),
        ("other", "other", "FATAL", False),
    ],
)
def test_a_watched_program_that_does_not_run_is_trouble(name: str, group: str, state: str, bad: bool) -> None:  # noqa: FBT001
    found = of_programs([Program(name, group, state, 1, NOW)], watched=WATCHED, ending=ENDING)  # type: ignore[arg-type]
    assert bool(found) == bad
    assert found is None or (name in found.why and state in found.why)


def test_services_are_watched_once_they_are_proved_and_while_the_release_goes_on() -> None:
    proved = [("deploy", StepState.DONE), ("prove_live", StepState.DONE), ("announce_success", StepState.RUNNING)]
    assert watched_now(state=ReleaseState.RUNNING, steps=proved)
    assert not watched_now(state=ReleaseState.PAUSED, steps=proved)
    assert not watched_now(state=ReleaseState.RUNNING, steps=[("prove_live", StepState.SKIPPED)])
