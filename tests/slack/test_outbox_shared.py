"""Two replicas send from one table: each message once, whoever is faster, held up, or gone."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.errors import Unavailable
from bot.engine.store import Store
from bot.slack.api import web_client
from bot.slack.outbox import Outbox
from bot.slack.sender import Sender
from bot.slack.store import SqlMessages
from tests.slack.conftest import CHANNEL, QUICK
from tests.slack.memory import RealClock
from tests.slack.strict import BOT_TOKEN, StrictSlack, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.slack.outbox import Row

COUNT = 12


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}") as opened:
        opened.sqlite = False  # a row is one process's for a while, as on PostgreSQL; both know the statements
        yield opened


@contextlib.asynccontextmanager
async def replica(slack: StrictSlack, messages: Any, clock: Any = None) -> AsyncIterator[Outbox]:
    clock = clock or RealClock()
    async with web_client(token=BOT_TOKEN, base_url=slack.api) as client:
        sender = Sender(client, clock=RealClock(), settle=QUICK.settle)
        outbox = Outbox(messages, sender, channel=CHANNEL, clock=clock, pace=QUICK)
        running = asyncio.create_task(outbox.run())
        try:
            yield outbox
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def test_two_replicas_send_each_message_once(slack: StrictSlack, store: Store) -> None:
    one, two = (SqlMessages(store, clock=RealClock()) for _ in range(2))
    async with replica(slack, one) as first, replica(slack, two) as second:
        for number in range(COUNT):
            for outbox in (first, second):  # both tell the same
                await outbox.put(f"R{number}", text=f"message {number}")
        await until(lambda: len(slack.messages[CHANNEL]) >= COUNT)
        for number in range(COUNT):
            await first.delivered(f"R{number}", within=20)
    assert sorted(one["text"] for one in slack.messages[CHANNEL]) == sorted(f"message {n}" for n in range(COUNT))


async def test_what_another_replica_sent_since_it_was_read_is_not_sent_again(slack: StrictSlack, store: Store) -> None:
    one, two = (SqlMessages(store, clock=RealClock()) for _ in range(2))
    async with replica(slack, two) as second:
        await second.put("R1", text="hello")
        (stale,) = await one.pending()
        await second.delivered("R1", within=20)
    async with web_client(token=BOT_TOKEN, base_url=slack.api) as client:
        late = Outbox(one, Sender(client, clock=RealClock()), channel=CHANNEL, clock=RealClock())
        await late._deliver(stale)
    assert [message["text"] for message in slack.messages[CHANNEL]] == ["hello"]
    assert await one.pending() == []


class Waking(RealClock):
    """A process's clock that jumps, as after SIGCONT, once the row has been claimed."""

    def __init__(self) -> None:
        self.slept = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.slept


class Stopped(SqlMessages):
    """A store whose process is stopped for a while right after it claimed a row."""

    def __init__(self, store: Store, clock: Waking) -> None:
        super().__init__(store, clock=RealClock())
        self.waking = clock

    async def intend(self, key: str) -> Row | None:
        row = await super().intend(key)
        self.waking.slept += 120
        return row


async def test_a_replica_that_was_stopped_before_it_posted_posts_nothing(slack: StrictSlack, store: Store) -> None:
    clock = Waking()
    messages = Stopped(store, clock)
    await messages.put("R1", _wish())
    (row,) = await messages.pending()
    async with web_client(token=BOT_TOKEN, base_url=slack.api) as client:
        outbox = Outbox(messages, Sender(client, clock=RealClock()), channel=CHANNEL, clock=clock)
        with pytest.raises(Unavailable, match="another replica"):
            await outbox._deliver(row)
    assert slack.messages.get(CHANNEL, []) == []


async def test_who_lost_a_row_notes_nothing_of_it(store: Store) -> None:
    short = timedelta(seconds=0)
    one, two = (SqlMessages(store, clock=RealClock(), held=short) for _ in range(2))
    await one.put("R1", _wish())
    assert await one.intend("R1")
    assert await two.intend("R1"), "one's time is over"
    await one.confirm("R1", ts="1.1", sent=1)
    await one.forget("R1")
    await one.fail("R1", error="gone")
    row = await two.get("R1")
    assert row is not None
    assert (row.ts, row.sent, row.error, row.intended_at is None) == ("", 0, "", False)
    await two.confirm("R1", ts="2.2", sent=1)
    row = await one.get("R1")
    assert row is not None
    assert row.ts == "2.2"


def _wish() -> Any:
    from bot.slack.outbox import Wish

    return Wish("hello", [], CHANNEL)
