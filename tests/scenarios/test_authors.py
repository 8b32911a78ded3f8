"""Authors asked, matched and heard, through the local Slack: by the review's button, the form, the menu, and into the plan."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from bot.views import ids
from sandbox.options import Options
from sandbox.play import POLL, elements
from sandbox.slack import ADA, BO, BOT, RELEASER, STRANGER
from sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

pytestmark = pytest.mark.timeout(600)


class Person:
    """Somebody who reads the channel and presses what is there."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def sees(self, wanted: Callable[[Mapping[str, Any]], bool], what: str) -> Mapping[str, Any]:
        """Wait for a message of the bot's."""
        try:
            async with asyncio.timeout(180):
                while True:
                    for message in await self.world.slack.messages():
                        if message.get("user") == BOT and wanted(message):
                            return message
                    await asyncio.sleep(POLL)
        except TimeoutError:
            said = [str(one.get("text"))[:200] for one in await self.world.slack.messages()]
            raise AssertionError(f"no {what} in {said}") from None

    async def says(self, *words: str) -> Mapping[str, Any]:
        return await self.sees(
            lambda message: all(word in json.dumps(message, ensure_ascii=False) for word in words), " … ".join(words)
        )

    async def press(self, who: str, message: Mapping[str, Any], action: str) -> None:
        (element,) = [one for one in elements(message) if one["action_id"] == action]
        await self.world.slack.interact(who, str(message["ts"]), element)


def has(action: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda message: any(one["action_id"] == action for one in elements(message))


def asks(name: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda message: has(ids.ASK_NOTHING)(message) and name in str(message.get("text"))


async def test_authors_are_asked_answer_and_become_steps_of_the_plan_over_a_kill() -> None:
    async with World(Options(scenario="migrations")) as world:
        await world.start_bot()
        slack, person = world.slack, Person(world)

        await slack.command(RELEASER.id, "review")
        review = await person.sees(has(ids.REVIEW_ASK), "review")
        await person.press(RELEASER.id, review, ids.REVIEW_ASK)
        ada = await person.sees(asks(ADA.id), "question to Ada, whom the settings know")
        bo = await person.sees(asks(BO.id), "question to Bo, whom Slack knows by his address")
        chen = await person.sees(asks("Chen Wu"), "question to Chen, whom nobody knows")
        assert {one["thread_ts"] for one in (ada, bo, chen)} == {review["ts"]}
        assert "r1_9_20260120_add_colour.sql" in json.dumps(chen)
        assert not any("dependabot" in str(one.get("text")) for one in await slack.messages() if one.get("thread_ts"))

        await person.press(STRANGER.id, ada, ids.ASK_NOTHING)
        await person.says("This question is for Ada Keller")
        await person.press(ADA.id, ada, ids.ASK_NOTHING)
        await person.says("Ada Keller", "nothing by hand", f"<@{ADA.id}>")

        await world.stop_bot(kill=True)
        await world.start_bot()

        async with slack.page() as page:
            await person.press(BO.id, bo, ids.ASK_YES)
            modal = await page.modal(deadline=180)
            assert modal["callback_id"] == ids.ASK_FORM
            values = {
                ids.WHAT: {"value": {"type": "plain_text_input", "value": "Tell the labs about the colours"}},
                ids.WHEN: {
                    "value": {"type": "static_select", "selected_option": {"value": "after", "text": {"type": "plain_text", "text": "x"}}}
                },
                ids.HOW: {"value": {"type": "plain_text_input", "value": "Write to labs@example.org\nand wait a day"}},
            }  # fmt: skip
            await page.submit(BO.id, values)
        await person.says("Bo Lindqvist", "after the deploy", "Tell the labs about the colours", "wait a day")

        await slack.command(RELEASER.id, "people")
        listed = await person.says("authors of the pull requests", f"{ids.PEOPLE_WHO}chen")
        (menu, _) = [one for one in elements(listed) if str(one["action_id"]).endswith(":chen")]
        (option,) = [one for one in menu["options"] if one["value"] == STRANGER.id]
        choice = {
            "type": menu["type"],
            "action_id": menu["action_id"],
            "block_id": menu["block_id"],
            "selected_option": option,
        }
        await slack.interact(RELEASER.id, str(listed["ts"]), choice)
        await person.says(f"<@{STRANGER.id}> Above is a question for you")
        await person.press(STRANGER.id, chen, ids.ASK_NOTHING)
        await person.says("3 answered, 0 open")

        await slack.command(RELEASER.id, "ask")
        await person.says("Everybody has been asked already")
        asked = [
            one
            for one in await slack.messages()
            if "ask-A" in json.dumps(one) or "nothing by hand (" in str(one.get("text"))
        ]
        assert len(asked) <= 4, "nobody was asked twice"

        async with slack.page() as page:
            await slack.command(RELEASER.id, "start")
            preview = await page.modal(deadline=180)
            shown = json.dumps(preview, ensure_ascii=False)
        assert "Run the migration r1_9_20260120_add_colour.sql" in shown
        assert "Tell the labs about the colours" in shown
        assert shown.index("Run the migration") < shown.index("Tell the labs about the colours")
        assert "2 of 3 questions answered “nothing by hand”" in shown
