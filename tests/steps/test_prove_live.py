from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.engine.step import Done, NotDone, Partial
from tests.steps.worlds import ENVIRONMENT, World, failure

KEY = "prove_live"


@pytest.fixture
async def world(world: World) -> World:
    """A world in which the deploy has just completed."""
    await world.make_plan()
    world.repository.branches["release"] = world.head
    await world.drive("deploy")
    return world


async def test_a_completed_deploy_is_proved(world: World) -> None:
    evidence = await world.drive(KEY)
    assert world.outputs[KEY] == {"commit": world.head, "partial": False}
    assert "sm-lithops-daemon:daemon_1 restarted" in evidence.summary


async def test_without_a_receipt_nothing_is_proved(world: World) -> None:
    world.outputs.clear()
    assert isinstance(await world.check(KEY), NotDone)


async def test_a_program_from_before_the_deploy_is_no_proof(world: World) -> None:
    world.server.alter("sm-api", started_at=world.clock.now() - timedelta(days=1))
    assert isinstance(await world.check(KEY), Partial)
    assert "sm-api still runs from before the deploy" in (await failure(world, KEY)).message
    assert world.clock.seconds > 60


async def test_a_program_without_a_start_time_is_no_proof(world: World) -> None:
    world.server.alter("sm-api", started_at=None)
    assert "cannot be read" in (await failure(world, KEY)).message


async def test_one_old_member_spoils_its_group(world: World) -> None:
    world.server.alter("daemon_1", started_at=world.clock.now() - timedelta(days=1))
    assert "sm-lithops-daemon:daemon_1 still runs" in (await failure(world, KEY)).message


async def test_a_program_that_ends_by_itself_may_be_between_two_runs(world: World) -> None:
    world.server.alter("daemon_0", state="EXITED")
    assert isinstance(await world.check(KEY), Done)


async def test_a_program_that_ended_before_the_deploy_is_no_proof(world: World) -> None:
    world.server.alter("daemon_0", state="EXITED", started_at=None)
    assert isinstance(await world.check(KEY), Partial)


async def test_a_program_that_should_not_end_is_no_proof_when_it_did(world: World) -> None:
    world.server.alter("sm-api", state="EXITED")
    assert "sm-api is EXITED" in (await failure(world, KEY)).message


async def test_a_fatal_program_stops_at_once_with_where_to_look(world: World) -> None:
    start = world.clock.seconds
    world.server.alter("sm-graphql", state="FATAL", detail="exited too quickly")
    error = await failure(world, KEY)
    assert "sm-graphql is FATAL (exited too quickly)" in error.message
    assert "supervisorctl" in error.hint
    assert world.clock.seconds == start


async def test_an_unknown_program_stops_at_once(world: World) -> None:
    world.server.running = [one for one in world.server.running if one.name != "sm-api"]
    assert "knows no program or group sm-api" in (await failure(world, KEY)).message


async def test_programs_that_are_starting_are_waited_for(world: World) -> None:
    world.server.alter("sm-api", state="STARTING")
    world.clock.at(world.clock.seconds + 20, lambda: world.server.alter("sm-api", state="RUNNING"))
    await world.drive(KEY)


async def test_a_program_counts_once_it_has_run_for_a_while(world: World) -> None:
    world.environment = replace(ENVIRONMENT, steady_after=10)
    world.server.alter("sm-api", started_at=world.clock.now())
    found = await world.check(KEY)
    assert isinstance(found, Partial)
    assert "sm-api is up for 0 s only" in found.evidence.summary
    before = world.clock.seconds
    await world.drive(KEY)
    assert world.clock.seconds - before >= 9


async def test_a_program_that_dies_and_comes_again_is_never_proved(world: World) -> None:
    world.environment = replace(ENVIRONMENT, steady_after=10)
    world.server.flapping = "sm-api"
    assert "sm-api is up for" in (await failure(world, KEY)).message


async def test_an_old_webapp_is_no_proof(world: World) -> None:
    world.server.built_at = world.clock.now() - timedelta(days=1)
    assert "the webapp is from" in (await failure(world, KEY)).message


async def test_a_missing_webapp_is_no_proof(world: World) -> None:
    world.server.built_at = None
    assert "no webapp" in (await failure(world, KEY)).message


async def test_a_silent_site_is_waited_for_and_then_said(world: World) -> None:
    world.site.ok = False
    assert "502 Bad Gateway" in (await failure(world, KEY)).message
    assert world.clock.seconds > 60


async def test_another_checkout_is_said_at_once(world: World) -> None:
    world.server.commit = world.base
    assert "checkout is at" in (await failure(world, KEY)).message


async def test_a_partial_release_proves_only_what_it_deployed() -> None:
    world = World()
    await world.make_plan(tags=("sm-graphql",))
    world.repository.branches["release"] = world.head
    await world.drive("deploy")
    evidence = await world.drive(KEY)
    assert world.outputs[KEY]["partial"]
    assert "sm-api" not in evidence.summary
    assert "webapp" not in evidence.summary
    world.server.alter("sm-graphql", started_at=None)
    assert isinstance(await world.check(KEY), Partial)
