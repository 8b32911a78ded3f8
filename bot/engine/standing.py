"""Who stands in for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from bot.domain.approval import Delegation
from bot.engine.tables import DelegationRow

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.readmodel import Person


async def delegated(
    session: AsyncSession,
    of: Person,
    to: Person,
    roles: Collection[str],
    *,
    until: datetime,
    reason: str,
    source: str,
    now: datetime,
) -> Delegation:
    """Write a delegation down; what was said before about the same two people ends."""
    await undelegated(session, of.slack, to.slack, now=now)
    session.add(
        DelegationRow(
            of=of.slack, to=to.slack, roles=sorted(roles), since=now, until=until, reason=reason, source=source
        )
    )
    return Delegation(of.slack, to.slack, frozenset(roles), now, until, reason)


async def undelegated(session: AsyncSession, of: str, to: str, *, now: datetime) -> int:
    """End what stands between two people (``to`` empty: between one and everybody); returns how many there were."""
    query = update(DelegationRow).where(DelegationRow.of == of, DelegationRow.until > now)
    ended = await session.execute((query.where(DelegationRow.to == to) if to else query).values(until=now))
    return int(getattr(ended, "rowcount", 0))
