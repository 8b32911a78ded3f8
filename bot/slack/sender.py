"""What the outbox does in Slack itself: post, edit, upload, and find again what it posted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog

from bot import permit
from bot.domain.errors import Unavailable
from bot.domain.world import Posted
from bot.slack.api import DEADLINE, SlackSays, SlackSilent, told
from bot.slack.context import Attachment
from bot.slack.fit import Fitted, fit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from slack_sdk.web.async_client import AsyncWebClient

    from bot.ports import Clock
    from bot.slack.outbox import Row

_log = structlog.get_logger()
_SKEW = timedelta(minutes=5)  # how far Slack's clock and ours may be apart
_PAGE, _PAGES = 200, 25
_ALT = 1000  # characters of a picture's description
_OK = 200


class Sender:
    """Slack's Web API for rows of the outbox; raises `SlackSilent`, `SlackBusy` and `SlackSays`."""

    def __init__(self, client: AsyncWebClient, *, clock: Clock, settle: float = 2.0) -> None:
        """``settle``: seconds before a message that was not found is looked for a second time."""
        self._client, self._clock, self._settle = client, clock, settle

    async def post(self, row: Row) -> str:
        """Post it and return its ts."""
        fitted = _fitted(row)
        permit.demand(outliving=DEADLINE)
        with told("post a message"):
            answer = await self._client.chat_postMessage(
                channel=row.wish.channel,
                text=fitted.text,
                blocks=fitted.blocks,
                thread_ts=row.thread or None,
                reply_broadcast=True if row.thread and row.wish.broadcast else None,
                metadata={"event_type": "releasebot", "event_payload": {"id": row.id, "key": row.key}},
                unfurl_links=False,
                unfurl_media=False,
            )
        return str(answer["ts"])

    async def edit(self, row: Row) -> None:
        """Make the message look as wanted."""
        fitted = _fitted(row)
        permit.demand(outliving=DEADLINE)
        with told("edit a message"):
            await self._client.chat_update(channel=row.wish.channel, ts=row.ts, text=fitted.text, blocks=fitted.blocks)

    async def where(self, row: Row, ts: str = "") -> Posted:
        """Return where the message is, with its link; without one when Slack does not tell it now."""
        here = ts or row.ts
        try:
            with told("ask for a message's link"):
                answer = await self._client.chat_getPermalink(channel=row.wish.channel, message_ts=here)
        except (SlackSays, Unavailable) as error:
            _log.info("no_permalink", key=row.key, why=str(error))
            return Posted(row.wish.channel, here)
        return Posted(row.wish.channel, here, str(answer["permalink"]))

    async def locate(self, row: Row, *, twice: bool = False) -> str:
        """Return the ts under which Slack has the message of this row's id, or nothing. ``twice``: wait and look again."""
        found = (await self._look(row, row.ts) if row.ts else "") or await self._look(row)
        if not found and twice:
            await self._clock.sleep(seconds=self._settle)
            found = await self._look(row)
        return found

    async def _look(self, row: Row, ts: str = "") -> str:
        async for message in self._messages(row, thread=row.thread, ts=ts):
            first = (message.get("blocks") or [{}])[0]
            mark = ((message.get("metadata") or {}).get("event_payload") or {}).get("id")
            if row.id in (first.get("block_id"), mark):
                return str(message["ts"])
        return ""

    def files(self, row: Row) -> list[Attachment]:
        """Return the files that belong to this state of the message: its own once, and the whole of one that was cut."""
        mine = [row.wish.file] if row.wish.file and row.sent == 0 else []
        rest = _fitted(row).rest
        if rest and (row.sent == 0 or row.wish.final):
            name = "whole-final.txt" if row.wish.final and row.sent else "whole.txt"
            mine.append(Attachment(name, rest, "The whole message"))
        return mine

    async def attach(self, row: Row, ts: str) -> None:
        """Upload the files that are not there yet, known by their names, into the message's thread."""
        files = self.files(row)
        if not files:
            return
        thread = row.thread or ts
        there = {
            str(file.get("name", ""))
            async for message in self._messages(row, thread=thread)
            for file in message.get("files") or []
        }
        for file in files:
            name = f"{row.id}-{file.filename}"
            if name not in there:
                await self._upload(row, file, name, thread)

    async def _upload(self, row: Row, file: Attachment, name: str, thread: str) -> None:
        content = file.data
        described = {"alt_txt": file.alt[:_ALT]} if file.alt else {}
        permit.demand(outliving=DEADLINE)
        with told("upload a file"):
            slot = await self._client.files_getUploadURLExternal(filename=name, length=len(content), **described)
            await self._send(str(slot["upload_url"]), content)
            await self._client.files_completeUploadExternal(
                files=[{"id": slot["file_id"], "title": file.title or file.filename}],
                channel_id=row.wish.channel,
                thread_ts=thread,
            )

    async def _send(self, url: str, content: bytes) -> None:
        timeout = aiohttp.ClientTimeout(total=60)
        session = self._client.session
        if session is None:
            raise SlackSilent("The connection to Slack is closed.", hint="I keep trying.")
        async with session.post(url, data=content, timeout=timeout) as answer:
            if answer.status != _OK:
                raise SlackSilent(f"Slack did not take a file (HTTP {answer.status}).", hint="I keep trying.")

    async def _messages(self, row: Row, *, thread: str, ts: str = "") -> AsyncIterator[Mapping[str, Any]]:
        """Yield what stands in the channel or thread since the message was first wanted, or just what stands at ``ts``."""
        since = row.intended_at or row.created_at
        oldest = f"{(since - _SKEW).timestamp():.6f}" if since else "0"
        span: dict[str, Any] = {"oldest": ts, "latest": ts, "inclusive": True} if ts else {"oldest": oldest}
        for _ in range(_PAGES):
            page = await self._page(row.wish.channel, thread, span)
            for message in page.get("messages") or []:
                yield message
            span["cursor"] = str((page.get("response_metadata") or {}).get("next_cursor") or "")
            if not span["cursor"]:
                return

    async def _page(self, channel: str, thread: str, span: Mapping[str, Any]) -> Mapping[str, Any]:
        with told("read the channel"):
            if thread:
                answer = await self._client.conversations_replies(
                    channel=channel, ts=thread, limit=_PAGE, include_all_metadata=True, **span
                )
            else:
                answer = await self._client.conversations_history(
                    channel=channel, limit=_PAGE, include_all_metadata=True, **span
                )
        return dict(answer.data) if isinstance(answer.data, dict) else {}


def _fitted(row: Row) -> Fitted:
    return fit(row.wish.text, [dict(one) for one in row.wish.blocks], name=row.id)
