"""One whole release each, through the local Slack, over real SSH, Git, supervisord and Ansible."""

from __future__ import annotations

import asyncio
import json
import os
import random
from typing import TYPE_CHECKING, Literal

import pytest

from sandbox.gitworld import VAULT_PASSWORD
from sandbox.options import Options
from sandbox.play import play
from sandbox.rabbitmq import PASSWORD
from sandbox.rendering import bot_environment
from sandbox.supervisor import Pace
from sandbox.verdict import look, problems
from sandbox.world import World
from tests import canaries
from tests.chaos import rotating
from tests.scenarios.player import Stubborn, completed_deploys, repeated, until_task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.timeout(600)
MOMENTS = 20
LONGEST = 24.0  # seconds from the start to the end of an undisturbed release


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_a_release_ends_well(mode: Literal["socket", "http"]) -> None:
    async with World(Options(mode=mode, build_seconds=1)) as world:
        with canaries.Processes(os.getpid()) as seen:
            await world.start_bot()
            assert await play(world) == 0
        await _nothing_shown(world, seen.lines)


async def _nothing_shown(world: World, lines: set[str]) -> None:
    """No secret of the world stands in what the bot keeps, logs, posts, leaves on the control host, or calls programs with."""
    secrets = {name: value for name, value in bot_environment().items() if value != PASSWORD}
    secrets["vault"] = VAULT_PASSWORD
    jobs = world.git.control / "jobs"
    assert list(jobs.glob("*/status.json")), "there was a job"
    found = [one for folder in (world.settings_file.parent, jobs) for one in canaries.in_files(folder, secrets)]
    found += canaries.shown("bot.log", (world.root / "logs" / "bot.log").read_bytes(), secrets)
    found += canaries.shown("Slack", json.dumps(list(await world.slack.messages())).encode(), secrets)
    assert found + canaries.in_lines(lines, secrets) == []


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
