"""Who somebody in Slack is to the bot, and what they may do: from the settings, by id and by user group. Else nothing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import structlog

from bot.domain.errors import ReleaseError
from bot.domain.readmodel import Person
from bot.slack.api import told

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slack_sdk.web.async_client import AsyncWebClient

    from bot.settings import GroupSettings, PersonSettings

KEPT = 300.0  # seconds that a group's members are believed
FAILED = 15.0  # seconds until a group that Slack did not tell is asked for again
PATIENCE = 1.5  # seconds; a request's form must open within 3
_log = structlog.get_logger()


class Groups(Protocol):
    """Who is in a user group."""

    async def members(self, group: str, /) -> frozenset[str]:
        """Return the Slack ids; raises `ReleaseError` when Slack does not tell."""


class SlackGroups:
    """User groups as Slack has them (usergroups.users.list, scope usergroups:read)."""

    def __init__(self, client: AsyncWebClient) -> None:
        """``client`` carries the bot's token."""
        self._client = client

    async def members(self, group: str, /) -> frozenset[str]:
        """Return the Slack ids of a group's members. A disabled group has none."""
        with told("read who is in a user group"):
            async with asyncio.timeout(PATIENCE):
                answer = await self._client.usergroups_users_list(usergroup=group, include_disabled=False)
        return frozenset(str(one) for one in answer.get("users") or ())


class People:
    """The people of the settings, and the members of its groups. Who is neither has no roles."""

    def __init__(
        self,
        people: Iterable[PersonSettings],
        groups: Iterable[GroupSettings] = (),
        *,
        members: Groups | None = None,
    ) -> None:
        """``members`` is asked for groups; without it they count for nothing."""
        self._known = {one.slack: Person(one.slack, one.name, frozenset(one.roles), one.github) for one in people}
        self._groups = {one.slack: frozenset(one.roles) for one in groups} if members else {}
        self._members = members
        self._kept: dict[str, tuple[float, frozenset[str]]] = {}  # until when, and who
        self._turn = asyncio.Lock()

    async def person(self, slack: str) -> Person:
        """Return who that is, with the roles of their id and of their groups; a stranger has none, and is named by a mention."""
        known = self._known.get(slack) or Person(slack, f"<@{slack}>")
        roles = await self._roles(slack) if slack else frozenset()
        return replace(known, roles=known.roles | roles) if roles else known

    def with_role(self, role: str) -> tuple[Person, ...]:
        """Return everybody who has the role by name, in the settings' order."""
        return tuple(one for one in self._known.values() if role in one.roles)

    async def _roles(self, slack: str) -> frozenset[str]:
        if not self._groups:
            return frozenset()
        async with self._turn:  # one asks, the others read what it was told
            members = await asyncio.gather(*(self._of(group) for group in self._groups))
        return frozenset().union(
            *(roles for roles, inside in zip(self._groups.values(), members, strict=True) if slack in inside)
        )

    async def _of(self, group: str) -> frozenset[str]:
        """Return a group's members; nobody, for a while, when Slack does not tell: what is not known gives no right."""
        until, kept = self._kept.get(group, (0.0, frozenset[str]()))
        if time.monotonic() < until or self._members is None:
            return kept
        lasts, found = KEPT, frozenset[str]()
        try:
            found = await self._members.members(group)
        except ReleaseError as error:
            lasts = FAILED
            _log.warning("group_not_read", group=group, why=error.message, hint=error.hint)
        self._kept[group] = (time.monotonic() + lasts, found)
        return found
