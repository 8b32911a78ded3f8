"""The notes in the local Slack: edited in the form, shown, edited again after a kill, and tagged as they were shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bot.views import ids
from sandbox.options import Options
from sandbox.play import POLL, Player, elements, filled
from sandbox.processes import until
from sandbox.slack import BOT
from sandbox.verdict import text_of
from sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.slack import Page

pytestmark = pytest.mark.timeout(600)
EDIT, TAG = f"{ids.QUESTION}approve:edited", f"{ids.QUESTION}approve:draft"
DRAFT = {
    "task-0": "The page of a dataset has its name in the title #1510 \n"
    "Export the annotations of a project with one button #1511",
    "bug-0": "It does not say who can see a private project #1514",
    "dependabot-0": "Bump postcss from 8.5.8 to 8.5.18 in /metaspace/webapp #1512",
    "left-out-0": "Log the user's id with every request #1513",
}


class Editor(Player):
    """Presses and fills in by name."""

    async def shown(self, holds: Callable[[Mapping[str, Any]], object]) -> Mapping[str, Any]:
        """Wait for a message of the bot with an open question about the tag that ``holds``, and return it."""
        async with asyncio.timeout(180):
            while True:
                for message in await self.world.slack.messages():
                    buttons = {one["action_id"] for one in elements(message)}
                    threaded = message.get("thread_ts") not in {None, message["ts"]}
                    if message.get("user") == BOT and threaded and EDIT in buttons and holds(message):
                        return message
                await asyncio.sleep(POLL)

    async def press(self, message: Mapping[str, Any], action: str) -> None:
        element = next(one for one in elements(message) if one["action_id"] == action)
        await self.world.slack.interact(self.person, str(message["ts"]), element)

    async def form(self, page: Page, message: Mapping[str, Any]) -> dict[str, str]:
        """Open the form and return what stands in its fields."""
        await self.press(message, EDIT)
        modal = await page.modal()
        return {block: values["value"]["value"] for block, values in filled(modal).items()}

    async def send(self, page: Page, **values: str | None) -> Mapping[str, str]:
        """Send the form; returns the complaints that keep it open."""
        modal = page.modals[-1]
        typed = {name: {"value": {"type": "plain_text_input", "value": text}} for name, text in values.items()}
        await page.submit(self.person, {**filled(modal), **typed})
        await page.until(lambda: page.errors or modal not in page.modals, what="answer to the form")
        return dict(page.errors)


async def test_notes_are_edited_shown_and_tagged_as_shown_also_over_a_kill() -> None:
    async with World(Options(build_seconds=1)) as world:
        await world.start_bot()
        editor = Editor(world)
        async with world.slack.page() as page:
            await world.slack.command(editor.person, "start")
            await editor._confirm_start(page)
            first = await editor.shown(lambda message: "#1511" in text_of(message))
            assert await editor.form(page, first) == DRAFT

            wrong = await editor.send(page, **{"task-0": "[Story] Masses #1510"})
            assert "none of Task, Bug, Dependabot" in wrong["task-0"]
            moved = {"task-0": "Names in titles #1510", "bug-0": "Export lacks a button #1511\nWho sees what #1514"}
            assert await editor.send(page, **moved) == {}
            second = await editor.shown(lambda message: "Names in titles" in text_of(message))
            assert "`>   [Bug] Export lacks a button #1511`" in text_of(second)
            assert await world.git.git("tag", "--list", "1.9.3") == ""

            await world.stop_bot(kill=True)
            await world.start_bot()
            again = await editor.form(page, second)
            assert {name: again[name].replace(" \n", "\n") for name in moved} == moved
            assert await editor.send(page, **{"left-out-0": "–", "dependabot-0": "–"}) == {}
            third = await editor.shown(lambda message: "Left out: [Dependabot] Bump postcss" in text_of(message))

            await editor.press(third, TAG)
            message = await tagged(world)
            assert message.splitlines()[:4] == [
                "> Release notes:",
                ">   [Task] Names in titles #1510",
                ">   [Bug] Export lacks a button #1511",
                ">   [Bug] Who sees what #1514",
            ]


async def tagged(world: World) -> str:
    """Wait for the tag on origin, and return its message."""

    async def there() -> bool:
        return bool(await world.git.git("tag", "--list", "1.9.3"))

    await until(there, what="the tag", deadline=180)
    return (await world.git.git("cat-file", "-p", "1.9.3")).partition("\n\n")[2]
