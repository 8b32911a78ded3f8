from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from bot.slack.api import web_client
from bot.slack.outbox import Outbox
from bot.slack.pace import Pace
from bot.slack.sender import Sender
from tests.slack.memory import Messages, RealClock
from tests.slack.strict import BOT_TOKEN, BOT_USER, StrictSlack

CHANNEL, OTHER = "C01DEV", "C02RANDOM"
QUICK = Pace(post=0.02, edit=0.08, edits=0.02, settle=0.02, retry=0.02, longest=0.1, refused=0.3, poll=0.1)


@pytest.fixture
async def slack() -> AsyncIterator[StrictSlack]:
    world = StrictSlack()
    world.channels = {CHANNEL: {BOT_USER, "U01REL", "U02APP", "U03VIEW", "U04APP", "U09STRANGER"}, OTHER: {"U01REL"}}
    async with world.serve():
        yield world


@contextlib.asynccontextmanager
async def running_outbox(slack: StrictSlack, store: Messages, pace: Pace = QUICK) -> AsyncIterator[Outbox]:
    """A bot's outbox, until the bot is killed."""
    clock = RealClock()
    async with web_client(token=BOT_TOKEN, base_url=slack.api) as client:
        outbox = Outbox(store, Sender(client, clock=clock, settle=pace.settle), channel=CHANNEL, clock=clock, pace=pace)
        running = asyncio.create_task(outbox.run())
        try:
            yield outbox
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


OutboxMaker = Callable[..., AbstractAsyncContextManager[Outbox]]


@pytest.fixture
def make_outbox(slack: StrictSlack) -> OutboxMaker:
    def make(store: Messages, pace: Pace = QUICK) -> AbstractAsyncContextManager[Outbox]:
        return running_outbox(slack, store, pace)

    return make
