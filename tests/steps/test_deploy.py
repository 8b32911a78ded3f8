from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Conflict, HostKeyChanged, Refused, StepFailed, Unavailable
from bot.engine.step import Done, NotDone, Partial, Running, Unknown
from tests.steps.fakes import Killed
from tests.steps.worlds import Stopped, World, failure

if TYPE_CHECKING:
    from bot.domain.world import JobSpec

KEY = "deploy"


@pytest.fixture
async def world(world: World) -> World:
    await world.make_plan()
    world.repository.branches["release"] = world.head
    return world


def job(world: World, name: str = "R7-deploy-1") -> JobSpec:
    return world.playbooks.deploy_job(name=name, folder="/srv", release="R7", commit=world.head, tags=())


async def test_one_completed_deploy_is_the_aim(world: World) -> None:
    assert isinstance(await world.check(KEY), NotDone)
    evidence = await world.drive(KEY)
    assert list(world.jobs.jobs) == ["R7-deploy-1"]
    assert evidence.facts["exit_status"] == 0
    assert world.outputs[KEY]["job"] == "R7-deploy-1"
    assert isinstance(await world.check(KEY), Done)


async def test_tasks_are_reported_with_role_and_a_line_to_attach(world: World) -> None:
    await world.drive(KEY)
    facts = next(facts for _, facts in world.said if "task" in facts)
    assert facts["task"] == 2
    assert facts["role"] == "sm-graphql"
    assert facts["name"] == "Build"
    assert "attach" in facts


async def test_the_shown_command_is_what_runs(world: World) -> None:
    plan = await world.make_plan()
    await world.drive(KEY)
    assert plan.step(KEY).commands[0].argv == world.jobs.jobs["R7-deploy-1"].spec.argv
    assert f"metaspace_branch={plan.head}" in plan.step(KEY).commands[0].argv


async def test_a_release_branch_elsewhere_is_refused(world: World) -> None:
    world.repository.branches["release"] = world.base
    with pytest.raises(Stopped, match="release is at the pinned commit"):
        await world.drive(KEY)
    with pytest.raises(Refused, match="pinned commit"):
        await (await world.step(KEY)).run(await world.context(KEY))
    assert world.jobs.jobs == {}


async def test_a_branch_that_moves_while_the_checkout_is_prepared_is_refused(world: World) -> None:
    async def prepare(**_: str) -> str:
        world.repository.branches["release"] = world.base
        return "/srv"

    world.playbooks.prepare = prepare  # type: ignore[method-assign]
    assert isinstance(await failure(world, KEY), Refused)
    assert world.jobs.jobs == {}


async def test_a_running_playbook_is_attached_to(world: World) -> None:
    await world.jobs.start(spec=job(world))
    assert await world.check(KEY) == Running("R7-deploy-1")
    await world.drive(KEY)
    assert list(world.jobs.jobs) == ["R7-deploy-1"]


async def test_a_playbook_that_completes_between_the_look_and_the_turn_is_not_run_again(world: World) -> None:
    await world.jobs.start(spec=job(world))
    assert await world.check(KEY) == Running("R7-deploy-1")
    await world.clock.sleep(seconds=world.jobs.duration)
    step, ctx = await world.step(KEY), await world.context(KEY)
    await step.run(ctx)
    assert (await step.verify(ctx)).facts["job"] == "R7-deploy-1"
    assert list(world.jobs.jobs) == ["R7-deploy-1"]


async def test_the_checkout_at_head_alone_is_partial(world: World) -> None:
    world.server.commit = world.head
    result = await world.check(KEY)
    assert isinstance(result, Partial)
    assert "not by this release" in result.evidence.summary


async def test_a_failed_task_is_named_and_retry_runs_it_again(world: World) -> None:
    world.jobs.outcomes = [2, 0]
    error = await failure(world, KEY)
    assert "exit status 2" in error.message
    assert "sm-graphql · Build on web: npm: out of memory" in error.message
    assert "half deployed" in error.changed
    assert isinstance(await world.check(KEY), Partial)
    world.attempt = 2
    await world.drive(KEY)
    assert list(world.jobs.jobs) == ["R7-deploy-1", "R7-deploy-2"]
    assert world.outputs[KEY]["runs"] == 2


async def test_a_failure_seen_only_after_a_restart_is_not_run_again_unasked(world: World) -> None:
    world.jobs.outcomes = [2]
    world.tap.kill_at = len(world.tap.calls) + 20
    with pytest.raises(Killed):
        await world.drive(KEY)
    world.clock.seconds += 600
    assert "exit status 2" in (await failure(world, KEY)).message
    assert list(world.jobs.jobs) == ["R7-deploy-1"]


async def test_a_playbook_that_died_is_reported_with_where(world: World) -> None:
    world.jobs.outcomes = [None]
    error = await failure(world, KEY)
    assert "died during sm-graphql · Build" in error.message
    await world.drive(KEY)
    assert list(world.jobs.jobs) == ["R7-deploy-1", "R7-deploy-2"]


async def test_a_control_host_out_of_sight_does_not_end_the_watch(world: World) -> None:
    await world.jobs.start(spec=job(world))
    world.tap.fail("look", Unavailable("control does not answer.", hint="retry"), times=5)
    await world.drive(KEY)
    assert any("out of sight" in sentence for sentence, _ in world.said)


async def test_a_control_host_gone_for_long_stops_the_step(world: World) -> None:
    world.tap.fail("look", Unavailable("control does not answer.", hint="retry"), times=1000)
    assert isinstance(await failure(world, KEY), Unavailable)
    assert world.clock.seconds > 600


async def test_a_changed_host_key_ends_the_watch_at_once(world: World) -> None:
    world.tap.fail("look", HostKeyChanged("control shows another key.", hint="ask who changed it"))
    assert isinstance(await failure(world, KEY), HostKeyChanged)
    assert world.clock.seconds == 0


async def test_somebody_elses_deploy_holds_the_lock(world: World) -> None:
    await world.jobs.start(spec=replace(job(world, "R6-deploy-1"), marks={"release": "R6", "commit": world.base}))
    assert isinstance(await failure(world, KEY), Conflict)


async def test_another_deploy_after_ours_stops_and_asks(world: World) -> None:
    await world.drive(KEY)
    world.server.commit = world.base
    result = await world.check(KEY)
    assert isinstance(result, Unknown)
    assert "after it" in result.why


@pytest.mark.parametrize("marks", [{"release": "R6"}, {"commit": "e" * 40}])
async def test_a_receipt_of_another_release_or_commit_proves_nothing(world: World, marks: dict[str, str]) -> None:
    spec = job(world)
    await world.jobs.start(spec=replace(spec, marks={**spec.marks, **marks}, lock=""))
    world.clock.seconds += 600
    assert not isinstance(await world.check(KEY), Done)


async def test_a_receipt_from_before_the_release_proves_nothing_and_its_name_is_not_used_again(world: World) -> None:
    await world.jobs.start(spec=job(world))
    world.jobs.jobs["R7-deploy-1"].started_at -= timedelta(days=30)
    world.jobs.jobs["R7-deploy-1"].ends_at -= timedelta(days=30)
    assert isinstance(await world.check(KEY), Partial)
    await world.drive(KEY)
    assert list(world.jobs.jobs) == ["R7-deploy-1", "R7-deploy-2"]


async def test_a_partial_release_passes_its_tags(world: World) -> None:
    await world.make_plan(tags=("sm-api",))
    evidence = await world.drive(KEY)
    assert "only sm-api" in evidence.summary
    assert "sm-api" in world.jobs.jobs["R7-deploy-1"].spec.argv


async def test_no_receipt_is_no_deploy(world: World) -> None:
    with pytest.raises(StepFailed, match="no receipt"):
        await (await world.step(KEY)).verify(await world.context(KEY))
