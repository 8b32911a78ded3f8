from __future__ import annotations

import pytest

from bot.domain.errors import Refused, StepFailed
from bot.domain.world import RefUpdate
from bot.engine.step import Done, NotDone, Unknown
from tests.steps.worlds import Stopped, World, failure, no, yes

KEY = "master_contains_release"


async def test_it_is_usually_a_no_op(world: World) -> None:
    assert isinstance(await world.check(KEY), Done)
    assert world.repository.pushes == []


async def test_hotfix_commits_are_shown_before_they_are_merged(world: World) -> None:
    hotfix = world.diverge()
    assert isinstance(await world.check(KEY), NotDone)
    question = await (await world.step(KEY)).ask(await world.context(KEY))
    assert question is not None
    assert hotfix[:8] in question.detail
    assert "Merge 1 commit(s)" in question.title


async def test_the_planned_merge_is_pushed_to_master_from_where_it_was(world: World) -> None:
    hotfix, master = world.diverge(), world.head
    plan = await world.make_plan()
    assert world.repository.parents[plan.head] == (master, hotfix)
    await world.drive(KEY, yes())
    assert world.repository.pushes == [(RefUpdate("refs/heads/master", master, plan.head),)]
    assert world.repository.branches["release"] == hotfix


async def test_a_no_merges_nothing(world: World) -> None:
    world.diverge()
    await failure(world, KEY, no())
    assert world.repository.pushes == []


async def test_master_that_moved_stops_it(world: World) -> None:
    world.diverge()
    await world.make_plan()
    world.repository.branches["master"] = world.repository.commit("later", world.head)
    result = await world.check(KEY)
    assert isinstance(result, Unknown)
    assert "no longer fits" in result.why


async def test_a_merge_done_by_hand_is_found(world: World) -> None:
    world.diverge()
    plan = await world.make_plan()
    world.repository.branches["master"] = plan.head
    assert isinstance(await world.check(KEY), Done)


async def test_a_hotfix_that_came_after_the_plan_stops_it_and_is_shown(world: World) -> None:
    await world.make_plan()
    hotfix = world.diverge()
    result = await world.check(KEY)
    assert isinstance(result, Unknown)
    assert hotfix[:8] in result.why


async def test_a_merge_that_comes_out_differently_is_not_pushed(world: World) -> None:
    world.diverge()
    plan = await world.make_plan()

    async def another(**_: str) -> str:
        return world.repository.commit("other")

    world.repository.merge = another  # type: ignore[method-assign]
    error = await failure(world, KEY, yes())
    assert isinstance(error, Refused)
    assert plan.head[:8] in error.message
    assert world.repository.pushes == []


async def test_a_protected_master_is_said_in_the_remotes_words(world: World) -> None:
    world.diverge()
    world.repository.rejection = "protected branch hook declined"
    assert "protected branch hook declined" in (await failure(world, KEY, yes())).message


async def test_a_conflict_is_said_when_the_plan_is_made(world: World) -> None:
    world.diverge()
    world.tap.fail("merge", Refused("They conflict in a.py.", hint="merge by hand"))
    with pytest.raises(Refused):
        await world.make_plan()


async def test_ci_of_the_merge_is_waited_for_after_it(world: World) -> None:
    world.diverge()
    plan = await world.make_plan()
    keys = [step.key for step in plan.steps]
    assert keys.index("ci_green") < keys.index(KEY) < keys.index("ci_green_merge") < keys.index("push_branches")
    await world.drive("ci_green")
    with pytest.raises(Stopped, match="asked"):
        await world.drive(KEY)
    await world.drive(KEY, yes())
    assert isinstance(await world.check("ci_green_merge"), NotDone)
    world.green(plan.head)
    assert isinstance(await world.check("ci_green_merge"), Done)
    await world.drive("push_branches")
    assert world.repository.branches == {"master": plan.head, "release": plan.head}


async def test_hotfixes_that_were_picked_into_master_are_said_to_differ_in_history_alone(world: World) -> None:
    world.diverge()
    await world.make_plan()

    async def nothing(**_: str) -> list[object]:
        return []

    world.repository.only_in = nothing  # type: ignore[method-assign,assignment]
    question = await (await world.step(KEY)).ask(await world.context(KEY))
    assert question is not None
    assert "only the history differs" in question.detail


async def test_a_push_that_left_no_trace_fails_the_proof(world: World) -> None:
    world.diverge()
    with pytest.raises(StepFailed, match="does not have the merge"):
        await (await world.step(KEY)).verify(await world.context(KEY))


async def test_the_unplanned_is_never_merged(world: World) -> None:
    with pytest.raises(Refused, match="Nothing was planned"):
        await (await world.step(KEY)).run(await world.context(KEY, yes()))
