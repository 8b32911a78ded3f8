"""One whole release each, through the local Slack, over real SSH, Git, supervisord and Ansible."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Literal

import pytest

from sandbox.options import Options
from sandbox.play import play
from sandbox.supervisor import Pace
from sandbox.verdict import look, problems
from sandbox.world import World
from tests.chaos import rotating
from tests.scenarios.player import Stubborn, completed_deploys, repeated, until_task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.timeout(300)
MOMENTS = 20
LONGEST = 24.0  # seconds from the start to the end of an undisturbed release


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_a_release_ends_well(mode: Literal["socket", "http"]) -> None:
    async with World(Options(mode=mode, build_seconds=1)) as world:
        await world.start_bot()
        assert await play(world) == 0


async def killed(kill: Callable[[World], Awaitable[None]]) -> None:
    """Play a release whose bot is killed; then count in the world."""
    async with World(Options(build_seconds=3, pace=Pace(start=0))) as world:
        await world.start_bot()
        before = await look(world)
        failure = await Stubborn(world, kill).release()
        messages = await world.slack.messages()
        assert not failure, world.bot.last_words(40) if world.bot else failure
        assert await problems(world, before, messages) == []
        assert len(completed_deploys(world)) == 1
        assert repeated(messages) == []


@pytest.mark.parametrize("moment", rotating(range(MOMENTS), take=3))
async def test_killed_at_a_random_moment_it_goes_on(moment: int) -> None:
    seconds = random.Random(moment).uniform(0, LONGEST)  # noqa: S311  # a moment, not a secret

    async def kill(_: World) -> None:
        await asyncio.sleep(seconds)

    await killed(kill)


async def test_killed_in_the_middle_of_the_webapp_build_it_attaches_again() -> None:
    async def kill(world: World) -> None:
        await until_task(world, "Build the webapp")

    await killed(kill)
