"""A scripted person who carries out one release in the local Slack, by typing and pressing what the bot shows."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Unavailable
from bot.domain.release import ReleaseState
from bot.views import ids
from bot.views.states import RELEASE
from sandbox.slack import ADMIN, APPROVER, BOT, MEMBERS, RELEASER, Page
from sandbox.verdict import look, problems, text_of, transcript

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.world import World

POLL = 0.3  # seconds between two looks at the channel
ANSWER = 60.0  # seconds for the bot to answer a command
BLIND = 90  # presses after which the player gives up: a release asks far less
QUIET = 8.0  # seconds: longer than two looks at a job are apart
_WAITS = re.compile(r"\d+ of \d+: .*; waits for ")  # how an approval stands, in bot/views/question.py
_FORM, _HEARD = 90.0, 30.0  # seconds for a form to open, and for an approval to be shown
_APPROVERS = (APPROVER.id, ADMIN.id, RELEASER.id)


@dataclass
class Player:
    """Presses what goes forward, each button once, and fills in forms with what they already hold.

    ``start`` is what is typed to begin.
    ``person`` is who acts: the releaser, and for an approval that waits for others, each of those who may give one, in turn.
    """

    world: World
    person: str = RELEASER.id
    pressed: set[tuple[str, str]] = field(default_factory=set)
    start: str = "start"
    patience: float = 0.0  # until when a form may yet open; on the monotonic clock
    heard: float = 0.0  # until when an approval that was given may not be shown yet

    async def release(self) -> str:
        """Carry out one release; return what went wrong, or nothing."""
        async with self.world.slack.page() as page:
            await self.world.slack.command(self.person, "review")
            await self._until_shown(lambda messages: _has_action(messages, ids.REVIEW_START), "the review")
            await self.world.slack.command(self.person, self.start)
            await self._confirm_start(page)
            async with asyncio.timeout(self.world.options.play_deadline):
                return await self._go_through(page)

    async def _confirm_start(self, page: Page) -> None:
        modal = await page.modal(deadline=ANSWER)
        if modal["callback_id"] != ids.PREVIEW_FORM:
            raise Unavailable(f"After /release start came {modal['callback_id']!r}, not the plan.")
        await self._submit(page)

    async def _go_through(self, page: Page) -> str:
        while True:
            self._bot_lives()
            messages = await self.world.slack.messages()
            if _says(messages, ReleaseState.SUCCEEDED):
                return ""
            if _has_action(messages, ids.RETRY) or _says(messages, ReleaseState.ABORTED):
                return "the release stopped"
            if page.modals and page.modals[-1].get("submit"):
                await self._submit(page)
            elif (button := self._next_button(messages)) is not None:
                await self._press(*button)
            else:
                await asyncio.sleep(POLL)

    async def _press(self, ts: str, element: Mapping[str, Any]) -> None:
        if len(self.pressed) > BLIND:
            raise Unavailable("The bot asks for ever.", hint="read the thread above")
        self.pressed.add(_key(element, self.person))
        if _opens_form(element):
            self.patience = time.monotonic() + _FORM
        self._approved()
        await self.world.slack.interact(self.person, ts, element)

    async def _submit(self, page: Page) -> None:
        modal, self.patience = page.modals[-1], 0.0
        self._approved()
        await page.submit(self.person, self.fill(modal))
        await page.until(lambda: page.errors or modal not in page.modals, what="answer to the form", deadline=ANSWER)
        if page.errors:
            raise Unavailable(f"The form {modal['callback_id']} was refused: {dict(page.errors)}.")

    def fill(self, modal: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is typed into a form."""
        return filled(modal)

    async def _until_shown(self, shown: Any, what: str) -> None:
        try:
            async with asyncio.timeout(ANSWER):
                while not shown(await self.world.slack.messages()):
                    self._bot_lives()
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            raise Unavailable(f"The bot did not show {what} within {ANSWER:.0f} s.") from error

    def _next_button(self, messages: Sequence[Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]] | None:
        """Return the oldest button that leads forward and was not pressed: of a question, and of primary style.

        None while a form that was asked for may yet open: the next press may be somebody else's. Who has forgotten what was pressed,
        because the bot died over it, waits for nothing.
        """
        if self.pressed and time.monotonic() < self.patience:
            return None
        for message in messages:
            for element in elements(message):
                forward = element.get("style") == "primary" and str(element["action_id"]).startswith(ids.QUESTION)
                if forward and message.get("user") == BOT and self._mine(message, element):
                    return str(message["ts"]), element
        return None

    def _approved(self) -> None:
        """Give the bot time to show that an approval counts, before the next person is asked for theirs."""
        if self.person != RELEASER.id:
            self.heard = time.monotonic() + _HEARD

    def _mine(self, message: Mapping[str, Any], element: Mapping[str, Any]) -> bool:
        """Tell whether somebody is to press it yet, and be that person."""
        waits = _WAITS.search(text_of(message))
        if waits and self.pressed and time.monotonic() < self.heard:
            return False
        for person in _APPROVERS if waits else (RELEASER.id,):
            if _key(element, person) not in self.pressed and (waits is None or person not in waits[0]):
                self.person = person
                return True
        return False

    def _bot_lives(self) -> None:
        bot = self.world.bot
        if bot is not None and not bot.running:
            raise Unavailable(f"The bot ended with status {bot.process.returncode}: {bot.last_words()}")


async def _last_messages(world: World) -> Sequence[Mapping[str, Any]]:
    """Return what the channel says once nothing is added to it: the ends of jobs are told after them."""
    before: Sequence[Mapping[str, Any]] | None = None
    messages = await world.slack.messages()
    while world.data is not None and messages != before:
        await asyncio.sleep(QUIET)
        before, messages = messages, await world.slack.messages()
    return messages


async def play(world: World) -> int:
    """Carry out one whole release, print the channel, and look at the world; 0 only if all is truly well."""
    before = await look(world)
    player = Player(world)
    try:
        failure = await player.release()
    except Unavailable as error:
        failure = error.message
    except TimeoutError:
        failure = f"the release did not end within {world.options.play_deadline:.0f} s"
    wrong = [failure] if failure else await problems(world, before, await world.slack.messages())
    messages = await _last_messages(world)
    print(transcript(messages, {one.id: one.real_name for one in MEMBERS}))
    print()
    if not wrong:
        print(
            "The release ended well: tag, branch, checkout, services, webapp, announcements and GitHub are as they must be."
        )
        return 0
    print("The release did not end well:")
    for one in wrong:
        print(f"- {one}")
    if failure and world.bot is not None:
        print(world.bot.last_words(30))
    return 1


def elements(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a message's buttons, each with the id of its block."""
    blocks = [block for block in message.get("blocks") or () if block.get("type") == "actions"]
    return [{**one, "block_id": block.get("block_id", "")} for block in blocks for one in block["elements"]]


def filled(modal: Mapping[str, Any]) -> dict[str, Any]:
    """Return a form's values as somebody leaves them who changes nothing and fills in only what must be."""
    inputs = [block for block in modal["blocks"] if block.get("type") == "input"]
    return {block["block_id"]: {block["element"]["action_id"]: _value(block)} for block in inputs}


def _value(block: Mapping[str, Any]) -> dict[str, Any]:
    element = block["element"]
    kind = element["type"]
    match kind:
        case "plain_text_input":
            return {"type": kind, "value": element.get("initial_value") or _typed(block)}
        case "checkboxes" | "multi_static_select":
            return {"type": kind, "selected_options": element.get("initial_options", [])}
        case _:
            return {"type": kind, "selected_option": element.get("initial_option") or element.get("options", [None])[0]}


def _typed(block: Mapping[str, Any]) -> str | None:
    if block.get("optional"):
        return None
    asked = re.search(r"(?<=^Type )\S+|\d+\.\d+\.\d+", block["label"]["text"])
    return asked[0] if asked else "played by the sandbox"


def _key(element: Mapping[str, Any], person: str = RELEASER.id) -> tuple[str, str]:
    """Name a press: the button, and who pressed it unless that was the releaser."""
    who = "" if person == RELEASER.id else f" {person}"
    return str(element["action_id"]), f"{element.get('value', '')}{who}"


def _opens_form(element: Mapping[str, Any]) -> bool:
    """Tell whether pressing it opens a form: bot/views/question.py ends such a label so."""
    return str((element.get("text") or {}).get("text", "")).endswith("…")


def _has_action(messages: Sequence[Mapping[str, Any]], action: str) -> bool:
    return any(element["action_id"] == action for message in messages for element in elements(message))


def _says(messages: Sequence[Mapping[str, Any]], state: ReleaseState) -> bool:
    """Tell whether a dashboard (a first message, never a person's) names this state."""
    return any(message.get("user") == BOT and RELEASE[state] in str(message.get("text", "")) for message in messages)
