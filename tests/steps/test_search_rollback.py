"""A release that had swapped is rolled back: the aliases go back first, while the very old pair is there and caught up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.checklists import shipped
from bot.domain.planning import GoingBack, Pinned, loose_ends
from bot.domain.readmodel import ReleaseView, StepView
from bot.domain.release import ReleaseState, StepState
from bot.domain.rollback import swapped, touched_live
from bot.engine.step import Done, NotDone, Unknown
from tests.steps.fakes import START
from tests.steps.search_worlds import IDS, NEWEST, ORDER, SearchWorld
from tests.steps.worlds import REGISTRY, Stopped, failure, yes

if TYPE_CHECKING:
    from bot.domain.plan import Plan, PlannedStep

BACK = (
    "roll_back_agreed",
    "announce_start",
    "read_only",
    "swap_back",
    "deploy",
    "prove_live",
    "read_write",
    "processing_back",
    "announce_success",
)
YIN, YANG = ("dataset-yin", "annotation-yin"), ("dataset-yang", "annotation-yang")


def view(world: SearchWorld, **states: StepState) -> ReleaseView:
    """The release as the database has it: all before the first state given are done."""
    assert world.plan is not None
    first = min(ORDER.index(key) for key in states)
    known = {**dict.fromkeys(ORDER[:first], StepState.DONE), **states}
    steps = tuple(
        StepView(
            step.key,
            step.title,
            step.kind,
            known.get(step.key, StepState.PENDING),
            "never",
            facts=world.proofs[step.key].facts if step.key in world.proofs else {},
        )
        for step in world.plan.steps
    )
    return ReleaseView("R7", "prod", ReleaseState.STOPPED, world.plan, "U01REL", START, None, steps)


def way_back(world: SearchWorld, gone: ReleaseView) -> Plan:
    pairs = swapped(gone)
    return world.planner.plan(
        shipped(REGISTRY)["roll_back"],
        Pinned(base=world.head, head=world.base),
        version="1.9.9",
        previous_version="1.9.10",
        parts=["swap_back"] if pairs else [],
        back=GoingBack(
            "R7", {"how": "drain", "can_process_datasets": True, "can_mutate": True, "message": None}, pairs
        ),
    )


@pytest.fixture
async def world() -> SearchWorld:
    """The release swapped, and its deploy failed; METASPACE is still read-only, and processes nothing."""
    world = SearchWorld()
    await world.make_plan()
    await world.until("deploy")
    world.server.commit = world.head
    world.plan = way_back(world, view(world, deploy=StepState.FAILED))
    world.outputs.clear()
    return world


async def test_the_old_pair_is_live_again_before_the_old_code_is(world: SearchWorld) -> None:
    assert [step.key for step in world.plan.steps] == list(BACK)  # type: ignore[union-attr]
    for key in BACK:
        await world.go(key, roll_back_agreed=yes(typed="1.9.9"))
        assert world.live == YANG if BACK.index(key) < BACK.index("swap_back") else world.live == YIN
    assert len(world.indices.swaps) == 2
    assert world.server.commit == world.base
    assert world.platform.state.can_mutate
    assert world.platform.state.can_process_datasets
    owed = loose_ends(world.facts())
    assert "the temporary checkout of R7 is on the web server" in owed
    assert "the inactive pair dataset-yang and annotation-yang is in Elasticsearch" in owed
    assert not [end for end in owed if "read-only" in end or "processing" in end]


@pytest.mark.parametrize("how", ["edited", "created", "deleted"])
async def test_an_old_pair_that_is_not_caught_up_is_refused_with_how_many(world: SearchWorld, how: str) -> None:
    match how:
        case "edited":
            for one in IDS[:3]:
                world.people.edit(one, name="since the swap")
        case "created":
            world.people.create("2020-02-01_10h00m00s")
        case _:
            world.people.delete(NEWEST)
    await world.go("roll_back_agreed", "announce_start", "read_only", roll_back_agreed=yes(typed="1.9.9"))
    error = await failure(world, "swap_back")
    assert {"edited": "3 differ", "created": "1 missing", "deleted": "1 too many"}[how] in error.message
    assert error.changed == "Nothing: the new pair is live."
    assert world.live == YANG


@pytest.mark.parametrize("how", ["dropped", "made anew", "half swapped", "done"])
async def test_there_is_a_way_back_only_to_the_very_old_pair(world: SearchWorld, how: str) -> None:
    match how:
        case "dropped":
            del world.indices.names["annotation-yin"]
        case "made anew":
            world.indices.names["dataset-yin"].uuid = "another"
        case "half swapped":
            world.indices.pointing["dataset"] = {"dataset-yin"}
        case _:
            world.indices.pointing = {"dataset": {"dataset-yin"}, "annotation": {"annotation-yin"}}
    assert isinstance(await world.check("swap_back"), Done if how == "done" else Unknown)
    assert len(world.indices.swaps) == 1


async def test_a_commit_that_release_does_not_contain_is_not_gone_back_to(world: SearchWorld) -> None:
    world.repository.branches["release"] = world.repository.commit("elsewhere")
    assert isinstance(await world.check("swap_back"), NotDone)
    with pytest.raises(Stopped):
        await world.drive("swap_back")
    assert world.live == YANG


async def test_a_release_that_had_swapped_and_not_deployed_may_be_rolled_back() -> None:
    world = SearchWorld()
    plan = await world.make_plan()
    await world.until("swap")
    assert touched_live(plan, {"swap": StepState.FAILED})
    assert not touched_live(plan, {"swap": StepState.PENDING})
    assert swapped(view(world, swap=StepState.PENDING)) is None
    begun = swapped(view(world, swap=StepState.RUNNING))
    assert begun is not None
    assert (begun["old"], begun["ignored"]) == (list(YIN), ["is_mono"])
    world.plan = way_back(world, view(world, swap=StepState.RUNNING))
    assert isinstance(await world.check("swap_back"), Done), (
        "it had begun to, and the world says that it had not come about"
    )


async def test_a_release_that_had_not_swapped_has_no_such_step() -> None:
    world = SearchWorld()
    await world.make_plan()
    await world.until("swap")
    plan = way_back(world, view(world, swap=StepState.PENDING))
    assert "swap_back" not in {step.key for step in plan.steps}
    world.plan = replace(plan, steps=shipped_with_swap_back(world, plan))
    assert isinstance(await world.check("swap_back"), Done), (
        "and in a checklist that has it all the same, it does nothing"
    )


def shipped_with_swap_back(world: SearchWorld, plan: Plan) -> tuple[PlannedStep, ...]:
    other = world.planner.plan(
        shipped(REGISTRY)["roll_back"],
        Pinned(base=world.head, head=world.base),
        version="1.9.9",
        previous_version="1.9.10",
        parts=["swap_back"],
    )
    return (*plan.steps, other.step("swap_back"))
