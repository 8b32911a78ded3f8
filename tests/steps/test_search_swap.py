"""The swap: every guard refuses with what was seen, and both aliases move in one request or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.checklists import catalogue
from bot.domain.errors import Refused
from bot.domain.indices import Definition
from bot.domain.phases import WentLive
from bot.domain.planning import loose_ends
from bot.domain.world import SystemHealth, Workload
from bot.engine.step import Done, NotDone, Partial, Unknown
from bot.steps.drain import MESSAGE as DRAINING
from bot.steps.read_only import MESSAGE
from tests.steps.fakes import START
from tests.steps.search_worlds import IDS, NEWEST, OLDEST, SearchWorld, sha
from tests.steps.worlds import REGISTRY, Stopped, failure, no, yes

if TYPE_CHECKING:
    from collections.abc import Callable

YIN, YANG = ("dataset-yin", "annotation-yin"), ("dataset-yang", "annotation-yang")


@pytest.fixture
async def world() -> SearchWorld:
    world = SearchWorld()
    await world.make_plan()
    await world.until("swap")
    return world


async def test_a_second_person_is_asked_and_going_back_stops_being_cheap() -> None:
    policy = catalogue(REGISTRY)["swap"].approval
    assert policy is not None
    assert (policy.count, policy.role, policy.starter) == (1, "approver", "never")
    assert REGISTRY["swap"].costly_to_undo
    for key in ("drop_earlier", "drop_old"):
        typed = catalogue(REGISTRY)[key].approval
        assert typed is not None
        assert typed.typed


async def test_both_aliases_move_in_one_request_with_every_guards_evidence(world: SearchWorld) -> None:
    assert isinstance(await world.check("swap"), NotDone)
    evidence = await world.drive("swap")
    assert world.live == YANG
    assert [(one.add, one.alias) for one in world.indices.swaps[0]] == [
        (False, "dataset"),
        (True, "dataset"),
        (False, "annotation"),
        (True, "annotation"),
    ]
    guards = next(facts["guards"] for _, facts in world.said if "guards" in facts)
    assert isinstance(guards, dict)
    assert len(guards) == 12
    assert all(guards.values())
    owed = loose_ends([*world.facts(), dict(evidence.facts)])
    assert any("dataset-yin and annotation-yin, live before 1.9.10" in end for end in owed)
    assert not any("inactive pair" in end for end in owed)


async def test_done_by_hand_or_just_before_a_crash_it_is_found_and_not_repeated(world: SearchWorld) -> None:
    world.indices.pointing = {"dataset": {"dataset-yang"}, "annotation": {"annotation-yang"}}
    assert isinstance(await world.check("swap"), Done)
    await world.drive("swap")
    assert world.indices.swaps == []


async def test_what_changed_while_an_approver_was_waited_for_is_caught_up_first(world: SearchWorld) -> None:
    world.clock.seconds += 3 * 3600
    world.people.edit(NEWEST, public=False)
    world.people.delete(OLDEST)
    await world.drive("swap")
    assert world.indices.names["dataset-yang"].documents[NEWEST].public is False
    assert OLDEST not in world.held("dataset-yang")


def unhealthy(world: SearchWorld) -> None:
    world.indices.names["annotation-yang"].health = "red"


def sampled_otherwise(world: SearchWorld) -> None:
    plain = world.indices.sample

    async def sample(**words: object) -> dict[str, str]:
        found = dict(await plain(**words))  # type: ignore[arg-type]
        return found | ({"newest": "other"} if "yang" in str(words["pair"]) else {})

    world.indices.sample = sample  # type: ignore[method-assign, assignment]


def mapped_otherwise(world: SearchWorld) -> None:
    world.indices.names["dataset-yang"].definition = Definition({"properties": {"ds_id": {"type": "text"}}}, {})


def stray(world: SearchWorld) -> None:
    """Something is in the new pair that cannot be deleted."""
    world.people.delete(OLDEST)

    async def forget(**_: object) -> int:
        return 0

    world.indices.forget = forget  # type: ignore[method-assign, assignment]


def counted_otherwise(world: SearchWorld) -> None:
    world.indices.names["annotation-yang"].counts[IDS[3]] += 1
    world.reindexing.failing = {IDS[3]}


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (sampled_otherwise, "Sample queries agree with the live pair: 1 of 2 differ"),
        (mapped_otherwise, "Mappings and analysis are those that the code creates: dataset-yang: field ds_id is"),
        (stray, "1 there though PostgreSQL has them no more"),
        (counted_otherwise, "1 with another number of annotations"),
    ],
)
async def test_each_guard_that_fails_is_named_and_the_aliases_stay(
    world: SearchWorld, breaks: Callable[[SearchWorld], None], said: str
) -> None:
    breaks(world)
    error = await failure(world, "swap")
    assert said in error.message
    assert world.live == YIN
    assert world.indices.swaps == []


def read_write(world: SearchWorld) -> None:
    world.platform.state = replace(world.platform.state, can_mutate=True)


def processing(world: SearchWorld) -> None:
    world.platform.state = replace(world.platform.state, can_process_datasets=True)


def moved(world: SearchWorld) -> None:
    world.repository.branches["release"] = world.repository.commit("elsewhere", world.head)


def made_anew(world: SearchWorld) -> None:
    world.indices.names["dataset-yang"].uuid = "another"


@pytest.mark.parametrize("breaks", [read_write, processing, moved, unhealthy, made_anew])
async def test_what_an_approval_rests_on_holds_right_before_it(
    world: SearchWorld, breaks: Callable[[SearchWorld], None]
) -> None:
    breaks(world)
    with pytest.raises(Stopped):
        await world.drive("swap")
    assert world.indices.swaps == []


@pytest.mark.parametrize("breaks", [read_write, unhealthy, made_anew])
async def test_and_once_more_after_the_guards_have_looked(
    world: SearchWorld, breaks: Callable[[SearchWorld], None]
) -> None:
    looked, times = world.indices.sample, 0

    async def sample(**words: object) -> dict[str, str]:
        nonlocal times
        times += 1
        if times == 2:
            breaks(world)
        return dict(await looked(**words))  # type: ignore[arg-type]

    world.indices.sample = sample  # type: ignore[method-assign, assignment]
    with pytest.raises(Refused, match="No longer true"):
        await world.drive("swap")
    assert world.indices.swaps == []


@pytest.mark.parametrize("alias", ["dataset", "annotation"])
async def test_a_half_swapped_pair_is_not_completed_by_itself(world: SearchWorld, alias: str) -> None:
    world.indices.pointing[alias] = {f"{alias}-yang"}
    result = await world.check("swap")
    assert isinstance(result, Unknown)
    assert "Half swapped" in result.why


async def test_an_index_that_vanishes_fails_the_whole_request(world: SearchWorld) -> None:
    ctx = await world.context("swap")
    looks = world.indices.look

    async def look() -> object:
        seen = await looks()
        if world.said and "guards" in world.said[-1][1]:
            world.indices.names.pop("annotation-yang", None)
        return seen

    world.indices.look = look  # type: ignore[method-assign, assignment]
    world.tap.fail("change_aliases", Refused("The aliases were not changed.", hint="status"))
    with pytest.raises(Refused):
        await (await world.step("swap")).run(ctx)
    assert world.live == YIN


async def test_without_a_pair_or_a_workplace_there_is_no_swap(world: SearchWorld) -> None:
    world.reindexing.places.clear()
    assert "workplace is gone" in (await failure(world, "swap")).message
    del world.outputs["create_inactive"]
    assert isinstance(await world.check("swap"), Unknown)


# Read-only


async def test_read_only_waits_for_edits_on_their_way_and_keeps_the_message_that_was_there(world: SearchWorld) -> None:
    world.platform.state = SystemHealth(can_mutate=True, can_process_datasets=False, message=DRAINING)
    world.platform.work = Workload(0, 0, {"sm_dataset_update": 2})
    world.clock.at(world.clock.seconds + 20, lambda: setattr(world.platform, "work", Workload(0, 0)))
    await world.drive("read_only")
    assert world.platform.state.message == f"{MESSAGE} {DRAINING}"
    await world.drive("read_write")
    assert world.platform.state == SystemHealth(can_mutate=True, can_process_datasets=False, message=DRAINING)


async def test_edits_that_do_not_end_stop_it_with_the_loose_end_known(world: SearchWorld) -> None:
    world.platform.state = SystemHealth(can_mutate=True, can_process_datasets=False)
    world.platform.work = Workload(0, 0, {"sm_dataset_update": 2})
    world.said.clear()
    assert "edits are still on their way" in (await failure(world, "read_only")).message
    assert isinstance(await world.check("read_only"), Partial)
    assert loose_ends(facts for _, facts in world.said) == ("METASPACE is read-only",)


async def test_a_read_only_that_somebody_else_made_stays_theirs(world: SearchWorld) -> None:
    theirs = SystemHealth(can_mutate=False, can_process_datasets=False, message="Ours until Monday")
    world.platform.state = theirs
    del world.outputs["read_only"]
    await world.drive("read_only")
    assert "as it was found" in (await world.drive("read_write")).summary
    assert world.platform.state == theirs


async def test_ours_under_another_message_is_still_given_back(world: SearchWorld) -> None:
    world.platform.state = replace(world.platform.state, message="almost done")
    await world.drive("read_write")
    assert world.platform.state.can_mutate
    assert world.platform.state.message == "almost done"


# Still what was reviewed


async def test_nothing_new_needs_no_second_review(world: SearchWorld) -> None:
    assert isinstance(await world.check("still_planned"), Done)


async def test_another_release_meanwhile_is_reviewed_again(world: SearchWorld) -> None:
    world.went = [WentLive("R8", "1.9.9.1", sha("other"), START)]
    with pytest.raises(Stopped, match="asked"):
        await world.drive("still_planned")
    assert "R8 (1.9.9.1" in (await world.drive("still_planned", yes())).summary
    assert "said no" in (await failure(world, "still_planned", no())).message


async def test_so_is_a_deploy_by_hand(world: SearchWorld) -> None:
    world.server.commit = sha("by hand")
    result = await world.check("still_planned")
    assert isinstance(result, NotDone)
    assert "when this release began" in result.reason


async def test_branches_that_moved_cannot_be_argued_away(world: SearchWorld) -> None:
    world.repository.branches["release"] = world.repository.commit("hotfix", world.base)
    result = await world.check("still_planned", yes())
    assert isinstance(result, Unknown)
    assert "does not fit" in result.why
