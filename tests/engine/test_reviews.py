"""A review that goes on: CI followed until it is decided, run again once, and what a silent remote leaves of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import yaml

from bot.checklists import shipped
from bot.domain.errors import Refused, Unavailable
from bot.domain.report import Following, Gap, Rerun
from bot.domain.world import CheckState, PipelineJob, ReflogEntry, Workflow
from bot.engine.office_service import Area, OfficeService
from bot.engine.reviews import FOLLOWED
from bot.settings import parse
from bot.settings_example import EXAMPLE
from sandbox.processes import output
from tests.engine.test_office import Desk, origin, world
from tests.steps.fakes import START, FakePipelines
from tests.steps.test_with_git import Origin, at

if TYPE_CHECKING:
    from pathlib import Path

    from bot.domain.report import ReviewReport
    from tests.steps.worlds import World

__all__ = ["origin", "world"]
JOBS = (
    "generate-graphql-schema",
    "test-pycode-format",
    "test-postprocessing",
    "test-engine",
    "test-graphql",
    "test-webapp",
)


class Scene:
    """An office over one world, with CI's own runs, and everything that was told of a review."""

    def __init__(self, world: World, origin: Origin) -> None:
        self.world, self.head = world, origin.head("master")
        self.pipelines = FakePipelines()
        settings = parse(yaml.safe_load(EXAMPLE))
        name, environment = settings.environment()
        ports = replace(world.ports, pipelines=world.tap.wrap(self.pipelines))
        self.office = OfficeService(
            settings, desk=Desk(""), commands=(), areas={name: Area(name, environment, ports, world.planner, shipped)}
        )
        self.told: list[ReviewReport] = []

    def ci(self, state: CheckState, **others: CheckState) -> None:
        states = dict.fromkeys(JOBS, state) | {name.replace("_", "-"): one for name, one in others.items()}
        self.world.code_host.report(self.head, **{name.replace("-", "_"): one for name, one in states.items()})

    async def tell(self, report: ReviewReport) -> None:
        self.told.append(report)

    async def follow(self, key: str = "review-E1", *, expecting: bool = False) -> ReviewReport:
        return await self.office.review(environment="prod", tell=self.tell, follow=key, expecting=expecting)

    @property
    def asked(self) -> int:
        return self.world.tap.calls.count("checks")


@pytest.fixture
def scene(world: World, origin: Origin) -> Scene:
    return Scene(world, origin)


async def test_a_review_follows_pending_jobs_until_they_are_decided(scene: Scene) -> None:
    scene.ci(CheckState.PASSED, test_graphql=CheckState.PENDING)
    scene.world.clock.at(100, lambda: scene.ci(CheckState.PASSED))
    final = await scene.follow()
    assert final.ci is not None
    assert set(final.ci.values()) == {CheckState.PASSED}
    assert final.following is Following.NO
    on = [one for one in scene.told if one.following is Following.ON]
    assert on[0].followed_until == START + FOLLOWED
    assert scene.told[-1] == final


async def test_what_is_decided_is_not_asked_again(scene: Scene) -> None:
    scene.ci(CheckState.PASSED, test_graphql=CheckState.FAILED)
    final = await scene.follow()
    assert (scene.asked, final.following) == (1, Following.NO)


async def test_after_45_minutes_the_message_says_that_it_is_followed_no_more(scene: Scene) -> None:
    scene.ci(CheckState.PASSED, test_graphql=CheckState.PENDING)
    final = await scene.follow()
    assert final.following is Following.OVER
    assert FOLLOWED.total_seconds() <= scene.world.clock.seconds < FOLLOWED.total_seconds() + 120
    assert scene.asked < 60


async def overtaken(scene: Scene, *keys: str) -> tuple[ReviewReport, list[Following]]:
    """Follow twice: the first waits where it begins to follow until the second has begun as well, then all goes on."""
    waits, begun = asyncio.Event(), asyncio.Event()
    said: list[Following] = []

    async def older(report: ReviewReport) -> None:
        said.append(report.following)
        if report.following is Following.ON:
            waits.set()
            await begun.wait()

    async def newer(report: ReviewReport) -> None:
        if report.following is Following.ON and not begun.is_set():
            scene.world.clock.at(scene.world.clock.seconds + 600, lambda: scene.ci(CheckState.PASSED))
            begun.set()

    scene.ci(CheckState.PASSED, test_graphql=CheckState.PENDING)
    async with asyncio.TaskGroup() as group:
        group.create_task(scene.office.review(environment="prod", tell=older, follow=keys[0]))
        await waits.wait()
        second = group.create_task(scene.office.review(environment="prod", tell=newer, follow=keys[1]))
    return second.result(), said


async def test_a_commits_ci_is_followed_in_its_newest_message_alone(scene: Scene) -> None:
    newer, said = await overtaken(scene, "review-E1", "review-E2")
    assert said[-1] is Following.ELSEWHERE
    assert (newer.following, set((newer.ci or {}).values())) == (Following.NO, {CheckState.PASSED})


async def test_two_follow_ups_of_one_message_do_not_contradict_each_other(scene: Scene) -> None:
    newer, said = await overtaken(scene, "review-E1", "review-E1")
    assert Following.ELSEWHERE not in said
    assert newer.following is Following.NO


async def test_only_so_many_commits_are_followed_at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each keeps a request at work, and others want to be answered too."""
    monkeypatch.setattr("bot.engine.reviews.AT_ONCE", 0)
    scene.ci(CheckState.PASSED, test_graphql=CheckState.PENDING)
    assert (await scene.follow()).following is Following.OVER
    assert scene.asked == 1


async def test_a_github_that_was_silent_is_asked_again_and_one_that_refuses_is_not(scene: Scene) -> None:
    scene.ci(CheckState.PASSED)
    scene.world.tap.fail("checks", Unavailable("GitHub does not answer."), times=2)
    final = await scene.follow()
    assert (final.checks_problem, scene.asked) == ("", 3)
    assert any(one.checks_problem for one in scene.told)
    scene.world.tap.fail("checks", Refused("GitHub does not accept our token."))
    refused = await scene.follow()
    assert (refused.checks_problem, scene.asked) == ("GitHub does not accept our token.", 4)


async def test_an_answer_of_before_stays_when_github_falls_silent_meanwhile(scene: Scene) -> None:
    scene.ci(CheckState.PASSED, test_graphql=CheckState.PENDING)
    scene.world.clock.at(5, lambda: scene.world.tap.fail("checks", Unavailable("GitHub does not answer."), times=1))
    scene.world.clock.at(60, lambda: scene.ci(CheckState.PASSED))
    await scene.follow()
    silent = next(one for one in scene.told if one.checks_problem)
    assert silent.ci is not None
    assert silent.ci["test-webapp"] is CheckState.PASSED


def failed_run(scene: Scene, *, running: bool = False) -> None:
    jobs = (PipelineJob("test-webapp", CheckState.FAILED, "failed"), PipelineJob("test-engine", CheckState.PASSED))
    scene.pipelines.runs[scene.head] = [Workflow("W1", "commit", "failed", running, jobs)]


async def test_failed_jobs_are_run_again_once_however_often_it_is_asked(scene: Scene) -> None:
    failed_run(scene)
    office = scene.office
    first, second = await asyncio.gather(
        office.rerun_ci(environment="prod", commit=scene.head), office.rerun_ci(environment="prod", commit=scene.head)
    )
    assert scene.pipelines.reruns == ["W1"]
    assert (first, second) == (Rerun(("commit",)), Rerun(running=("commit",)))


async def test_what_runs_already_or_did_not_fail_is_not_run_again(scene: Scene) -> None:
    failed_run(scene, running=True)
    assert await scene.office.rerun_ci(environment="prod", commit=scene.head) == Rerun(running=("commit",))
    assert await scene.office.rerun_ci(environment="prod", commit="f" * 40) == Rerun()
    ignored = (PipelineJob("sci-test-on-demand", CheckState.FAILED, "failed"),)
    scene.pipelines.runs[scene.head] = [Workflow("W2", "sci-test-on-demand", "failed", running=False, jobs=ignored)]
    assert await scene.office.rerun_ci(environment="prod", commit=scene.head) == Rerun()
    assert not scene.pipelines.reruns


async def test_without_a_token_for_ci_nothing_can_be_run_again(world: World, origin: Origin) -> None:
    from tests.engine.test_office import office

    with pytest.raises(Refused) as caught:
        await office(world).rerun_ci(environment="prod", commit=origin.head("master"))
    assert "RELEASEBOT_CIRCLECI__TOKEN" in caught.value.hint


async def test_after_a_rerun_ci_is_given_a_moment_to_begin(scene: Scene) -> None:
    scene.ci(CheckState.PASSED, test_webapp=CheckState.FAILED)
    scene.world.clock.at(40, lambda: scene.ci(CheckState.PASSED, test_webapp=CheckState.PENDING))
    scene.world.clock.at(200, lambda: scene.ci(CheckState.PASSED))
    final = await scene.follow(expecting=True)
    assert final.ci is not None
    assert set(final.ci.values()) == {CheckState.PASSED}


async def test_a_ci_that_never_begins_again_is_not_waited_for_long(scene: Scene) -> None:
    scene.ci(CheckState.PASSED, test_webapp=CheckState.FAILED)
    final = await scene.follow(expecting=True)
    assert final.following is Following.NO
    assert scene.world.clock.seconds < 300


async def test_what_ci_itself_does_not_tell_is_said_and_the_review_comes(scene: Scene) -> None:
    scene.ci(CheckState.PASSED)
    scene.world.tap.fail("workflows", Unavailable("CircleCI does not answer.", hint="wait"))
    final = await scene.office.review(environment="prod")
    assert final.workflows is None
    assert final.workflows_problem == "CircleCI does not answer. Try: wait"


async def test_a_remote_that_is_down_leaves_a_review_of_what_was_fetched_before(scene: Scene) -> None:
    await scene.office.review(environment="prod")
    silent = Unavailable("origin does not answer.", hint="wait")
    for method in ("fetch", "branch_head", "version_tags"):
        scene.world.tap.fail(method, silent, times=5)
    final = await scene.office.review(environment="prod")
    assert [one.number for one in final.review.pull_requests] == [12, 11]
    assert final.review.blind_spots[0].startswith("the newest commits: origin does not answer.")
    assert (final.review.base.ref, final.review.head.ref, final.review.head.sha) == ("release", "master", scene.head)
    assert final.drift is not None
    assert final.drift.refs_problem


async def test_a_mirror_that_is_shallow_is_a_blind_spot(origin: Origin, tmp_path: Path) -> None:
    from tests.engine.test_office import office

    mirror = tmp_path / "mirror"
    words = ("clone", "-q", "--bare", "--depth=1", "--no-single-branch", f"file://{origin.bare}", str(mirror))
    await output(["git", *words])
    final = await office(at(origin, mirror)).review(environment="prod")
    assert any("shallow" in one for one in final.review.blind_spots)


async def test_branch_tag_and_server_are_three_facts_with_the_gaps_between_them(scene: Scene, origin: Origin) -> None:
    origin("push", "--quiet", "origin", "master~1:release")
    scene.world.server.commit = origin.head("1.9.9^{}")
    old = ReflogEntry("f" * 40, START - timedelta(days=9), "checkout")
    stale = ReflogEntry(scene.head, START - timedelta(days=1, seconds=5), "checkout: moving from release to master")
    here = ReflogEntry(scene.world.server.commit, START - timedelta(days=1), "checkout")
    scene.world.server.moves = [here, stale, old]
    found = (await scene.office.review(environment="prod")).drift
    assert found is not None
    assert (found.tag, found.branch_to_tag, found.live_to_branch, found.live_to_tag) == (
        "1.9.9",
        Gap(1, 0),
        Gap(0, 1),
        None,
    )
    assert (found.live_since, found.before) == (here.at, old.sha)


async def test_a_live_commit_that_the_repository_does_not_have_is_compared_with_nothing(scene: Scene) -> None:
    scene.world.server.commit = "f" * 40
    found = (await scene.office.review(environment="prod")).drift
    assert found is not None
    assert found.live_to_tag is None
    assert "live cannot be compared with tag 1.9.9" in list(found.sentences())


async def test_hotfixes_that_master_lacks_come_with_the_page_that_merges_them(scene: Scene, origin: Origin) -> None:
    origin("switch", "--quiet", "release")
    origin.commit("hotfix")
    origin("push", "--quiet", "origin", "release")
    final = await scene.office.review(environment="prod")
    assert [one.subject for one in final.review.lacking] == ["Add hotfix"]
    assert final.merge_url.endswith("/compare/master...release?expand=1")
    assert not any("lacks" in one for one in final.review.remarks)
    past = await scene.office.review(environment="prod", base="1.9.9", head="master")
    assert (past.merge_url, past.releasable) == ("", False)


async def test_evidence_is_read_from_git_alone(scene: Scene, origin: Origin) -> None:
    await scene.office.review(environment="prod")
    calls = len(scene.world.tap.calls)
    found = await scene.office.facts(environment="prod", base=origin.head("release"), head=scene.head)
    assert len(found.commits) == 2
    assert found.compare_url
    assert len(scene.world.tap.calls) == calls
