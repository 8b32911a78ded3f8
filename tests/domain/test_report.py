from __future__ import annotations

from typing import Any

import pytest

from bot.domain.report import Drift, Gap, ReviewReport
from bot.domain.world import Check, CheckState, PipelineJob, Workflow
from tests.views import worlds

A, B, C = "a" * 40, "b" * 40, "c" * 40


@pytest.mark.parametrize(
    ("drift", "sentences"),
    [
        (Drift("release", A, "2.3.1", A, A), []),
        (Drift("release", A, live=A), []),
        (
            Drift("release", B, "2.3.1", A, B, branch_to_tag=Gap(11, 0)),
            ["release is 11 commits ahead of tag 2.3.1", "live is release"],
        ),
        (
            Drift("release", B, "2.3.1", A, A, branch_to_tag=Gap(1, 0)),
            ["release is 1 commit ahead of tag 2.3.1", "live is tag 2.3.1"],
        ),
        (
            Drift("release", A, "2.3.1", A, C, live_to_branch=Gap(0, 3), live_to_tag=None),
            ["live is 3 commits behind release", "live cannot be compared with tag 2.3.1"],
        ),
        (
            Drift("release", A, "2.3.1", A, C, live_to_branch=Gap(2, 1), live_to_tag=Gap(0, 0)),
            ["live is 2 commits ahead of and 1 behind release", "live has the same changes as tag 2.3.1"],
        ),
        (Drift("release", B, "2.3.1", A, "", branch_to_tag=Gap(0, 2)), ["release is 2 commits behind tag 2.3.1"]),
        (Drift("release", "", "", "", C), []),
    ],
)
def test_drift_says_which_of_the_three_disagree_and_by_how_much(drift: Drift, sentences: list[str]) -> None:
    assert list(drift.sentences()) == sentences


def report(github: CheckState | None, circle: CheckState | None = None, **more: Any) -> ReviewReport:
    job = PipelineJob("test-engine", circle, "running") if circle else None
    return worlds.report(
        required_ci=("test-engine",),
        checks=(Check("test-engine", github),) if github else (),
        workflows=(Workflow("W1", "commit", "running", running=True, jobs=(job,)),) if job else None,
        **more,
    )


@pytest.mark.parametrize(
    ("github", "circle", "state"),
    [
        (CheckState.PASSED, CheckState.PENDING, CheckState.PASSED),
        (CheckState.PASSED, CheckState.FAILED, CheckState.PASSED),
        (CheckState.FAILED, CheckState.PENDING, CheckState.PENDING),
        (None, CheckState.PENDING, CheckState.PENDING),
        (None, CheckState.PASSED, CheckState.MISSING),
        (CheckState.FAILED, None, CheckState.FAILED),
    ],
)
def test_github_says_what_passed_and_ci_itself_what_runs(
    github: CheckState | None, circle: CheckState | None, state: CheckState
) -> None:
    assert report(github, circle).ci == {"test-engine": state}


@pytest.mark.parametrize(
    ("github", "circle", "may_come", "decided"),
    [
        (CheckState.PASSED, None, True, True),
        (CheckState.FAILED, None, True, True),
        (CheckState.PENDING, None, False, False),
        (CheckState.FAILED, CheckState.PENDING, False, False),
        (None, None, True, False),
        (None, None, False, True),
    ],
)
def test_ci_is_decided_when_asking_again_can_change_nothing(
    github: CheckState | None, circle: CheckState | None, *, may_come: bool, decided: bool
) -> None:
    assert report(github, circle).decided(may_come=may_come) is decided


def test_ci_that_did_not_answer_is_not_decided() -> None:
    assert not worlds.report(checks=None, checks_problem="silent").decided(may_come=False)


def test_ignored_jobs_are_shown_apart_and_never_required() -> None:
    checks = (Check("test-engine", CheckState.PASSED), Check("sci-test-on-demand", CheckState.FAILED))
    found = worlds.report(required_ci=("test-engine",), ignored_ci=("sci-test-on-demand",), checks=checks)
    assert found.ci == {"test-engine": CheckState.PASSED}
    assert found.not_blocking == {"sci-test-on-demand": CheckState.FAILED}
