"""Who waits for an environment: first come, first served. Whose turn it is has a while to take it, then it is the next one's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.errors import Held

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class Ended(StrEnum):
    """How waiting ended; empty while it has not."""

    NOT = ""
    TAKEN = "taken"
    LEFT = "left"
    RAN_OUT = "ran out"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody waits for an environment. ``told_at``: when they were told that it is free; theirs until ``claim_until``."""

    id: int
    environment: str
    person: str  # Slack id
    asked_at: datetime
    told_at: datetime | None = None
    claim_until: datetime | None = None
    ended: Ended = Ended.NOT

    def over(self, now: datetime) -> bool:
        """Tell whether the time to take it has gone by."""
        return self.claim_until is not None and self.claim_until <= now


def in_line(waiting: Iterable[Waiting], now: datetime) -> tuple[Waiting, ...]:
    """Return those who still wait, the first in front; who let the time go by is out."""
    still = (one for one in waiting if one.ended is Ended.NOT and not one.over(now))
    return tuple(sorted(still, key=lambda one: one.id))


def demand_turn(waiting: Iterable[Waiting], *, environment: str, person: str, now: datetime) -> None:
    """Raise `Held` unless a free environment is this person's to take: nobody waits, or nobody waits before them."""
    line = in_line(waiting, now)
    if not line or line[0].person == person:
        return
    first = line[0]
    raise Held(
        f"{environment} is free, but <@{first.person}> has waited for it since {first.asked_at:%H:%M} UTC and comes first.",
        environment=environment,
        hint="wait for your turn, or ask them to let it pass",
        changed="Nothing.",
    )
