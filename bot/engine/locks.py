"""Who holds an environment: a release that runs there, or a person who locked it by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

from bot.domain.errors import Conflict, NotAllowed
from bot.engine.readings import name_of
from bot.engine.tables import LockRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.plan import Plan
    from bot.domain.readmodel import Person
    from bot.engine.tables import ReleaseRow


async def borrow(session: AsyncSession, plan: Plan, number: int, *, by: str, now: datetime) -> None:
    """Take the environment for a release; raises `Conflict` naming who has it. A person's own lock is lent to it."""
    row = await _take(session, plan.environment, owner=by, reason=f"release {plan.version}", now=now, by_hand=False)
    if row.owner != by or row.release is not None:
        raise held(row)
    row.release = number


async def take(session: AsyncSession, environment: str, *, by: Person, reason: str, now: datetime) -> LockRow:
    """Lock an environment by hand; raises `Conflict` naming who has it. One's own lock gets the new reason."""
    row = await _take(session, environment, owner=by.slack, reason=reason, now=now, by_hand=True)
    if row.owner != by.slack:
        raise held(row)
    row.by_hand = True
    row.reason = reason if row.release is None else row.reason
    return row


async def give_up(session: AsyncSession, environment: str, *, by: Person) -> None:
    """Take a lock away. Raises `NotAllowed` for somebody else's, `Conflict` where there is none or a release has it."""
    row = await session.get(LockRow, environment, with_for_update=True)
    if row is None:
        raise Conflict(f"{environment} is not locked; nothing was done.", hint="/release status")
    if row.owner != by.slack and "admin" not in by.roles:
        raise NotAllowed(f"The lock is <@{row.owner}>'s; nothing was done.", hint="ask them, or an admin")
    if row.release is not None:
        raise Conflict(
            f"{name_of(row.release)} holds {environment}; nothing was done.", hint="/release abort, if it must end"
        )
    await session.delete(row)


async def give_back(session: AsyncSession, release: ReleaseRow) -> None:
    """Give the environment back; a person's own lock, which the release had borrowed, stays."""
    row = await session.get(LockRow, release.environment, with_for_update=True)
    if row is None or row.release != release.number:
        return
    if row.by_hand:
        row.release = None
    else:
        await session.delete(row)


async def _take(
    session: AsyncSession, environment: str, *, owner: str, reason: str, now: datetime, by_hand: bool
) -> LockRow:
    """Insert the row unless somebody has it, and return the one that is there, locked: of two at once one is first."""
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    new = insert(LockRow).values(environment=environment, owner=owner, reason=reason, since=now, by_hand=by_hand)
    await session.execute(new.on_conflict_do_nothing(index_elements=["environment"]))
    row = await session.get(LockRow, environment, with_for_update=True, populate_existing=True)
    if row is None:
        raise Conflict(f"{environment} has changed hands this moment; nothing was done.", hint="try again")
    return row


def held(row: LockRow) -> Conflict:
    """Say who holds the environment."""
    if row.release is not None:
        return Conflict(
            f"{row.environment} is held by {name_of(row.release)}, started by <@{row.owner}>.",
            hint="/release status",
            changed="Nothing.",
        )
    return Conflict(
        f"{row.environment} is locked by <@{row.owner}>: {row.reason}", hint="ask them, or an admin", changed="Nothing."
    )
