from __future__ import annotations

import pytest

from bot.domain.errors import Unavailable
from bot.domain.world import Check, CheckState
from bot.engine.step import Done, NotDone
from tests.steps.worlds import World, failure

KEY = "ci_green"


async def test_green_required_jobs_are_enough(world: World) -> None:
    evidence = await world.drive(KEY)
    assert evidence.facts["commit"] == world.head
    assert world.outputs[KEY] == {"commit": world.head}


async def test_a_job_that_was_never_reported_is_not_passed(world: World) -> None:
    world.code_host.report(world.head, test_engine=CheckState.PASSED)
    error = await failure(world, KEY)
    assert "not reported: test-webapp" in error.message
    assert world.clock.seconds >= 600


async def test_green_of_another_commit_does_not_count(world: World) -> None:
    world.code_host.reports = {}
    world.green(world.base)
    assert isinstance(await world.check(KEY), NotDone)


async def test_pending_jobs_are_waited_for_and_reported(world: World) -> None:
    world.code_host.report(world.head, test_engine=CheckState.PASSED, test_webapp=CheckState.PENDING)
    world.clock.at(100, lambda: world.green(world.head))
    await world.drive(KEY)
    assert world.said[0][0] == "still running: test-webapp"
    assert len(world.said) == 1, "progress is said when it changes"


async def test_a_failed_job_stops_at_once_with_name_and_url(world: World) -> None:
    world.code_host.report(world.head, test_engine=CheckState.FAILED, test_webapp=CheckState.PENDING)
    error = await failure(world, KEY)
    assert "failed: test-engine" in error.message
    assert "https://ci/test_engine" in error.message
    assert world.clock.seconds == 0


async def test_jobs_that_are_not_required_never_block(world: World) -> None:
    world.code_host.reports[world.head].append(Check("sci-test-on-demand", CheckState.FAILED))
    assert isinstance(await world.check(KEY), Done)


async def test_a_status_and_a_check_of_one_job_count_as_the_worse(world: World) -> None:
    world.code_host.reports[world.head].append(Check("test-engine", CheckState.FAILED))
    assert isinstance(await world.check(KEY), NotDone)


async def test_github_away_is_said_not_taken_for_an_answer(world: World) -> None:
    world.tap.fail("checks", Unavailable("GitHub does not answer.", hint="retry"))
    with pytest.raises(Unavailable):
        await world.check(KEY)
