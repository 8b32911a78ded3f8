"""The player against a very small bot in the real local Slack: does it type, press and submit as a person would?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.views import ids
from sandbox.options import Options
from sandbox.play import Player
from sandbox.slack import APP_TOKEN, BOT_TOKEN, DEV_CHANNEL, SIGNING_SECRET
from sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class SmallBot:
    """Shows a review, a plan, two questions (one with a form), and then its end."""

    def __init__(self, world: World, ending: str) -> None:
        self.ending = ending
        self.heard: list[str] = []
        self.web = AsyncWebClient(token=BOT_TOKEN, base_url=world.slack.api_url)
        self.app = AsyncApp(client=self.web, signing_secret=SIGNING_SECRET)
        app_client = AsyncWebClient(token=APP_TOKEN, base_url=world.slack.api_url)
        self.handler = AsyncSocketModeHandler(self.app, APP_TOKEN, web_client=app_client)
        self.app.command("/release")(self.command)
        self.app.view(ids.PREVIEW_FORM)(self.started)
        self.app.action(f"{ids.QUESTION}approve")(self.approved)
        self.app.action(f"{ids.QUESTION}approve:edited")(self.edit)
        self.app.view(f"{ids.QUESTION_FORM}notes")(self.edited)

    async def post(self, text: str, *buttons: dict[str, Any]) -> None:
        blocks: list[dict[str, Any]] = [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]
        if buttons:
            blocks.append({"type": "actions", "elements": list(buttons)})
        await self.web.chat_postMessage(channel=DEV_CHANNEL, text=text, blocks=blocks)

    async def command(self, ack: Any, body: dict[str, Any]) -> None:
        await ack()
        self.heard.append(body["text"])
        if body["text"] == "review":
            await self.post("Review", button("Start", ids.REVIEW_START))
            return
        loading = form("start:loading")
        del loading["submit"]
        opened = await self.web.views_open(trigger_id=body["trigger_id"], view=loading)
        await self.web.views_update(view_id=opened["view"]["id"], view=form(ids.PREVIEW_FORM, initial="1.9.3"))

    async def started(self, ack: Any, view: dict[str, Any]) -> None:
        await ack()
        self.heard.append(view["state"]["values"]["text"]["value"]["value"])
        await self.post("Read it?", button("Yes", f"{ids.QUESTION}approve"), button("No", "question:reject", "danger"))

    async def approved(self, ack: Any) -> None:
        await ack()
        self.heard.append("approve")
        await self.post("Notes?", button("Edit", f"{ids.QUESTION}approve:edited"))

    async def edit(self, ack: Any, body: dict[str, Any]) -> None:
        await ack()
        notes = form(f"{ids.QUESTION_FORM}notes", initial="[Task] One #1")
        await self.web.views_open(trigger_id=body["trigger_id"], view=notes)

    async def edited(self, ack: Any, view: dict[str, Any]) -> None:
        await ack()
        self.heard.append(view["state"]["values"]["text"]["value"]["value"])
        retry = [button("Retry", ids.RETRY)] if "stopped" in self.ending else []
        await self.post(self.ending, *retry)


def button(label: str, action: str, style: str = "primary") -> dict[str, Any]:
    text = {"type": "plain_text", "text": label}
    return {"type": "button", "action_id": action, "value": "1", "style": style, "text": text}


def form(callback: str, initial: str = "") -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": "value", "initial_value": initial}
    label = {"type": "plain_text", "text": "Text"}
    return {
        "type": "modal",
        "callback_id": callback,
        "title": {"type": "plain_text", "text": "Form"},
        "submit": {"type": "plain_text", "text": "Go"},
        "blocks": [{"type": "input", "block_id": "text", "label": label, "element": element}],
    }


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World(Options(play_deadline=60)) as made:
        yield made


@pytest.mark.parametrize(
    ("ending", "failure"),
    [
        ("1.9.3 to prod: finished well. All 9 steps ended.", ""),
        ("1.9.3 to prod: stopped, needs a decision.", "the release stopped"),
    ],
)
async def test_the_player_carries_a_release_to_its_end(world: World, ending: str, failure: str) -> None:
    bot = SmallBot(world, ending)
    await bot.handler.connect_async()
    try:
        assert await Player(world).release() == failure
    finally:
        await bot.handler.close_async()
    assert bot.heard == ["review", "start", "1.9.3", "approve", "[Task] One #1"]
