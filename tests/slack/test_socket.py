"""Socket Mode: the connection is watched at the connection itself, renewed, rebuilt, or the bot ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.domain.errors import ReleaseError
from bot.slack.api import web_client
from bot.slack.app import bolt_app
from bot.slack.socket import Socket
from tests.slack.bot import running_bot
from tests.slack.conftest import CHANNEL
from tests.slack.strict import APP_TOKEN, BOT_TOKEN, StrictSlack, until


async def answers(slack: StrictSlack) -> None:
    before = len(slack.whispers)
    delivery = await slack.command("U01REL", "ping", channel=CHANNEL)
    await delivery.acknowledged()
    await until(lambda: len(slack.whispers) > before)


async def test_a_connection_that_is_cut_is_rebuilt(slack: StrictSlack) -> None:
    async with running_bot(slack) as bot:
        for number in range(1, 4):
            await until(lambda number=number: slack.connected == number and bot.app.ready)
            await answers(slack)
            await slack.cut()


async def test_a_renewal_opens_the_new_connection_before_the_old_one_ends(slack: StrictSlack) -> None:
    async with running_bot(slack) as bot:
        await until(lambda: slack.sockets)
        old = slack.sockets[0]
        await slack.disconnect("warning")
        await until(lambda: len(slack.sockets) == 2)
        assert not old.closed
        await answers(slack)
        await old.close()
        await answers(slack)
        assert bot.app.ready


async def test_a_connection_that_answers_no_ping_is_left_for_a_new_one(slack: StrictSlack) -> None:
    slack.silent = True
    async with web_client(token=APP_TOKEN, base_url=slack.api) as client:
        running = asyncio.create_task(Socket(_bolt(slack), client, heartbeat=0.2, pause=0.01).run())
        await until(lambda: slack.connected >= 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_while_slack_is_down_it_keeps_trying_and_is_not_ready(slack: StrictSlack) -> None:
    async with running_bot(slack) as bot:
        await until(lambda: bot.app.ready)
        slack.trouble.down = True
        await slack.cut()
        await until(lambda: not bot.app.ready)
        await until(lambda: slack.count("apps.connections.open") >= 3)
        slack.trouble.down = False
        await until(lambda: bot.app.ready)
        await answers(slack)


async def test_a_closed_http_session_does_not_keep_it_from_reconnecting(slack: StrictSlack) -> None:
    async with web_client(token=APP_TOKEN, base_url=slack.api) as client:
        socket = Socket(_bolt(slack), client, pause=0.01)
        running = asyncio.create_task(socket.run())
        await until(lambda: socket.connected)
        for connection in list(socket._live):
            await connection._session.close()
        await until(lambda: slack.connected == 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(("token", "down"), [("xapp-wrong", False), (APP_TOKEN, True)])
async def test_when_there_is_no_hope_it_ends_with_an_error(slack: StrictSlack, token: str, *, down: bool) -> None:
    slack.trouble.down = down
    async with web_client(token=token, base_url=slack.api) as client:
        socket = Socket(_bolt(slack), client, pause=0.01, give_up=0.2)
        with pytest.raises(ExceptionGroup) as ended:
            await asyncio.wait_for(socket.run(), timeout=5)
    assert ended.group_contains(ReleaseError)


def _bolt(slack: StrictSlack) -> Any:
    async def never(payload: Any) -> Any:
        raise AssertionError(payload)

    from slack_sdk.web.async_client import AsyncWebClient

    return bolt_app(AsyncWebClient(token=BOT_TOKEN, base_url=slack.api), "secret", never)
