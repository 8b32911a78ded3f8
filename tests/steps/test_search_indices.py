"""Looking at the indices, making room, making the second pair, and removing what is no longer needed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import BadSettings, Conflict, StepFailed
from bot.domain.indices import Pair, Room
from bot.engine.step import Done, NotDone, Partial, Unknown
from tests.steps.search_fakes import GB
from tests.steps.search_worlds import SearchWorld
from tests.steps.worlds import Stopped, failure, no, yes

if TYPE_CHECKING:
    from collections.abc import Callable

YIN, YANG = ("dataset-yin", "annotation-yin"), ("dataset-yang", "annotation-yang")
Wrong = "Callable[[SearchWorld], object]"


@pytest.fixture
async def world() -> SearchWorld:
    world = SearchWorld()
    await world.make_plan()
    return world


def half_swapped(world: SearchWorld) -> None:
    for name in YANG:
        if name not in world.indices.names:
            world.indices.add(name)
    world.indices.pointing["dataset"] = {"dataset-yang"}


def doubled(world: SearchWorld) -> None:
    half_swapped(world)
    world.indices.pointing["dataset"] = {"dataset-yin", "dataset-yang"}


def missing(world: SearchWorld) -> None:
    world.indices.pointing["annotation"] = set()


TANGLED = [half_swapped, doubled, missing]


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (half_swapped, "Half swapped"),
        (doubled, "dataset-yang and dataset-yin at once"),
        (missing, "The alias annotation is not there"),
        (lambda world: setattr(world.indices.names["dataset-yin"], "health", "red"), "dataset-yin is red"),
        (lambda world: setattr(world.indices, "disk", Room(9 * GB, 3 * GB, 2 * GB)), "2.0 GB before its watermark"),
    ],
)
async def test_what_is_not_ready_is_named_and_nothing_is_changed(
    world: SearchWorld, breaks: Callable[[SearchWorld], object], said: str
) -> None:
    breaks(world)
    assert isinstance(await world.check("es_ready"), NotDone)
    assert said in (await failure(world, "es_ready")).message


async def test_an_earlier_pair_counts_as_room_since_it_is_dropped_first(world: SearchWorld) -> None:
    world.indices.disk = Room(9 * GB, 3 * GB, 2 * GB)
    for name in YANG:
        world.indices.add(name)
    assert "2.0 GB with 10 datasets" in (await world.drive("es_ready")).summary
    assert world.outputs["es_ready"]["commit"] == world.base


async def test_without_ports_a_step_says_which_settings_are_missing(world: SearchWorld) -> None:
    ctx = replace(await world.context("es_ready"), ports=replace(world.ports, indices=None))
    with pytest.raises(BadSettings, match="name no Elasticsearch"):
        await (await world.step("es_ready")).check(ctx)


async def test_nothing_earlier_needs_no_question(world: SearchWorld) -> None:
    assert isinstance(await world.check("drop_earlier"), Done)
    assert await (await world.step("drop_earlier")).ask(await world.context("drop_earlier")) is None


async def test_an_earlier_pair_is_shown_with_age_and_maker_and_dropped_once_its_name_is_typed(
    world: SearchWorld,
) -> None:
    for name in YANG:
        world.indices.add(name, made_by="R3-create_inactive")
    for place in ("R3", "es-yang-cccccccccccc"):
        await world.reindexing.make_workplace(release=place, commit=world.base, pair=Pair(*YANG))
    question = await (await world.step("drop_earlier")).ask(await world.context("drop_earlier"))
    assert question is not None
    assert "made 30 days ago by R3-create_inactive" in question.detail
    assert question.draft == {"version": "dataset-yang"}
    assert question.choices[0].form == "typed_version"
    with pytest.raises(Stopped, match="asked"):
        await world.drive("drop_earlier")
    assert set(world.reindexing.places) == {"R3", "es-yang-cccccccccccc"}
    await world.drive("drop_earlier", yes(question.choices[0].value, typed="dataset-yang"))
    assert set(world.indices.names) == set(YIN)
    assert set(world.reindexing.places) == {"R3"}, "what belongs to no release, and to this pair, is gone"


async def test_only_what_was_shown_is_dropped(world: SearchWorld) -> None:
    world.indices.add("dataset-yang")
    question = await (await world.step("drop_earlier")).ask(await world.context("drop_earlier"))
    assert question is not None
    del world.indices.names["dataset-yang"]
    world.indices.add("dataset-yang", made_by="somebody else's, this moment")
    error = await failure(world, "drop_earlier", yes(question.choices[0].value, typed="dataset-yang"))
    assert "Other indices stand there now" in error.message
    assert world.indices.dropped == []


async def test_a_no_keeps_it(world: SearchWorld) -> None:
    world.indices.add("dataset-yang")
    await failure(world, "drop_earlier", no())
    assert world.indices.dropped == []


@pytest.mark.parametrize("tangle", TANGLED)
@pytest.mark.parametrize("key", ["drop_earlier", "create_inactive"])
async def test_while_it_is_unclear_which_pair_is_live_nothing_is_dropped_or_made(
    world: SearchWorld, tangle: Callable[[SearchWorld], None], key: str
) -> None:
    await world.until("drop_earlier")
    tangle(world)
    assert isinstance(await world.check(key), Unknown)
    assert world.indices.dropped == []


@pytest.mark.parametrize("tangle", TANGLED)
async def test_no_workplace_is_made_while_it_is_unclear_which_pair_is_inactive(
    world: SearchWorld, tangle: Callable[[SearchWorld], None]
) -> None:
    tangle(world)
    assert "alias" in (await failure(world, "workplace")).message.replace("points at", "alias")
    assert world.reindexing.places == {}


async def test_the_workplace_stands_at_the_pinned_commit_and_names_the_inactive_pair(world: SearchWorld) -> None:
    evidence = await world.drive("workplace")
    assert evidence.facts["pair"] == list(YANG)
    assert world.reindexing.places["R7"].commit == world.head
    assert "temporary checkout of R7" in str(world.said[0][1]["owes"])
    world.reindexing.places["R7"] = replace(world.reindexing.places["R7"], commit=world.base)
    assert isinstance(await world.check("workplace"), Unknown)
    world.reindexing.places["R7"] = replace(world.reindexing.places["R7"], commit=world.head, pair=Pair(*YIN))
    assert isinstance(await world.check("workplace"), Unknown)


async def test_the_pair_is_made_once_with_the_mark_and_what_is_half_made_is_completed(world: SearchWorld) -> None:
    await world.until("create_inactive")
    assert isinstance(await world.check("create_inactive"), NotDone)
    await world.drive("create_inactive")
    assert {world.indices.names[name].made_by for name in YANG} == {"R7-create_inactive"}
    kept = world.indices.names["dataset-yang"].uuid
    del world.indices.names["annotation-yang"]
    assert isinstance(await world.check("create_inactive"), Partial)
    await world.drive("create_inactive")
    assert world.indices.names["dataset-yang"].uuid == kept
    assert world.outputs["create_inactive"]["old"] == list(YIN)


@pytest.mark.parametrize("maker", ["R3-create_inactive", "", "R7-create_inactive"])
async def test_a_foreign_pair_is_never_filled(world: SearchWorld, maker: str) -> None:
    """Also one of a release of the same name from before this one: a lost database may give an id twice."""
    await world.until("create_inactive")
    world.indices.add("dataset-yang", made_by=maker)
    result = await world.check("create_inactive")
    assert isinstance(result, Unknown)
    assert "not this release's" in result.why


async def test_without_its_workplace_no_pair_is_made(world: SearchWorld) -> None:
    await world.until("create_inactive")
    world.reindexing.places.clear()
    assert "workplace is gone" in (await failure(world, "create_inactive")).message
    assert set(world.indices.names) == set(YIN)


async def test_the_very_old_pair_is_dropped_and_nothing_else(world: SearchWorld) -> None:
    await world.until("drop_old")
    world.indices.names["annotation-yin"].uuid = "made anew by somebody"
    assert isinstance(await world.check("drop_old"), Partial)
    await world.drive("drop_old")
    assert set(world.indices.names) == {*YANG, "annotation-yin"}
    assert isinstance(await world.check("drop_old"), Done)


async def test_an_old_pair_that_is_live_again_is_not_dropped(world: SearchWorld) -> None:
    await world.until("drop_old")
    world.indices.pointing = {"dataset": {"dataset-yin"}, "annotation": {"annotation-yin"}}
    assert isinstance(await world.check("drop_old"), Unknown)
    half_swapped(world)
    assert isinstance(await world.check("drop_old"), Unknown)
    assert world.indices.dropped == []


async def test_a_workplace_in_use_is_not_removed(world: SearchWorld) -> None:
    await world.until("remove_workplace")
    world.tap.fail("remove_workplace", Conflict("A job runs with it.", hint="/release jobs"))
    with pytest.raises(Conflict):
        await world.drive("remove_workplace")
    await world.drive("remove_workplace")
    assert world.reindexing.removed == 1


@pytest.mark.parametrize("key", ["workplace", "create_inactive", "drop_old", "remove_workplace", "drop_earlier"])
async def test_an_effect_that_did_not_come_about_is_not_called_done(world: SearchWorld, key: str) -> None:
    await world.until(key)
    if key == "drop_earlier":
        world.indices.add("dataset-yang")
    with pytest.raises(StepFailed):
        await (await world.step(key)).verify(await world.context(key))
