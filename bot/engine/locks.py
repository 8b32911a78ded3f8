"""Who holds an environment: a release that runs there, or a person who locked it by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

from bot.domain.errors import Conflict, Held, NotAllowed, WrongUse
from bot.domain.policy import demand_takeable
from bot.engine import waits
from bot.engine.readings import name_of
from bot.engine.tables import LockRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.plan import Plan
    from bot.domain.readmodel import Person
    from bot.engine.tables import ReleaseRow


async def borrow(
    session: AsyncSession, plan: Plan, number: int, *, by: str, now: datetime, urgent: bool = False
) -> None:
    """Take the environment for a release; raises `Held` naming who has it. A person's own lock is lent to it.

    What is ``urgent`` (a rollback) waits behind nobody.
    """
    reason = f"release {plan.version}"
    row = await _take(session, plan.environment, owner=by, reason=reason, now=now, by_hand=False, urgent=urgent)
    if row.owner != by or row.release is not None:
        raise held(row)
    row.release = number


async def take(session: AsyncSession, environment: str, *, by: Person, reason: str, now: datetime) -> LockRow:
    """Lock an environment by hand; raises `Held` naming who has it. One's own lock gets the new reason."""
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


async def take_over(
    session: AsyncSession, environment: str, *, by: Person, reason: str, seen: tuple[str, datetime], now: datetime
) -> LockRow:
    """Make somebody else's lock an admin's own. ``seen``: the owner, and since when, that the admin was shown.

    Raises `NotAllowed` for who is no admin, `WrongUse` without a reason, `Conflict` for what a release has, or what has changed.
    """
    if "admin" not in by.roles:
        raise NotAllowed("Only an admin takes a lock over; nothing was done.", hint="ask its owner, or an admin")
    if not reason.strip():
        raise WrongUse(
            "Taking a lock over needs a reason; nothing was done.", hint=f"/release unlock --take {environment} REASON"
        )
    row = await session.get(LockRow, environment, with_for_update=True, populate_existing=True)
    if row is not None:
        demand_takeable(environment, row.owner, name_of(row.release) if row.release else "", by=by.slack)
    if row is None or (row.owner, row.since) != seen:
        raise Conflict(
            f"{environment} has changed hands since you were shown its lock; nothing was done.",
            hint=f"/release lock {environment} shows who has it",
        )
    row.owner, row.reason, row.since, row.by_hand = by.slack, reason, now, True
    return row


async def give_back(session: AsyncSession, release: ReleaseRow, *, now: datetime) -> None:
    """Give the environment back, or wait for it no longer; a person's own lock, which the release had borrowed, stays."""
    release.waits = ""
    await waits.leave(session, release.number, now=now)
    row = await session.get(LockRow, release.environment, with_for_update=True)
    if row is None or row.release != release.number:
        return
    if row.by_hand:
        row.release = None
    else:
        await session.delete(row)


async def _take(
    session: AsyncSession,
    environment: str,
    *,
    owner: str,
    reason: str,
    now: datetime,
    by_hand: bool,
    urgent: bool = False,
) -> LockRow:
    """Insert the row unless somebody has it, and return the one that is there, locked: of two at once one is first.

    A free environment that others wait for is theirs first.
    """
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    new = insert(LockRow).values(environment=environment, owner=owner, reason=reason, since=now, by_hand=by_hand)
    made: Any = await session.execute(new.on_conflict_do_nothing(index_elements=["environment"]))
    if made.rowcount:
        if not urgent:
            await waits.demand(session, environment, person=owner, now=now)
        await waits.took(session, environment, person=owner, now=now)
    row = await session.get(LockRow, environment, with_for_update=True, populate_existing=True)
    if row is None:
        raise Conflict(f"{environment} has changed hands this moment; nothing was done.", hint="try again")
    return row


def held(row: LockRow) -> Held:
    """Say who holds the environment."""
    if row.release is not None:
        return Held(
            f"{row.environment} is held by {name_of(row.release)}, started by <@{row.owner}>.",
            environment=row.environment,
            hint="/release status",
            changed="Nothing.",
        )
    return Held(
        f"{row.environment} is locked by <@{row.owner}>: {row.reason}",
        environment=row.environment,
        hint="ask them, or an admin",
        changed="Nothing.",
    )
