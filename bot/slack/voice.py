"""How the bot answers people: in private at once, and for everybody through the outbox."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp

from bot.slack.api import SlackBusy, SlackSays, SlackSilent, told
from bot.slack.fit import as_dicts, fit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slack_sdk.models.blocks import Block
    from slack_sdk.web.async_client import AsyncWebClient

    from bot.slack.context import Attachment, Place
    from bot.slack.outbox import Outbox

_ELSEWHERE = {"not_in_channel", "channel_not_found", "user_not_in_channel"}
_OK = 200
_TRIES = 4


class SlackVoice:
    """Answers over Slack's Web API."""

    def __init__(self, client: AsyncWebClient, outbox: Outbox, *, channel: str) -> None:
        """``channel`` is where somebody is answered whose request came from no channel."""
        self._client, self._outbox, self._channel = client, outbox, channel

    async def whisper(self, *, place: Place, text: str, blocks: Sequence[Block | Mapping[str, Any]] | None) -> None:
        """Say it to one person: by Slack's way back, in the channel, or where the bot is not, as a direct message."""
        fitted = fit(text, as_dicts(blocks), file=False)
        body: dict[str, Any] = {"text": fitted.text} | ({"blocks": fitted.blocks} if blocks else {})
        if place.response_url and not place.thread and await self._sent_back(place.response_url, body):
            return
        await self._patiently(place, body)

    async def _patiently(self, place: Place, body: Mapping[str, Any]) -> None:
        """Try a few times: saying it twice in private does no harm, not answering does."""
        for attempt in range(_TRIES):
            try:
                return await self._say_there(place, body)
            except (SlackBusy, SlackSilent) as error:
                if attempt == _TRIES - 1:
                    raise
                await asyncio.sleep(min(getattr(error, "retry_after", 0.5 * 2**attempt), 30.0))
        return None

    async def _say_there(self, place: Place, body: Mapping[str, Any]) -> None:
        channel = place.channel or self._channel
        try:
            with told("answer you there"):
                await self._client.chat_postEphemeral(
                    channel=channel, user=place.user, thread_ts=place.thread or None, **body
                )
        except SlackSays as error:
            if error.code not in _ELSEWHERE:
                raise
            with told("write to you"):
                await self._client.chat_postMessage(channel=place.user, **body)

    async def _sent_back(self, url: str, body: Mapping[str, Any]) -> bool:
        """Use the response URL; False when it is used up or too old, or does not answer."""
        answer = {"response_type": "ephemeral", "replace_original": False, **body}
        session = self._client.session
        try:
            if session is None:
                return False
            async with session.post(url, json=answer) as response:
                return response.status == _OK
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False  # the way through the Web API is tried next, and says what is wrong

    async def say(
        self,
        *,
        key: str,
        place: Place,
        text: str,
        blocks: Sequence[Block | Mapping[str, Any]] | None,
        file: Attachment | None,
    ) -> None:
        """Say it to everybody there, once for this key."""
        channel = place.channel or self._channel
        await self._outbox.put(key, text=text, blocks=blocks, channel=channel, thread=place.thread, file=file)

    async def open_view(self, *, trigger: str, view: Mapping[str, Any]) -> str:
        """Open a modal and return its id; raises `TriggerExpired` when the 3 s are over or there is no trigger."""
        with told("open the form"):
            answer = await self._client.views_open(trigger_id=trigger or "none", view=dict(view))
        return str(answer["view"]["id"])

    async def update_view(self, *, view_id: str, view: Mapping[str, Any]) -> None:
        """Replace an open modal's contents; one that was closed meanwhile stays closed."""
        try:
            with told("renew the form"):
                await self._client.views_update(view_id=view_id, view=dict(view))
        except SlackSays as error:
            if error.code not in ("not_found", "view_not_found"):
                raise
