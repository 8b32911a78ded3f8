from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.processes import Processes
from sandbox.slack import ADMIN, APP_TOKEN, BOT_TOKEN, DEV_CHANNEL, RELEASER, SIGNING_SECRET, LocalSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MODAL = {
    "type": "modal",
    "callback_id": "form",
    "title": {"type": "plain_text", "text": "Form"},
    "submit": {"type": "plain_text", "text": "Go"},
    "blocks": [
        {
            "type": "input",
            "block_id": "name",
            "label": {"type": "plain_text", "text": "Name"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}


@pytest.fixture
async def slack(tmp_path: Path) -> AsyncIterator[LocalSlack]:
    async with Processes(tmp_path) as processes, LocalSlack(processes, tmp_path / "slack") as local:
        yield local


async def test_the_people_and_channels_are_there(slack: LocalSlack) -> None:
    state = await slack.state()
    assert {"releaser", "approver", "viewer", "stranger", "admin"} <= {user["name"] for user in state["users"]}
    assert DEV_CHANNEL in {channel["id"] for channel in state["channels"]}


async def test_messages_are_seen_until_it_is_reset(slack: LocalSlack) -> None:
    written = await slack.message(RELEASER.id, "hello")
    await slack.message(ADMIN.id, "hello yourself", thread_ts=written["ts"])
    assert [message["text"] for message in await slack.messages()] == ["hello", "hello yourself"]
    await slack.reset()
    assert await slack.messages() == []


async def test_a_bot_hears_commands_buttons_and_modals(slack: LocalSlack) -> None:
    web = AsyncWebClient(token=BOT_TOKEN, base_url=slack.api_url)
    app = AsyncApp(client=web, signing_secret=SIGNING_SECRET)
    submitted: list[str] = []

    @app.command("/release")
    async def command(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
        blocks = [{"type": "actions", "block_id": "b", "elements": [button]}]
        await web.chat_postMessage(channel=body["channel_id"], text="choose", blocks=blocks)

    @app.action("go")
    async def action(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        await web.views_open(trigger_id=body["trigger_id"], view=MODAL)

    @app.view("form")
    async def form(ack: Any, view: dict[str, Any]) -> None:
        submitted.append(view["state"]["values"]["name"]["text"]["value"])
        await ack()

    client = AsyncWebClient(token=APP_TOKEN, base_url=slack.api_url)
    handler = AsyncSocketModeHandler(app, APP_TOKEN, web_client=client)
    await handler.connect_async()
    try:
        await slack.command(RELEASER.id, "review")
        message = (await slack.messages())[-1]
        async with slack.page() as page:
            await slack.interact(RELEASER.id, message["ts"], {"type": "button", "block_id": "b", "action_id": "go"})
            modal = await page.modal()
            assert modal["callback_id"] == "form"
            await page.submit(RELEASER.id, {"name": {"text": {"type": "plain_text_input", "value": "1.9.3"}}})
            await page.until(lambda: not page.modals, what="end of the modal")
    finally:
        await handler.close_async()
    assert submitted == ["1.9.3"]
