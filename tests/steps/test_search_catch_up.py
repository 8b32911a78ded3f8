"""What differs is indexed again, what is gone is deleted; where that is of no use a person decides, by name."""

from __future__ import annotations

import pytest

from bot.domain.world import SystemHealth
from bot.engine.step import Done, NotDone, Running, Unknown
from tests.steps.search_worlds import IDS, NEWEST, OLDEST, SearchWorld, again, excuse
from tests.steps.worlds import Stopped, failure

KEY = "catch_up"
OFF = SystemHealth(can_mutate=False, can_process_datasets=False, message="maintenance")


@pytest.fixture
async def world() -> SearchWorld:
    world = SearchWorld()
    await world.make_plan()
    await world.until(KEY)
    return world


async def test_nothing_differs_and_nothing_is_done(world: SearchWorld) -> None:
    assert isinstance(await world.check(KEY), Done)
    evidence = await world.drive(KEY)
    assert "agree on all 10 datasets (without is_mono)" in evidence.summary
    assert world.outputs[KEY]["at"]


async def test_what_differs_is_indexed_and_what_is_gone_is_deleted(world: SearchWorld) -> None:
    world.people.edit(NEWEST, public=False)
    world.people.delete(OLDEST)
    result = await world.check(KEY)
    assert isinstance(result, NotDone)
    assert result.reason.startswith(f"1 of another visibility than in the live pair: {NEWEST}; 1 there though")
    await world.drive(KEY)
    assert world.reindexing.work["R7-catch_up-1"].order.datasets == (NEWEST,)
    assert OLDEST not in world.held("dataset-yang")
    assert world.indices.names["annotation-yang"].counts.keys() == world.held("dataset-yang")


async def test_what_changes_during_a_round_is_the_next_rounds(world: SearchWorld) -> None:
    world.people.edit(NEWEST, name="one")
    world.clock.at(world.clock.seconds + 3, lambda: world.people.edit(IDS[5], name="two"))
    world.reindexing.seconds = 4
    await world.drive(KEY)
    assert [work.order.datasets for name, work in world.reindexing.work.items() if "catch_up-" in name] == [
        (NEWEST,),
        (IDS[5],),
    ]


async def test_an_edit_at_the_very_end_is_left_to_the_next_catch_up_while_changes_are_taken(world: SearchWorld) -> None:
    ctx = await world.context(KEY)
    world.people.edit(NEWEST, name="this moment")
    assert "changed this moment" in (await (await world.step(KEY)).verify(ctx)).summary
    world.platform.state = OFF
    with pytest.raises(Exception, match="otherwise than in the live pair"):
        await (await world.step(KEY)).verify(ctx)


async def stuck(world: SearchWorld, **changes: object) -> str:
    world.reindexing.odd = {NEWEST}
    world.people.edit(NEWEST, **(changes or {"name": "other"}))
    error = await failure(world, KEY)
    world.attempt += 1
    world.clock.seconds += 10
    return error.message


async def test_what_differs_still_is_asked_about_and_left_out_by_name(world: SearchWorld) -> None:
    assert "indexed again by R7-catch_up-1, and it is still so" in await stuck(world)
    with pytest.raises(Stopped, match="asked"):
        await world.drive(KEY)
    assert "did not name 1 of 1" in (await failure(world, KEY, excuse("whatever", world.clock.now()))).message
    await world.drive(KEY, excuse(f"{NEWEST} has a new field", world.clock.now()))
    assert world.outputs[KEY]["excused"] == [NEWEST]
    assert isinstance(await world.check("catch_up_last"), Done), "it stays excused"
    world.people.edit(NEWEST, public=False)
    assert isinstance(await world.check("catch_up_last"), NotDone), "but never from being hidden"


async def test_it_is_indexed_once_more_for_each_answer(world: SearchWorld) -> None:
    await stuck(world)
    answer = again(world.clock.now())
    for _ in range(2):
        await failure(world, KEY, answer)
    assert [name for name in world.web_jobs.jobs if "catch_up-" in name] == ["R7-catch_up-1", "R7-catch_up-2"]


async def test_a_visibility_that_differs_cannot_be_excused(world: SearchWorld) -> None:
    for one in ("dataset-yin", "annotation-yin"):
        world.reindexing.write(one, NEWEST)
    name, _, count = world.datasets.rows[NEWEST]
    world.people.edit(NEWEST, public=False)
    world.datasets.rows[NEWEST] = (name, True, count)  # PostgreSQL says public, the live pair does not
    error = await failure(world, KEY)
    assert "of another visibility" in error.message
    world.attempt += 1
    world.clock.seconds += 10
    answer = excuse(f"{NEWEST} is fine", world.clock.now())
    assert isinstance(await world.check(KEY, answer), NotDone)
    await failure(world, KEY, answer)


async def test_datasets_that_fail_are_named_with_metaspaces_words(world: SearchWorld) -> None:
    world.people.create("2020-03-01_10h00m00s")
    world.people.edit(NEWEST, name="first in line is another")
    world.reindexing.failing = {NEWEST}
    assert "KeyError" in (await failure(world, KEY)).message


async def test_a_running_job_is_attached_to(world: SearchWorld) -> None:
    world.people.edit(NEWEST, name="other")
    ctx = await world.context(KEY)
    world.tap.fail("ledger", AssertionError("the bot dies here"))
    with pytest.raises(AssertionError):
        await (await world.step(KEY)).run(ctx)
    assert isinstance(await world.check(KEY), Running)
    await (await world.step(KEY)).run(ctx)
    assert [name for name in world.web_jobs.jobs if "catch_up-" in name] == ["R7-catch_up-1"]


@pytest.mark.parametrize("how", ["live", "half swapped", "no pair"])
async def test_where_it_is_not_clear_what_is_live_nothing_is_done(world: SearchWorld, how: str) -> None:
    if how == "no pair":
        del world.outputs["create_inactive"]
    else:
        world.indices.pointing["dataset"] = {"dataset-yang"}
    if how == "live":
        world.indices.pointing["annotation"] = {"annotation-yang"}
    assert isinstance(await world.check(KEY), Unknown)


@pytest.mark.parametrize("how", ["old is live", "old is gone", "no pair"])
async def test_after_the_swap_it_is_compared_with_the_very_old_pair_alone(world: SearchWorld, how: str) -> None:
    await world.go(*("catch_up", "push_branches", "tag", "configuration", "announce_start", "read_only"))
    await world.go("catch_up_last", "swap", "deploy", "prove_live")
    match how:
        case "old is live":
            world.indices.pointing = {"dataset": {"dataset-yin"}, "annotation": {"annotation-yin"}}
        case "old is gone":
            del world.indices.names["dataset-yin"]
        case _:
            del world.outputs["create_inactive"]
    assert isinstance(await world.check("catch_up_after"), Unknown)


async def test_a_dataset_that_the_live_code_cannot_index_is_not_called_carried_over(world: SearchWorld) -> None:
    await world.go("catch_up", "push_branches", "tag", "configuration", "announce_start", "read_only")
    await world.go("catch_up_last", "swap", "deploy", "prove_live")
    world.people.create("2020-03-01_10h00m00s")
    for one in (NEWEST, IDS[4]):
        name, _, count = world.datasets.rows[one]
        world.datasets.rows[one] = (name, False, count)
        world.reindexing.write("dataset-yin", one)
    world.reindexing.failing = {IDS[4]}
    assert "failed" in (await failure(world, "catch_up_after")).message
    assert world.indices.names["dataset-yang"].documents[NEWEST].public is False
