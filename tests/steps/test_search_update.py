"""The update of all datasets after a deploy: proved to run, owed until it ends, and what to watch meanwhile is said."""

from __future__ import annotations

import pytest

from bot.domain.errors import Unavailable
from bot.engine.step import Done, NotDone, Partial, Running
from tests.steps.search_worlds import IDS, NEWEST, SearchWorld
from tests.steps.worlds import failure

KEY = "es_update"


@pytest.fixture
async def world() -> SearchWorld:
    world = SearchWorld(strategy="deploy_then_es_update")
    plan = await world.make_plan()
    for step in plan.steps:
        if step.key == KEY:
            break
        await world.go(step.key)
    return world


async def test_it_is_started_with_the_live_code_and_done_once_its_first_write_is_proved(world: SearchWorld) -> None:
    assert isinstance(await world.check(KEY), NotDone)
    before = world.indices.names["dataset-yin"].sequence
    evidence = await world.drive(KEY)
    order = world.reindexing.work["R7-es_update-1"].order
    assert (order.code, order.configuration) == ("/opt/engine", "/opt/engine/config.json")
    assert order.datasets == tuple(reversed(IDS))
    assert order.probe
    assert world.indices.names["dataset-yin"].sequence > before
    assert "runs: 2 of 10 datasets. No null error" in evidence.summary
    assert evidence.facts["follows"] == {
        "host": "web",
        "name": "R7-es_update-1",
        "kind": "reindex",
        "title": "Updating all datasets for 1.9.10",
    }
    assert world.outputs[KEY] == {"job": "R7-es_update-1", "host": "web", "title": "Updating all datasets for 1.9.10"}
    assert isinstance(await world.check(KEY), Done)


async def test_the_success_says_that_it_runs_and_that_its_end_is_told(world: SearchWorld) -> None:
    await world.go(KEY, "announce_success")
    assert "being indexed once more (R7-es_update-1)" in world.announcements.posted["R7-announce_success"]


@pytest.mark.parametrize(("count", "said"), [(0, "No null error"), (7, "7 null errors"), (None, "no log")])
async def test_null_errors_since_the_deploy_are_counted_and_said(
    world: SearchWorld, count: int | None, said: str
) -> None:
    world.server.null_errors = count
    evidence = await world.drive(KEY)
    assert said in evidence.summary
    assert evidence.facts["null_errors"] == count


async def test_a_log_that_cannot_be_read_holds_nothing_up(world: SearchWorld) -> None:
    world.tap.fail("count_in_log", Unavailable("web does not answer."), times=5)
    assert "was not read" in (await world.drive(KEY)).summary


async def test_one_that_has_ended_meanwhile_is_done_too(world: SearchWorld) -> None:
    await world.drive(KEY)
    world.clock.seconds += 3600
    result = await world.check(KEY)
    assert isinstance(result, Done)
    assert "has ended: 10 of 10" in result.evidence.summary


async def test_a_write_that_arrives_nowhere_ends_it(world: SearchWorld) -> None:
    world.reindexing.write = lambda *_, **__: None  # type: ignore[method-assign]
    assert "did not arrive in dataset-yin" in (await failure(world, KEY)).message
    assert world.web_jobs.jobs["R7-es_update-1"].exit_status == 143


async def test_a_restart_before_the_first_dataset_attaches(world: SearchWorld) -> None:
    world.tap.fail("look", AssertionError("the bot dies here"), times=2)
    ctx = await world.context(KEY)
    with pytest.raises(AssertionError):
        await (await world.step(KEY)).run(ctx)
    world.tap.failures.clear()
    if not world.web_jobs.jobs:
        await (await world.step(KEY)).run(ctx)
    else:
        assert isinstance(await world.check(KEY), Running)
        await (await world.step(KEY)).run(ctx)
    assert list(world.web_jobs.jobs) == ["R7-es_update-1"]


async def test_one_that_died_is_told_and_started_again_by_a_retry(world: SearchWorld) -> None:
    world.web_jobs.statuses["R7-es_update-1"] = 4
    world.reindexing.failing = set(IDS)
    assert "exit status 4" in (await failure(world, KEY)).message
    assert isinstance(await world.check(KEY), Partial)
    for _ in range(2):
        await failure(world, KEY)
    assert list(world.web_jobs.jobs) == ["R7-es_update-1"]
    world.attempt, world.reindexing.failing = 2, set()
    await world.drive(KEY)
    assert list(world.web_jobs.jobs) == ["R7-es_update-1", "R7-es_update-2"]


async def test_a_first_dataset_that_takes_an_hour_is_waited_for_and_then_said(world: SearchWorld) -> None:
    world.reindexing.seconds = 5000
    error = await failure(world, KEY)
    assert "has done no dataset yet" in error.message
    assert error.changed == "The job goes on."
    await world.drive(KEY)
    assert list(world.web_jobs.jobs) == ["R7-es_update-1"]


@pytest.mark.parametrize("alias", ["dataset", "annotation"])
async def test_while_it_is_unclear_what_is_live_nothing_is_started(world: SearchWorld, alias: str) -> None:
    world.indices.pointing[alias] = set()
    assert f"The alias {alias} is not there" in (await failure(world, KEY)).message
    assert world.web_jobs.jobs == {}


async def test_newest_first(world: SearchWorld) -> None:
    await world.drive(KEY)
    assert world.reindexing.work["R7-es_update-1"].done[0] == NEWEST
