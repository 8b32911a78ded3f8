"""HTTP mode: only what Slack signed within the last five minutes is read, and each of it is taken once."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.slack.bot import running_bot
from tests.slack.conftest import CHANNEL
from tests.slack.strict import SIGNING_SECRET, StrictSlack, until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORM = "application/x-www-form-urlencoded"
Headers = dict[str, str]


def body(**more: str) -> str:
    fields = {"command": "/release", "text": "ping", "user_id": "U01REL", "channel_id": CHANNEL, "trigger_id": "1"}
    return urlencode({**fields, **more})


async def post(slack: StrictSlack, sent: str | bytes, headers: Mapping[str, str]) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(slack.http, data=sent, headers={"Content-Type": FORM, **headers}) as answer,
    ):
        await answer.read()
        return answer.status


def _with(name: str, value: str) -> Callable[[StrictSlack, str], Headers]:
    return lambda slack, sent: {**slack.signature(sent), name: value}


def _without(name: str) -> Callable[[StrictSlack, str], Headers]:
    return lambda slack, sent: {key: value for key, value in slack.signature(sent).items() if key != name}


FORGED: dict[str, Callable[[StrictSlack, str], Headers]] = {
    "old": lambda slack, sent: slack.signature(sent, age=301),
    "from the future": lambda slack, sent: slack.signature(sent, age=-302),
    "another secret": lambda slack, sent: slack.signature(sent, secret="another"),
    "another body": lambda slack, sent: slack.signature(sent + "&text=abort"),
    "another time": lambda slack, sent: {
        **slack.signature(sent, age=20),
        "X-Slack-Request-Timestamp": str(int(time.time())),
    },
    "no time": _without("X-Slack-Request-Timestamp"),
    "no signature": _without("X-Slack-Signature"),
    "no headers": lambda _slack, _sent: {},
    "empty signature": _with("X-Slack-Signature", ""),
    "another version": lambda slack, sent: {
        **slack.signature(sent),
        "X-Slack-Signature": slack.signature(sent)["X-Slack-Signature"].replace("v0=", "v1="),
    },
    "a time that is none": _with("X-Slack-Request-Timestamp", "now"),
    "no ASCII": _with("X-Slack-Signature", "v0=é"),
}


@pytest.mark.parametrize("how", FORGED)
async def test_what_is_not_signed_by_slack_is_refused_and_not_even_read(slack: StrictSlack, how: str) -> None:
    async with running_bot(slack, mode="http") as bot:
        sent = body()
        assert await post(slack, sent, FORGED[how](slack, sent)) == 401
        assert bot.requests.rows == {}
        assert await post(slack, sent, slack.signature(sent, age=290)) == 200
        await until(lambda: bot.office.done == ["ping"])


@pytest.mark.parametrize(
    "sent",
    [body(ssl_check="1"), "payload=%7B", "{" * 10_000, json.dumps({"type": "url_verification", "challenge": "x"}), b"\xff\xfe"],
)  # fmt: skip
async def test_no_body_gets_around_the_signature(slack: StrictSlack, sent: str | bytes) -> None:
    async with running_bot(slack, mode="http") as bot:
        assert await post(slack, sent, {}) == 401
        assert bot.requests.rows == {}


@pytest.mark.parametrize("sent", ["payload=%7B", "[" * 100_000, "payload=[]", "payload=7", '{"type": 7}', "", "a=b"])
async def test_a_signed_body_that_makes_no_sense_is_answered_and_harms_nobody(slack: StrictSlack, sent: str) -> None:
    async with running_bot(slack, mode="http") as bot:
        assert await post(slack, sent, slack.signature(sent)) in (200, 400)
        assert bot.requests.rows == {}
        await slack.command("U01REL", "ping", channel=CHANNEL)
        await until(lambda: bot.office.done == ["ping"])


async def test_a_captured_request_sent_again_within_the_window_is_taken_once(slack: StrictSlack) -> None:
    async with running_bot(slack, mode="http") as bot:
        sent = body(text="ping once")
        captured = slack.signature(sent)
        assert await asyncio.gather(*(post(slack, sent, captured) for _ in range(5))) == [200] * 5
        await until(lambda: len(bot.requests.done) == 1)
        later = body(text="ping later", trigger_id="2")
        assert await post(slack, later, slack.signature(later)) == 200
        await until(lambda: bot.office.done == ["ping once", "ping later"])


async def test_the_secret_is_in_no_answer(slack: StrictSlack) -> None:
    async with running_bot(slack, mode="http"), aiohttp.ClientSession() as session:
        async with session.post(slack.http, data=body(), headers={"Content-Type": FORM}) as answer:
            said = f"{await answer.text()}{dict(answer.headers)}"
        assert SIGNING_SECRET not in said
