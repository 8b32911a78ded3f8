"""A release that begins by itself, over the real parts: typed on the releaser's clocks, killed before its time, begun once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.views import ids
from sandbox.history import BO
from sandbox.options import Options
from sandbox.play import Player
from sandbox.supervisor import Pace
from sandbox.verdict import look, problems
from sandbox.world import World
from tests.scenarios.player import repeated

pytestmark = pytest.mark.timeout(600)
AHEAD = timedelta(seconds=25)  # enough for the plan to be read and confirmed on a machine that is busy


class Planner(Player):
    """Schedules the release, has the bot killed before its time, and goes on once it has begun."""

    async def schedule(self) -> str:
        """Carry out one release that begins by itself; return what went wrong, or nothing."""
        at = datetime.now(ZoneInfo("Europe/Berlin")) + AHEAD
        async with self.world.slack.page() as page:
            await self.world.slack.command(self.person, f"start --at {at:%Y-%m-%d %H:%M:%S}")
            await self._confirm_start(page)
            await self._until_said("scheduled for")
            await self.world.stop_bot(kill=True)
            await self.world.start_bot()
            await self._until_said("started as R1")
            async with asyncio.timeout(self.world.options.play_deadline):
                return await self._go_through(page)

    async def _until_said(self, words: str) -> None:
        await self._until_shown(lambda messages: any(words in str(one.get("text")) for one in messages), words)


async def test_a_scheduled_release_begins_once_though_the_bot_was_killed_and_ends_well() -> None:
    async with World(Options(build_seconds=0, pace=Pace(start=0))) as world:
        await world.start_bot()
        before = await look(world)
        assert not await Planner(world).schedule()
        messages = await world.slack.messages()
        assert await problems(world, before, messages) == []
        assert repeated(messages) == []
        assert sum("started as R1" in str(one.get("text")) for one in messages) == 1


async def test_when_master_has_moved_it_asks_and_starts_nothing() -> None:
    async with World(Options(build_seconds=0, pace=Pace(start=0))) as world:
        await world.start_bot()
        player = Planner(world)
        at = datetime.now(ZoneInfo("Europe/Berlin")) + AHEAD
        async with world.slack.page() as page:
            await world.slack.command(player.person, f"start --at {at:%Y-%m-%d %H:%M:%S}")
            await player._confirm_start(page)
            await player._until_said("scheduled for")

            await world.git.push_as(BO, "master", "[Webapp] Late", {"metaspace/webapp/src/Late.vue": "<template/>\n"})
            await player._until_said("and I did not start it")
        messages = await world.slack.messages()
        asks = next(one for one in messages if "did not start it" in str(one.get("text")))
        assert "the commit:" in str(asks["blocks"])
        assert ids.SCHEDULE_PREVIEW in str(asks["blocks"])
        assert not any(str(one.get("text")).startswith("1.") and "running" in str(one.get("text")) for one in messages)
