"""Requests and messages in a real database; two stores on it are two processes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from bot.domain.errors import Unavailable
from bot.engine.store import Store
from bot.slack.context import Attachment
from bot.slack.envelope import Envelope
from bot.slack.outbox import Wish
from bot.slack.quick import open_intake
from bot.slack.store import HELD, KNOWN, SqlIntake, SqlMessages
from bot.slack.tables import metadata
from tests.slack.bot import running_bot
from tests.slack.conftest import CHANNEL
from tests.slack.memory import RealClock
from tests.slack.strict import StrictSlack, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, *, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}") as opened:
        yield opened


def request(number: int = 1) -> Envelope:
    return Envelope(f"cmd-{number}", "command", {"command": "/release", "text": "status", "user_id": "U1"})


def wish(text: str = "hello", **more: Any) -> Wish:
    return Wish(text, [{"type": "divider"}], "C1", **more)


async def test_a_request_is_taken_once_however_often_it_comes_at_once(store: Store, clock: HandClock) -> None:
    intake = SqlIntake(store, clock=clock)
    taken = await asyncio.gather(*(intake.take(request()) for _ in range(5)))
    assert sorted(taken) == [False, False, False, False, True]


async def test_what_a_process_works_on_is_nobody_elses_until_it_is_gone(store: Store, clock: HandClock) -> None:
    store.sqlite = False  # both dialects know the statements that are used
    one, two = (SqlIntake(store, clock=clock) for _ in range(2))
    await one.take(request())
    assert await one.claim() == []
    assert await two.claim() == []
    clock.at += HELD * 0.8
    await one.hold()
    clock.at += HELD * 0.8
    assert await two.claim() == []
    clock.at += HELD
    assert await two.claim() == [(request(), 2)]
    assert await one.claim() == []


async def test_after_a_restart_alone_it_is_picked_up_at_once_and_not_once_finished(
    store: Store, clock: HandClock
) -> None:
    await SqlIntake(store, clock=clock).take(request())
    second = SqlIntake(store, clock=clock)
    assert await second.claim() == [(request(), 2)]
    await second.finish("cmd-1")
    third = SqlIntake(store, clock=clock)
    assert await third.claim() == []
    assert await third.take(request()) is False


async def test_requests_on_sqlite_have_a_file_of_their_own(store: Store, clock: HandClock, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}"
    async with open_intake(url, store, clock=clock) as intake:
        taken = await asyncio.gather(*(intake.take(request()) for _ in range(5)))
        assert sorted(taken) == [False, False, False, False, True]
        assert await intake.claim() == []
    async with open_intake(url, store, clock=clock) as intake:
        assert await intake.claim() == [(request(), 2)]
        await intake.finish("cmd-1")
    async with open_intake(url, store, clock=clock) as intake:
        assert await intake.claim() == []
        assert await intake.take(request()) is False
        clock.at += KNOWN * 1.1
        assert await intake.claim() == []
        assert await intake.take(request()) is True
    with pytest.raises(Unavailable):
        await intake.take(request(2))


async def test_a_request_is_not_kept_waiting_by_another_writer(store: Store, clock: HandClock, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}"
    async with open_intake(url, store, clock=clock) as intake, store.writing() as session:
        await session.execute(text("DELETE FROM messages"))
        async with asyncio.timeout(1):
            assert await intake.take(request())


async def test_a_message_keeps_its_id_and_place_and_counts_its_changes(store: Store, clock: HandClock) -> None:
    messages = SqlMessages(store, clock=clock)
    await messages.put("R1", wish(file=Attachment("log.txt", "lines")))
    first = await messages.get("R1")
    await messages.put("R1", wish(file=Attachment("log.txt", "lines")))
    await messages.put("R1", Wish("changed", [], "C2", thread="9.9", final=True))
    second = await messages.get("R1")
    assert first is not None
    assert second is not None
    assert (first.wanted, second.wanted) == (1, 2)
    assert first.id == second.id
    assert (second.wish.channel, second.wish.thread) == ("C1", "")
    assert first.wish.file == Attachment("log.txt", "lines")
    assert first.created_at == clock.at


async def test_what_slack_has_not_is_pending_in_its_order_with_the_thread_it_belongs_to(
    store: Store, clock: HandClock
) -> None:
    messages = SqlMessages(store, clock=clock)
    for key, under in (("R1", ""), ("R1/a", "R1"), ("R1/b", "R1")):
        await messages.put(key, wish(thread_key=under))
        clock.at += timedelta(seconds=1)
    assert [(row.key, row.ready) for row in await messages.pending()] == [
        ("R1", True),
        ("R1/a", False),
        ("R1/b", False),
    ]
    assert await messages.intend("R1")
    await messages.confirm("R1", ts="17.1", sent=1)
    assert [(row.key, row.thread) for row in await messages.pending()] == [("R1/a", "17.1"), ("R1/b", "17.1")]


async def test_the_first_intent_is_remembered_until_slack_surely_has_it_not(store: Store, clock: HandClock) -> None:
    messages = SqlMessages(store, clock=clock)
    await messages.put("R1", wish())
    started = clock.at
    assert await messages.intend("R1")
    clock.at += timedelta(seconds=5)
    assert await messages.intend("R1")
    row = await messages.get("R1")
    assert row is not None
    assert row.intended_at == started
    await messages.forget("R1")
    row = await messages.get("R1")
    assert row is not None
    assert row.intended_at is None


async def test_two_processes_do_not_send_one_message_at_once(store: Store, clock: HandClock) -> None:
    store.sqlite = False
    one, two = (SqlMessages(store, clock=clock) for _ in range(2))
    await one.put("R1", wish())
    assert await one.intend("R1")
    assert not await two.intend("R1")
    await one.fail("R1", error="not_in_channel")
    assert await two.intend("R1")
    clock.at += HELD * 1.1
    assert await one.intend("R1")


async def test_a_database_that_is_gone_is_unavailable_with_a_hint(store: Store, clock: HandClock) -> None:
    assert store._engine is not None
    async with store._engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
    with pytest.raises(Unavailable) as gone:
        await SqlMessages(store, clock=clock).put("R1", wish())
    assert gone.value.hint
    with pytest.raises(Unavailable):
        await SqlIntake(store, clock=clock).take(request())


async def test_a_message_put_twice_at_once_is_one(store: Store, clock: HandClock) -> None:
    stores = [SqlMessages(store, clock=clock) for _ in range(2)]
    await asyncio.gather(*(one.put("R1", wish(f"text {at}")) for at, one in enumerate(stores)))
    assert len(await stores[0].pending()) == 1


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_a_bot_on_a_real_database_goes_on_where_it_was_killed(
    slack: StrictSlack, store: Store, tmp_path: Path, mode: str
) -> None:
    url, real = f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}", RealClock()
    async with (
        open_intake(url, store, clock=real) as intake,
        running_bot(slack, mode=mode, requests=intake, messages=SqlMessages(store, clock=real)) as bot,
    ):
        bot.office.hold = asyncio.Event()
        slack.trouble.lost["chat.postMessage"] = 1
        await slack.command("U01REL", "ping", channel=CHANNEL, times=2)
        said = await slack.command("U01REL", "say once", channel=CHANNEL, times=2)
        await said.acknowledged(2)
        await until(lambda: slack.messages[CHANNEL] and bot.office.done == ["ping"])
    async with (
        open_intake(url, store, clock=real) as intake,
        running_bot(slack, mode=mode, requests=intake, messages=SqlMessages(store, clock=real)),
    ):
        await until(lambda: [one["text"] for one in slack.whispers] == ["pong"])
        deadline = real.monotonic() + 5
        while await SqlMessages(store, clock=real).pending():
            assert real.monotonic() < deadline
            await asyncio.sleep(0.01)
        assert await intake.claim() == []
    assert [one["text"] for one in slack.messages[CHANNEL]] == ["once"]
