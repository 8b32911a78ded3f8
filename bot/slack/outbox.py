"""The outbox: every message for a channel is a row first, known by its key, then Slack's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slack_sdk.models.blocks import Block

    from bot.domain.world import Posted
    from bot.slack.context import Attachment


class Outbox:
    """Writes what is to be seen in Slack, once each, however often the bot is killed."""

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
        raise NotImplementedError

    async def posted(self, key: str) -> Posted | None:
        """Return where Slack has the message of this key, or None while it has not."""
        raise NotImplementedError
