"""The outbox is killed before and after each of its steps, and restarted: always one message of each key, as wanted."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest

from bot.slack.context import Attachment
from tests.slack.conftest import CHANNEL, OutboxMaker
from tests.slack.memory import Messages
from tests.slack.strict import StrictSlack, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.slack.outbox import Row, Wish

STEPS = 16


class Mortal:
    """A store whose process dies at one of its calls: before or after the database has it."""

    def __init__(self, inner: Messages, *, at: int, after: bool) -> None:
        self.inner, self.left, self.after = inner, at, after
        self.dead = asyncio.Event()

    async def _call(self, call: Callable[[], Awaitable[Any]]) -> Any:
        self.left -= 1
        if self.left == 0 and not self.after:
            await self._die()
        result = await call()
        if self.left == 0:
            await self._die()
        return result

    async def _die(self) -> None:
        self.dead.set()
        await asyncio.Event().wait()

    async def put(self, key: str, wish: Wish) -> None:
        await self.inner.put(key, wish)

    async def get(self, key: str) -> Row | None:
        return await self.inner.get(key)

    async def pending(self) -> Sequence[Row]:
        return await self.inner.pending()

    held = math.inf

    async def intend(self, key: str) -> Row | None:
        row: Row | None = await self._call(lambda: self.inner.intend(key))
        return row

    async def confirm(self, key: str, *, ts: str, sent: int) -> None:
        await self._call(lambda: self.inner.confirm(key, ts=ts, sent=sent))

    async def forget(self, key: str) -> None:
        await self._call(lambda: self.inner.forget(key))

    async def fail(self, key: str, *, error: str) -> None:
        await self._call(lambda: self.inner.fail(key, error=error))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, STEPS + 1))
async def test_a_kill_at_any_moment_leaves_one_message_of_each_key(
    slack: StrictSlack, make_outbox: OutboxMaker, at: int, *, after: bool
) -> None:
    store = Messages()
    mortal: Any = Mortal(store, at=at, after=after)
    async with make_outbox(mortal) as outbox:
        await outbox.put("R1", text="dashboard 1")
        await outbox.put("R1/a", text="detail", thread_key="R1", file=Attachment("log.txt", "lines\n"))
        await outbox.put("R1/b", text="more", thread_key="R1")
        await until(lambda: mortal.dead.is_set() or _settled(store))
        if not mortal.dead.is_set():
            await outbox.put("R1", text="dashboard 2")
            await until(lambda: mortal.dead.is_set() or _settled(store))
    async with make_outbox(store) as outbox:
        await outbox.put("R1", text="dashboard 3", final=True)
        await until(lambda: _settled(store))
    said = [message["text"] for message in slack.messages[CHANNEL] if not message.get("files")]
    files = [message for message in slack.messages[CHANNEL] if message.get("files")]
    assert sorted(said) == ["dashboard 3", "detail", "more"]
    assert len(files) == 1
    assert slack.refused == []


def _settled(store: Messages) -> bool:
    return all(row.sent == row.wanted for row in store.rows.values())
