"""The people in Slack, and who has an e-mail address. Answers are kept for a while: profiles change seldom, and Slack counts calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.slack.api import SlackSays, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from slack_sdk.web.async_client import AsyncWebClient

    from bot.ports import Clock

_KEPT = 3600.0  # seconds
_PAGE, _PAGES = 200, 5
_SLACKBOT = "USLACKBOT"  # a person by every other mark
_NOBODY = {"users_not_found", "user_not_found"}


@dataclass(slots=True)
class SlackDirectory:
    """Looks people up: https://docs.slack.dev/reference/methods/users.lookupByEmail, users.list, users.info."""

    client: AsyncWebClient
    clock: Clock
    _seen: dict[str, tuple[float, str]] = field(default_factory=dict)  # e-mail → until when, Slack id
    _zones: dict[str, tuple[float, str]] = field(default_factory=dict)  # Slack id → until when, IANA name
    _members: tuple[float, tuple[tuple[str, str], ...]] = (0.0, ())

    async def by_email(self, email: str) -> str:
        """Return the Slack id of who has that e-mail; empty for nobody, or for somebody who has left.

        Raises `Unavailable` when Slack does not answer, `Refused` where the app lacks the scope.
        """
        key = email.strip().lower()
        until, slack = self._seen.get(key, (0.0, ""))
        if self.clock.monotonic() < until:
            return slack
        slack = await self._ask(key)
        self._seen[key] = (self.clock.monotonic() + _KEPT, slack)
        return slack

    async def members(self) -> Sequence[tuple[str, str]]:
        """Return (Slack id, name) of the people here, bots and who has left left out, the first thousand of them.

        Raises as `by_email` does.
        """
        until, known = self._members
        if self.clock.monotonic() >= until:
            known = tuple([one async for one in self._every()])
            self._members = (self.clock.monotonic() + _KEPT, known)
        return known

    async def zone(self, slack: str) -> str:
        """Return the IANA name of somebody's time zone as their profile has it; empty where it has none. Raises as `by_email` does."""
        until, name = self._zones.get(slack, (0.0, ""))
        if self.clock.monotonic() < until:
            return name
        with told("read your time zone"):
            user = (await self.client.users_info(user=slack))["user"]
        name = str(user.get("tz") or "")
        self._zones[slack] = (self.clock.monotonic() + _KEPT, name)
        return name

    async def _every(self) -> AsyncIterator[tuple[str, str]]:
        cursor = ""
        for _ in range(_PAGES):
            with told("list the people here"):
                page = await self.client.users_list(limit=_PAGE, cursor=cursor or None)
            for user in page["members"]:
                if not (user.get("deleted") or user.get("is_bot") or user["id"] == _SLACKBOT):
                    yield str(user["id"]), str(user.get("real_name") or user.get("name") or user["id"])
            cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return

    async def _ask(self, email: str) -> str:
        try:
            with told("look somebody up by e-mail"):
                user = (await self.client.users_lookupByEmail(email=email))["user"]
        except SlackSays as error:
            if error.code in _NOBODY:
                return ""
            raise
        return "" if user.get("deleted") or user.get("is_bot") else str(user["id"])
