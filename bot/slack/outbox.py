"""The outbox: every message for a channel is a row first, known by its key, then Slack's.

A row says what its message is to look like (``wanted`` counts the changes) and what Slack has of it (``sent``, ``ts``).
Before a message is posted the intent is stored; one whose answer was lost is looked for in Slack by its id, twice, before
it is posted again. So a kill at any moment leaves one message, and a restart edits it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from bot import permit
from bot.domain.errors import Refused, ReleaseError, Unavailable
from bot.domain.world import Posted
from bot.engine import failpoints
from bot.slack.api import SlackBusy, SlackSays
from bot.slack.fit import as_dicts
from bot.slack.pace import Pace, Schedule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from slack_sdk.models.blocks import Block

    from bot.ports import Clock
    from bot.slack.context import Attachment
    from bot.slack.sender import Sender

_log = structlog.get_logger()
_GONE = {"message_not_found", "cant_update_message", "edit_window_closed"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a message is to look like. ``blocks`` are Slack's JSON; see `Outbox.put`."""

    text: str
    blocks: Sequence[Mapping[str, Any]]
    channel: str
    thread_key: str = ""
    thread: str = ""
    broadcast: bool = False
    final: bool = False
    file: Attachment | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A message as it is kept. ``id`` is its first block's block_id in Slack."""

    key: str
    id: str
    wish: Wish
    wanted: int
    sent: int = 0
    ts: str = ""
    intended_at: datetime | None = None  # when posting it was first tried
    created_at: datetime | None = None
    parent_ts: str = ""  # ts of the message of ``thread_key``, once Slack has it
    error: str = ""

    @property
    def thread(self) -> str:
        """The thread that it belongs to, by ts."""
        return self.wish.thread or self.parent_ts

    @property
    def ready(self) -> bool:
        """Whether it can be sent: a reply needs the message that it replies to."""
        return not self.wish.thread_key or bool(self.thread)


class MessageStore(Protocol):
    """Where messages are kept. Every method commits; each raises `Unavailable` when the database does not answer."""

    @property
    def held(self) -> float:
        """Seconds for which a row is this process's after `intend`: what it notes of it later may be ignored."""

    async def put(self, key: str, wish: Wish) -> None:
        """Store what is wanted; nothing changes when it is wanted already. Channel and thread stay those of the first."""

    async def get(self, key: str) -> Row | None:
        """Return the message of that key."""

    async def pending(self) -> Sequence[Row]:
        """Return what Slack has not got yet, oldest first."""

    async def intend(self, key: str) -> Row | None:
        """Note that it is being sent, now, and return it as it was before; None when another process is at it."""

    async def confirm(self, key: str, *, ts: str, sent: int) -> None:
        """Note what Slack has."""

    async def forget(self, key: str) -> None:
        """Note that Slack has it not, for sure: no ts, no intent."""

    async def fail(self, key: str, *, error: str) -> None:
        """Note why Slack does not take it."""


class Bell:
    """Wakes everybody who waits for news, and whoever looked away since ``rung`` was read."""

    def __init__(self) -> None:
        self.rung = 0
        self._event = asyncio.Event()

    def ring(self) -> None:
        """There is something new."""
        self.rung += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, since: int) -> None:
        """Return once it has rung after ``since`` was read."""
        if self.rung == since:
            await self._event.wait()


class Outbox:
    """Writes what is to be seen in Slack, once each, however often the bot is killed."""

    def __init__(
        self, store: MessageStore, sender: Sender, *, channel: str, clock: Clock, pace: Pace | None = None
    ) -> None:
        """``channel`` is the release channel's id."""
        self._store, self._sender, self._channel, self._clock = store, sender, channel, clock
        self._schedule = Schedule(pace or Pace())
        self._news, self._changed = Bell(), Bell()

    async def put(
        self,
        key: str,
        *,
        text: str,
        blocks: Sequence[Block | Mapping[str, Any]] | None = None,
        channel: str = "",
        thread_key: str = "",
        thread: str = "",
        broadcast: bool = False,
        final: bool = False,
        file: Attachment | None = None,
    ) -> None:
        """Say what the message of this key is to look like; returns once that is stored, before Slack has it.

        ``channel`` is an id, empty for the release channel. ``thread_key`` is the key of the message whose thread it
        belongs to (it waits until Slack has that one); ``thread`` a known ts instead. ``broadcast`` shows a reply in
        the channel as well. ``final`` marks a state that nothing follows: it is sent before other edits and at once.
        ``text`` is the fallback that every message has. A file is uploaded once, into the message's thread.
        """
        wish = Wish(text, as_dicts(blocks), channel or self._channel, thread_key, thread, broadcast, final, file)
        await self._store.put(key, wish)
        self._news.ring()

    async def posted(self, key: str) -> Posted | None:
        """Return where Slack has the message of this key, or None while it has not."""
        row = await self._store.get(key)
        return Posted(row.wish.channel, row.ts) if row and row.ts else None

    async def delivered(self, key: str, *, within: float = 120.0) -> Posted:
        """Wait until Slack has the message as wanted; raises `Refused` when Slack does not take it, else `Unavailable`."""
        try:
            async with asyncio.timeout(within):
                while True:
                    rung = self._changed.rung
                    row = await self._store.get(key)
                    if row and row.ts and row.sent >= row.wanted:
                        return await self._sender.where(row)
                    if row and row.error:
                        raise Refused(
                            row.error, hint="Invite me to the channel and check the app's scopes; then retry."
                        )
                    await self._pause(self._changed, rung, self._schedule.pace.poll)
        except TimeoutError as error:
            raise Unavailable(
                f"Slack has not taken the message within {within:g} s.",
                hint="Retry when Slack is back; the message is kept and follows by itself.",
            ) from error

    async def find(self, key: str) -> Posted | None:
        """Look in Slack itself for the message of this key; None when it is not there."""
        row = await self._store.get(key)
        if row is None:
            return None
        ts = await self._sender.locate(row)
        return await self._sender.where(row, ts) if ts else None

    async def run(self) -> None:
        """Send what is wanted, until cancelled. One task a channel; nothing is lost while Slack or the database is away."""
        lanes: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                rung = self._news.rung
                for channel in await self._channels():
                    if channel not in lanes or lanes[channel].done():
                        lanes[channel] = group.create_task(self._lane(channel))
                await self._pause(self._news, rung, self._schedule.pace.poll)

    async def _channels(self) -> list[str]:
        return list(dict.fromkeys(row.wish.channel for row in await self._pending()))

    async def _pending(self) -> Sequence[Row]:
        try:
            return await self._store.pending()
        except Unavailable as error:
            _log.warning("outbox_not_read", why=str(error))
            return ()

    async def _lane(self, channel: str) -> None:
        while True:
            rung = self._news.rung
            rows = [row for row in await self._pending() if row.wish.channel == channel and row.ready]
            if not rows:
                return
            row, wait = self._schedule.next(rows)
            if wait > 0:
                await self._pause(self._news, rung, wait)
            else:
                await self._send(row)

    async def _pause(self, bell: Bell, rung: int, seconds: float) -> None:
        """Wait that long, or until the bell rings again."""
        news = asyncio.ensure_future(bell.wait(rung))
        timer = asyncio.ensure_future(self._clock.sleep(seconds=seconds))
        try:
            await asyncio.wait({news, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            timer.cancel()

    async def _send(self, row: Row) -> None:
        """Send one row, and note what became of it. A row that cannot be sent stands in nobody's way."""
        try:
            await self._deliver(row)
            self._schedule.succeeded(row)
        except SlackBusy as error:
            self._schedule.hold(row, error.retry_after)
            await self._not_posted(row)
        except SlackSays as error:
            await self._refused(row, error)
        except Unavailable as error:
            _log.warning("slack_unreachable", key=row.key, why=str(error))
            self._schedule.back_off(row)
        except Exception as error:  # noqa: BLE001  # a bug with one message must not stop the others
            _log.exception("message_not_sent", key=row.key)
            await self._failed(row, f"A bug of mine keeps this message back: {type(error).__name__}.")
        self._changed.ring()

    async def _deliver(self, seen: Row) -> None:
        """Send what is still to be sent once the row is ours: another replica may have sent it since it was read."""
        until, found = self._until(), ""
        row = await self._store.intend(seen.key)
        if row is None:
            self._schedule.leave(seen)
            return
        if row.sent >= row.wanted:
            await self._store.confirm(row.key, ts=row.ts, sent=row.sent)
            return
        if row.intended_at and not row.ts:
            found = await self._sender.locate(row, twice=True)
            until = self._until()
            if await self._store.intend(row.key) is None:
                return  # looking for it took so long that it is another's now
        await self._write(row, found, until)

    def _until(self) -> float:
        """Return until when, by our own clock, a row will be ours that `MessageStore.intend` is now asked for."""
        return self._clock.monotonic() + self._store.held

    async def _write(self, row: Row, found: str, until: float) -> None:
        with permit.under(partial(_demand, self._clock, until)):
            ts = row.ts or found
            if row.ts:
                await self._sender.edit(row)
            elif not found:
                ts = await self._sender.post(row)
            failpoints.reach("during_post", row.key, *failpoints.begun())
            if found or (not row.ts and self._sender.files(row)):
                await self._store.confirm(row.key, ts=ts, sent=0)  # what it looks like now is not known: edited next
            if not found:
                await self._sender.attach(row, ts)
                await self._store.confirm(row.key, ts=ts, sent=row.wanted)

    async def _refused(self, row: Row, error: SlackSays) -> None:
        if error.code in _GONE and row.ts:
            _log.warning("message_gone", key=row.key, code=error.code)
            await self._guarded(self._store.forget(row.key))
            return
        _log.error("message_refused", key=row.key, why=str(error))
        await self._not_posted(row)
        await self._failed(row, str(error))

    async def _not_posted(self, row: Row) -> None:
        """Slack said no, so a message that was to be posted is not there: it need not be looked for."""
        if not row.ts:
            await self._guarded(self._store.forget(row.key))

    async def _failed(self, row: Row, error: str) -> None:
        self._schedule.refuse(row)
        await self._guarded(self._store.fail(row.key, error=error))

    @staticmethod
    async def _guarded(note: Any) -> None:
        try:
            await note
        except ReleaseError as error:
            _log.warning("outbox_not_written", why=str(error))


def _demand(clock: Clock, until: float, outliving: float = 0.0, /) -> None:
    """Raise unless a row is ours for that long yet: this process may have been stopped while another took it."""
    if until - clock.monotonic() <= outliving:
        raise Unavailable("I was held up for so long that another replica may be sending this.", hint="I look again.")
