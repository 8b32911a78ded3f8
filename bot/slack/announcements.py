"""`bot.ports.Announcements` over the outbox: the messages that steps post, and look for in Slack itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.domain.world import Posted
    from bot.slack.outbox import Outbox


class SlackAnnouncements:
    """Messages to the release channel. ``prefix`` keeps their keys apart from other messages'."""

    def __init__(self, outbox: Outbox, *, channel: str = "", prefix: str = "say-", within: float = 120.0) -> None:
        """``channel``: empty for the release channel. ``within``: seconds that `post` waits for Slack."""
        self._outbox, self._channel, self._prefix, self._within = outbox, channel, prefix, within

    async def post(self, *, key: str, text: str) -> Posted:
        """Post (or, for a key already posted, edit) and return once Slack has it.

        Raises `Unavailable` when Slack does not take it in time (it is kept, and follows), `Refused` when Slack says no.
        """
        name = self._prefix + key
        await self._outbox.put(name, text=text, channel=self._channel, final=True)
        return await self._outbox.delivered(name, within=self._within)

    async def find(self, *, key: str) -> Posted | None:
        """Look in Slack itself for the message of this key."""
        return await self._outbox.find(self._prefix + key)
