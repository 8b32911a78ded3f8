from __future__ import annotations

import pytest

from bot.domain.errors import Refused, StepFailed, Unavailable
from bot.domain.planning import loose_ends
from bot.domain.world import RefUpdate
from bot.engine.step import Done, NotDone, Unknown
from tests.steps.worlds import Stopped, World, failure, sha

KEY = "push_branches"


async def test_release_is_pushed_from_where_the_plan_saw_it(world: World) -> None:
    evidence = await world.drive(KEY)
    assert world.repository.pushes == [(RefUpdate("refs/heads/release", world.base, world.head),)]
    assert (evidence.facts["old"], evidence.facts["new"]) == (world.base, world.head)


async def test_until_the_deploy_is_complete_release_is_ahead_of_what_is_live(world: World) -> None:
    pushed = (await world.drive(KEY)).facts
    assert "ahead of what is live" in loose_ends([pushed])[0]
    assert loose_ends([pushed, (await world.drive("deploy")).facts]) == ()


async def test_master_is_never_pushed_here(world: World) -> None:
    await world.make_plan()
    later = world.repository.branches["master"] = world.repository.commit("later", world.head)
    await world.drive(KEY)
    assert world.repository.branches == {"master": later, "release": world.head}


async def test_pushed_by_hand_is_done(world: World) -> None:
    await world.make_plan()
    world.repository.branches["release"] = world.head
    assert isinstance(await world.check(KEY), Done)
    assert world.repository.pushes == []


async def test_not_pushed_yet_is_not_done(world: World) -> None:
    assert isinstance(await world.check(KEY), NotDone)


async def test_a_release_branch_that_somebody_moved_stops_it(world: World) -> None:
    await world.make_plan()
    world.repository.branches["release"] = sha("middle")
    result = await world.check(KEY)
    assert isinstance(result, Unknown)
    assert "went through meanwhile" in result.why


async def test_red_ci_right_before_the_push_holds_it_back(world: World) -> None:
    await world.make_plan()
    await world.drive("ci_green")
    world.code_host.reports = {}
    with pytest.raises(Stopped, match="required jobs green"):
        await world.drive(KEY)


async def test_a_head_taken_off_master_holds_it_back(world: World) -> None:
    await world.make_plan()
    world.repository.branches["master"] = world.base
    with pytest.raises(Stopped, match="on its branch"):
        await world.drive(KEY)


async def test_what_is_no_fast_forward_is_refused_before_the_remote_is_asked(world: World) -> None:
    await world.make_plan()
    world.repository.parents[sha("middle")] = ()
    error = await failure(world, KEY)
    assert isinstance(error, Refused)
    assert world.repository.pushes == []


async def test_a_refused_push_is_said(world: World) -> None:
    world.repository.rejection = "pre-receive hook declined"
    assert "pre-receive hook declined" in (await failure(world, KEY)).message


async def test_a_push_whose_answer_was_lost_is_found_done(world: World) -> None:
    world.tap.fail("push", Unavailable("The connection broke.", hint="retry"), after_effect=True)
    await failure(world, KEY)
    await world.drive(KEY)
    assert len(world.repository.pushes) == 1


async def test_a_remote_that_shows_another_commit_after_the_push_fails_it(world: World) -> None:
    ctx = await world.context(KEY)
    with pytest.raises(StepFailed, match="after the push"):
        await (await world.step(KEY)).verify(ctx)


async def test_the_command_is_a_plain_push_without_force(world: World) -> None:
    (command,) = (await world.make_plan()).step(KEY).commands
    assert command.argv == ("git", "push", "--atomic", "origin", f"{world.head}:refs/heads/release")
