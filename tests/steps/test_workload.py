"""The work in hand, waiting for it, and giving processing back."""

from __future__ import annotations

import pytest

from bot.domain.errors import StepFailed
from bot.domain.planning import loose_ends
from bot.domain.world import SystemHealth, Workload
from bot.engine.step import Done, NotDone, Partial
from bot.steps.drain import MESSAGE
from tests.steps.worlds import Stopped, World, failure, no, yes

ON = SystemHealth(can_mutate=True, can_process_datasets=True)


def busy(world: World, until: float | None = None) -> None:
    world.platform.work = Workload(queued=2, annotating=1, queues={"annotate": 3, "update": 0})
    if until is not None:
        world.clock.at(until, lambda: setattr(world.platform, "work", Workload(0, 0)))


async def test_an_idle_metaspace_needs_no_question(world: World) -> None:
    await world.drive("workload")
    assert world.outputs["workload"]["how"] == "idle"
    assert (await world.drive("drain")).summary == "Nothing to wait for."


async def test_running_work_is_named_and_asked_about(world: World) -> None:
    busy(world)
    question = await (await world.step("workload")).ask(await world.context("workload"))
    assert question is not None
    assert "1 annotating, 2 queued, 3 waiting in annotate" in question.detail
    assert [choice.value for choice in question.choices] == ["wait", "drain", "go_on", ""]
    with pytest.raises(Stopped, match="asked"):
        await world.drive("workload")


async def test_going_on_is_by_name(world: World) -> None:
    busy(world)
    evidence = await world.drive("workload", yes("go_on"))
    assert "<@U01REL> chose: go on" in evidence.summary
    await world.drive("drain")
    assert world.platform.switched == []


async def test_a_no_stops(world: World) -> None:
    busy(world)
    await failure(world, "workload", no())


async def test_waiting_switches_nothing(world: World) -> None:
    busy(world, until=100)
    await world.drive("workload", yes("wait"))
    assert isinstance(await world.check("drain"), NotDone)
    await world.drive("drain")
    assert world.platform.switched == []
    assert world.clock.seconds >= 100
    assert "This release did not touch" in (await world.drive("processing_back")).summary


async def test_draining_switches_off_waits_and_gives_back(world: World) -> None:
    busy(world, until=100)
    await world.drive("workload", yes("drain"))
    await world.drive("drain")
    assert world.platform.state == SystemHealth(can_mutate=True, can_process_datasets=False, message=MESSAGE)
    evidence = await world.drive("processing_back")
    assert world.platform.state == ON
    assert loose_ends([*(facts for _, facts in world.said), evidence.facts]) == ()


async def test_an_abort_while_drained_leaves_a_loose_end(world: World) -> None:
    busy(world)
    await world.drive("workload", yes("drain"))
    error = await failure(world, "drain")
    assert "still works" in error.message
    assert error.changed == "Dataset processing is switched off."
    assert loose_ends(facts for _, facts in world.said) == ("dataset processing is switched off",)


async def test_processing_found_off_stays_off(world: World) -> None:
    busy(world, until=10)
    world.platform.state = SystemHealth(can_mutate=True, can_process_datasets=False, message="Maintenance")
    await world.drive("workload", yes("drain"))
    await world.drive("drain")
    await world.drive("processing_back")
    assert world.platform.switched == []
    assert world.platform.state.message == "Maintenance"


async def test_half_drained_is_partial(world: World) -> None:
    busy(world)
    await world.drive("workload", yes("drain"))
    world.platform.state = SystemHealth(can_mutate=True, can_process_datasets=False)
    assert isinstance(await world.check("drain"), Partial)


async def test_given_back_by_hand_is_done(world: World) -> None:
    busy(world, until=10)
    await world.drive("workload", yes("drain"))
    await world.drive("drain")
    world.platform.state = ON
    assert isinstance(await world.check("processing_back"), Done)


async def test_a_message_that_somebody_set_meanwhile_stays(world: World) -> None:
    busy(world, until=10)
    await world.drive("workload", yes("drain"))
    await world.drive("drain")
    world.platform.state = SystemHealth(can_mutate=False, can_process_datasets=False, message="Disk full")
    await world.drive("processing_back")
    assert world.platform.state == SystemHealth(can_mutate=False, can_process_datasets=True, message="Disk full")


async def test_a_skipped_look_touches_nothing(world: World) -> None:
    await world.drive("drain")
    await world.drive("processing_back")
    assert world.platform.switched == []


async def test_work_that_comes_back_right_after_the_wait_fails_the_proof(world: World) -> None:
    busy(world)
    await world.drive("workload", yes("wait"))
    with pytest.raises(StepFailed, match="took up work again"):
        await (await world.step("drain")).verify(await world.context("drain"))


async def test_work_that_comes_back_while_processing_is_off_fails_the_proof(world: World) -> None:
    busy(world)
    await world.drive("workload", yes("drain"))
    world.platform.state = SystemHealth(can_mutate=True, can_process_datasets=False)
    with pytest.raises(StepFailed, match="while processing is off"):
        await (await world.step("drain")).verify(await world.context("drain"))


async def test_switches_that_metaspace_does_not_keep_fail_the_proof(world: World) -> None:
    busy(world, until=10)
    await world.drive("workload", yes("drain"))
    await world.drive("drain")
    with pytest.raises(StepFailed, match="did not keep"):
        await (await world.step("processing_back")).verify(await world.context("processing_back"))
