"""A person who does not give up: presses again what a killed bot may not have heard, as people do."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Unavailable
from bot.domain.release import ReleaseState
from bot.views import ids
from bot.views.states import RELEASE
from sandbox.play import ANSWER, POLL, Player, _has_action, _key, _says, elements
from sandbox.slack import BOT
from sandbox.verdict import text_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from sandbox.slack import Page
    from sandbox.world import World

RESTART = "release:retry"
REFUSALS = 5  # of forms, after which the form itself is what is wrong


def _nothing() -> Mapping[str, str]:
    return {}


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


@dataclass
class Persistent(Player):
    """Goes on through a bot that dies, and presses Retry where a release stopped, until it has ended.

    ``prefer`` are words of the choice to take where a question has several; ``retries`` how often Retry may be pressed;
    ``arming`` returns what is added to the environment of a bot that is started again; ``earlier`` is how many releases
    had ended well before, ``taken_back`` how many this one aborts.
    """

    prefer: str = ""
    retries: int = 0
    deaths: int = 0
    refused: int = 0
    stops: list[str] = field(default_factory=list)
    """What the bot said at each stop."""
    arming: Callable[[], Mapping[str, str]] = _nothing
    earlier: int = 0
    taken_back: int = 0

    async def roll_back(self, words: str) -> str:
        """Take the last release back; return what went wrong, or nothing."""
        async with self.world.slack.page() as page:
            await self.world.slack.command(self.person, words)
            modal = await page.modal(deadline=ANSWER)
            if modal["callback_id"] != ids.ROLL_BACK_FORM:
                raise Unavailable(f"After /release {words} came {modal['callback_id']!r}, not the plan.")
            await self._submit(page)
            async with asyncio.timeout(self.world.options.play_deadline):
                return await self._go_through(page)

    def _bot_lives(self) -> None:
        """A dead bot is what the test is about."""

    async def _go_through(self, page: Page) -> str:
        while not self._over(messages := await self.world.slack.messages()):
            await self._revive()
            if dashboards(messages, ReleaseState.ABORTED) > self.taken_back:
                return "the release was aborted"
            retry = self._fresh(messages, RESTART)
            if retry is not None and len(self.stops) >= self.retries:
                return f"the release stopped: {retry[2]}"
            if retry is not None:
                self.stops.append(retry[2])
                await self._press(retry[0], retry[1])
            elif page.modals and page.modals[-1].get("submit"):
                await self._submit(page)
            elif (button := self._next_button(messages)) is not None:
                await self._press(*button)
            else:
                await asyncio.sleep(POLL)
        await self._settled()
        return ""

    def _over(self, messages: Sequence[Mapping[str, Any]]) -> bool:
        """Tell whether that has come which the release is carried out for."""
        return dashboards(messages, ReleaseState.SUCCEEDED) > self.earlier

    async def _submit(self, page: Page) -> None:
        """Submit, and press again later where nobody took it: the bot died over it, or is held up.

        A form that is refused is closed and opened anew: its question may have been answered by the press before.
        """
        submitting = asyncio.ensure_future(super()._submit(page))
        try:
            while not submitting.done() and not self._died():
                await asyncio.wait({submitting}, timeout=POLL)
            if submitting.done():
                await submitting
        except Unavailable:
            self.pressed.clear()
            if page.errors:
                self.refused += 1
                if self.refused > REFUSALS:
                    raise
                await page.close_modal(self.person)
                await page.until(lambda: not page.modals, what="closed form")
        finally:
            submitting.cancel()
            await asyncio.gather(submitting, return_exceptions=True)

    def _died(self) -> bool:
        return self.world.bot is not None and not self.world.bot.running

    async def _revive(self) -> None:
        """Start a killed bot again, without what killed it; one that ended by itself is an error.

        One that is killed before it is ready is started again at the next look.
        """
        bot = self.world.bot
        if bot is None or not self._died():
            return
        if bot.process.returncode != -signal.SIGKILL:
            raise Unavailable(f"The bot ended with status {bot.process.returncode}: {bot.last_words(20)}")
        self.deaths += 1
        await self.world.stop_bot()
        self.pressed.clear()
        try:
            await self.world.start_bot(self.arming())
        except Unavailable:
            fresh = self.world.bot
            if fresh is None or fresh.running or fresh.process.returncode != -signal.SIGKILL:
                raise

    async def _settled(self) -> None:
        """Wait until the bot lives and the channel stays as it is for a while."""
        before: object = None
        async with asyncio.timeout(300):
            while before != (before := await self.world.slack.messages()) or self.world.bot is None:
                await asyncio.sleep(3)  # longer than edits of one message are apart
                await self._revive()

    def _fresh(self, messages: Sequence[Mapping[str, Any]], action: str) -> tuple[str, Mapping[str, Any], str] | None:
        """Return the newest button of that action, if it was not pressed yet, and the words of its message."""
        for message in reversed(messages):
            for element in elements(message):
                if element["action_id"] == action:
                    pressed = _key(element) in self.pressed
                    return None if pressed else (str(message["ts"]), element, text_of(message))
        return None

    def _next_button(self, messages: Sequence[Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]] | None:
        found = super()._next_button(messages)
        if found is None or not self.prefer:
            return found
        message = next(one for one in messages if one["ts"] == found[0])
        wanted = [one for one in elements(message) if self.prefer in str((one.get("text") or {}).get("text", ""))]
        if not wanted:
            return found
        return None if _key(wanted[0]) in self.pressed else (found[0], wanted[0])  # one answer to a question


def dashboards(messages: Sequence[Mapping[str, Any]], state: ReleaseState) -> int:
    """Return how many releases' dashboards say that they are in this state."""
    first = [one for one in messages if one.get("user") == BOT and one.get("thread_ts") in {None, one["ts"]}]
    return sum(RELEASE[state] in str(one.get("text", "")) for one in first)


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
