"""Who somebody in Slack is to the bot, and what they may do: from the settings alone. Who is not listed may do nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.readmodel import Person

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.settings import PersonSettings


class People:
    """The people of the settings, by Slack id."""

    def __init__(self, people: Iterable[PersonSettings]) -> None:
        self._known = {one.slack: Person(one.slack, one.name, frozenset(one.roles), one.github) for one in people}

    def person(self, slack: str) -> Person:
        """Return who that is; a stranger has no roles, and is named by a mention."""
        return self._known.get(slack) or Person(slack, f"<@{slack}>")

    def with_role(self, role: str) -> tuple[Person, ...]:
        """Return everybody who has the role by name, in the settings' order."""
        return tuple(one for one in self._known.values() if role in one.roles)
