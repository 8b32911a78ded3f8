"""A person who does not give up: presses again what a killed bot may not have heard, as people do."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Unavailable
from bot.domain.release import ReleaseState
from sandbox.play import POLL, Player, _has_action, _says
from sandbox.slack import BOT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from sandbox.slack import Page
    from sandbox.world import World

RESTART = "release:retry"


class Stubborn(Player):
    """Goes on through kills; ``kill`` is awaited beside the release, once it has started."""

    def __init__(self, world: World, kill: Callable[[World], Awaitable[None]]) -> None:
        super().__init__(world)
        self.kill = kill

    def _bot_lives(self) -> None:
        """A dead bot is what the test is about."""

    async def _go_through(self, page: Page) -> str:
        killer = asyncio.create_task(self._kill_and_restart())
        try:
            while True:
                messages = await self.world.slack.messages()
                if killer.done():
                    await killer
                    if _says(messages, ReleaseState.SUCCEEDED):
                        return ""
                if _has_action(messages, RESTART) or _says(messages, ReleaseState.ABORTED):
                    return "the release stopped"
                button = self._next_button(messages)
                if button is not None:
                    await self._press(*button)
                else:
                    await asyncio.sleep(POLL)
        finally:
            killer.cancel()

    async def _kill_and_restart(self) -> None:
        await self.kill(self.world)
        await self.world.stop_bot(kill=True)
        await self.world.start_bot()
        self.pressed.clear()


def completed_deploys(world: World) -> list[str]:
    """Return the jobs on the control host whose receipt says exit status 0."""
    receipts = (world.git.control / "jobs").glob("*/status.json")
    return [one.parent.name for one in receipts if json.loads(one.read_text(encoding="utf-8")).get("exit_status") == 0]


def repeated(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what Slack has twice of the bot's messages: by the first block's id, which each message has for itself."""
    ids = [str(m["blocks"][0].get("block_id")) for m in messages if m.get("user") == BOT and m.get("blocks")]
    return [one for one, count in Counter(ids).items() if count > 1 and one.startswith("rb-")]


async def until_task(world: World, words: str, *, deadline: float = 120) -> None:
    """Wait until the playbook has begun a task whose name contains ``words``."""
    async with asyncio.timeout(deadline):
        while not any(
            words in line
            for events in (world.git.control / "jobs").glob("*/events.jsonl")
            for line in events.read_text(encoding="utf-8").splitlines()
        ):
            if world.bot is not None and not world.bot.running:
                raise Unavailable(f"The bot ended by itself: {world.bot.last_words()}")
            await asyncio.sleep(POLL)
