"""Days of indexing: started once, resumed, proved after the first dataset, and never into the wrong pair."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.errors import Conflict, Unavailable
from bot.engine.step import Done, NotDone, Partial, Running, Unknown
from tests.steps.search_worlds import IDS, NEWEST, OLDEST, SearchWorld, again, excuse
from tests.steps.worlds import Stopped, failure, no

KEY = "reindex"


@pytest.fixture
async def world() -> SearchWorld:
    world = SearchWorld()
    await world.make_plan()
    await world.until(KEY)
    return world


async def test_all_datasets_newest_first_by_the_new_code_into_the_concrete_pair(world: SearchWorld) -> None:
    assert isinstance(await world.check(KEY), NotDone)
    await world.drive(KEY)
    order = world.reindexing.work["R7-reindex-1"].order
    assert order.datasets == tuple(reversed(IDS))
    assert (order.code, order.configuration, order.pair.dataset) == (
        "/srv/R7/engine",
        "/srv/R7/config.json",
        "dataset-yang",
    )
    assert world.web_jobs.jobs["R7-reindex-1"].spec.marks["release"] == "R7"
    assert world.held("dataset-yang") == set(IDS)
    assert isinstance(await world.check(KEY), Done)
    assert world.outputs[KEY] == {"datasets": 10, "jobs": ["R7-reindex-1"], "excused": []}


async def test_progress_is_told_in_whole_percent_with_a_line_to_attach(world: SearchWorld) -> None:
    world.reindexing.seconds = 60
    await world.drive(KEY)
    told = [sentence for sentence, facts in world.said if facts.get("job") == "R7-reindex-1"]
    assert "Indexing into dataset-yang for 1.9.10: 50 % of 10 datasets" in told
    assert len(told) <= 13, "a day of work is some hundred sentences, not one for each look"
    assert "attach -t R7-reindex-1" in str(world.said[-1][1]["attach"])


async def test_metaspaces_faulty_script_is_ended_after_its_first_dataset(world: SearchWorld) -> None:
    world.reindexing.faulty = True
    error = await failure(world, KEY)
    assert NEWEST in error.message
    assert "the first write went to dataset-yin, the live pair" in error.message
    assert world.web_jobs.jobs["R7-reindex-1"].exit_status == 143
    assert world.reindexing.work["R7-reindex-1"].done == [NEWEST]
    assert world.held("dataset-yang") == set()


async def test_a_first_dataset_that_arrives_nowhere_ends_the_job_too(world: SearchWorld) -> None:
    world.reindexing.write = lambda *_, **__: None  # type: ignore[method-assign]
    assert "did not arrive in dataset-yang" in (await failure(world, KEY)).message


@pytest.mark.parametrize("faulty", [False, True])
async def test_where_the_first_ones_cannot_be_indexed_the_probe_is_of_the_first_that_was(
    world: SearchWorld, *, faulty: bool
) -> None:
    world.reindexing.failing, world.reindexing.faulty = set(IDS[3:]), faulty
    error = await failure(world, KEY)
    assert ("the live pair" if faulty else "7 datasets failed") in error.message


async def test_after_a_wrong_first_write_a_retry_proves_it_anew(world: SearchWorld) -> None:
    world.clock.at(1, lambda: world.people.edit(NEWEST, name="edited in the same second"))
    assert "the live pair" in (await failure(world, KEY)).message
    world.attempt = 2
    await world.drive(KEY)
    assert list(world.reindexing.work) == ["R7-reindex-1", "R7-reindex-2"]
    assert world.held("dataset-yang") == set(IDS)


async def test_the_probe_outlives_a_restart(world: SearchWorld) -> None:
    world.reindexing.faulty = True
    world.tap.fail("ledger", AssertionError("the bot dies here"))
    with pytest.raises(AssertionError):
        await (await world.step(KEY)).run(await world.context(KEY))
    world.clock.seconds += 600
    assert isinstance(await world.check(KEY), Running)
    assert "the live pair" in (await failure(world, KEY)).message


async def test_a_job_that_died_is_followed_by_the_next_over_what_is_missing(world: SearchWorld) -> None:
    world.reindexing.dies_after = 4
    error = await failure(world, KEY)
    assert "died and left no exit status after 4 of 10" in error.message
    assert isinstance(await world.check(KEY), Partial)
    world.attempt = 2
    await world.drive(KEY)
    assert list(world.web_jobs.jobs) == ["R7-reindex-1", "R7-reindex-1-2"]
    assert world.reindexing.work["R7-reindex-1"].done == list(reversed(IDS)), "none is done twice"
    assert world.held("dataset-yang") == set(IDS)


async def test_a_failure_seen_only_after_a_restart_is_not_run_again_unasked(world: SearchWorld) -> None:
    world.web_jobs.statuses["R7-reindex-1"] = 4
    world.reindexing.failing = {OLDEST}
    for _ in range(3):
        assert "exit status 4" in (await failure(world, KEY)).message
    assert list(world.web_jobs.jobs) == ["R7-reindex-1"]
    world.attempt, world.reindexing.failing = 2, set()
    await world.drive(KEY)
    assert list(world.web_jobs.jobs) == ["R7-reindex-1", "R7-reindex-1-2"]


async def test_a_server_out_of_sight_is_waited_for(world: SearchWorld) -> None:
    world.tap.fail("ledger", Unavailable("web does not answer.", hint="wait"), times=3)
    ctx = await world.context(KEY)
    await (await world.step(KEY)).run(ctx)
    assert any("out of sight" in sentence for sentence, _ in world.said)
    assert world.held("dataset-yang") == set(IDS)


async def test_another_job_at_work_is_a_conflict_and_nothing_is_started(world: SearchWorld) -> None:
    world.tap.fail("start", Conflict("R6 holds the lock.", hint="/release jobs"))
    with pytest.raises(Conflict):
        await world.drive(KEY)
    assert world.web_jobs.jobs == {}


async def failed(world: SearchWorld, *datasets: str) -> None:
    world.reindexing.failing = set(datasets)
    error = await failure(world, KEY)
    assert f"{len(datasets)} datasets failed" in error.message
    world.attempt += 1
    world.clock.seconds += 10


async def test_datasets_that_failed_are_asked_about_with_metaspaces_words(world: SearchWorld) -> None:
    await failed(world, IDS[2], IDS[3])
    question = await (await world.step(KEY)).ask(await world.context(KEY))
    assert question is not None
    assert "KeyError" in question.detail
    assert IDS[2] in question.detail
    with pytest.raises(Stopped, match="asked"):
        await world.drive(KEY)


async def test_they_are_indexed_again_once_for_each_answer(world: SearchWorld) -> None:
    await failed(world, IDS[2], IDS[3])
    world.reindexing.failing = {IDS[3]}
    answer = again(world.clock.now())
    for _ in range(2):
        assert "1 datasets failed" in (await failure(world, KEY, answer)).message
    assert list(world.web_jobs.jobs) == ["R7-reindex-1", "R7-reindex-1-2"]
    assert world.reindexing.work["R7-reindex-1"].done[-1] == IDS[2]


async def test_they_are_left_out_only_by_name(world: SearchWorld) -> None:
    await failed(world, IDS[2], IDS[3])
    error = await failure(world, KEY, excuse(f"{IDS[2]} is broken anyway", world.clock.now()))
    assert f"did not name 1 of 2 datasets: {IDS[3]}" in error.message
    evidence = await world.drive(KEY, excuse(f"broken: {IDS[2]}, {IDS[3]}.", world.clock.now()))
    assert "Left out by <@U01REL>: " in evidence.summary
    assert sorted(world.outputs[KEY]["excused"]) == [IDS[2], IDS[3]]


async def test_a_no_stops_there(world: SearchWorld) -> None:
    await failed(world, IDS[2])
    assert "said no" in (await failure(world, KEY, no())).message


async def test_what_a_person_indexed_by_hand_is_done(world: SearchWorld) -> None:
    for one in IDS:
        for name in ("dataset-yang", "annotation-yang"):
            world.reindexing.write(name, one)
    assert isinstance(await world.check(KEY), Done)


@pytest.mark.parametrize("how", ["dropped", "made anew", "live", "half swapped"])
async def test_a_pair_that_is_not_this_releases_any_more_stops_it(world: SearchWorld, how: str) -> None:
    match how:
        case "dropped":
            del world.indices.names["dataset-yang"]
        case "made anew":
            world.indices.names["dataset-yang"].uuid = "another"
        case "live":
            world.indices.pointing = {"dataset": {"dataset-yang"}, "annotation": {"annotation-yang"}}
        case _:
            world.indices.pointing["dataset"] = {"dataset-yang"}
    assert isinstance(await world.check(KEY), Unknown)
    assert world.web_jobs.jobs == {}


async def test_without_a_pair_or_a_workplace_nothing_is_indexed(world: SearchWorld) -> None:
    world.reindexing.places.clear()
    assert "workplace is gone" in (await failure(world, KEY)).message
    del world.outputs["create_inactive"]
    assert isinstance(await world.check(KEY), Unknown)


async def test_jobs_from_before_the_release_began_are_not_its_own(world: SearchWorld) -> None:
    await world.drive(KEY)
    world.web_jobs.jobs["R7-reindex-1"].started_at -= timedelta(days=1)
    for name in ("dataset-yang", "annotation-yang"):
        world.indices.names[name].forget(OLDEST)
    assert isinstance(await world.check(KEY), NotDone)
    await world.drive(KEY)
    assert list(world.web_jobs.jobs) == ["R7-reindex-1", "R7-reindex-2"], "and its name is not taken a second time"
