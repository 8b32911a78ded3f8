"""Who waits for an environment, as rows. The lock's own transaction asks whose turn it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.domain.queue import Ended, Waiting, demand_turn
from bot.engine.schedule_tables import LockWaitRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession


async def waiting(session: AsyncSession, environment: str) -> tuple[Waiting, ...]:
    """Return those who have not left or taken it, the first in front."""
    query = select(LockWaitRow).where(LockWaitRow.environment == environment, LockWaitRow.ended == Ended.NOT)
    query = query.order_by(LockWaitRow.id).execution_options(populate_existing=True)
    return tuple(wait(row) for row in await session.scalars(query))


async def demand(session: AsyncSession, environment: str, *, person: str, now: datetime) -> None:
    """Raise `bot.domain.errors.Held` unless it is this person's turn to take a free environment."""
    demand_turn(await waiting(session, environment), environment=environment, person=person, now=now)


async def took(session: AsyncSession, environment: str, *, person: str, now: datetime) -> None:
    """Who has the environment waits for it no longer."""
    for one in await waiting(session, environment):
        if one.person == person:
            await end(session, one.id, Ended.TAKEN, now=now)


async def join(
    session: AsyncSession, environment: str, *, person: str, now: datetime, release: int | None = None
) -> bool:
    """Stand at the end of the line; False for who stands there already. ``release``: it waits, under its starter's name."""
    values = {
        "environment": environment,
        "person": person,
        "asked_at": now,
        "ended": "",
        "shown": "",
        "release": release,
    }
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    new = insert(LockWaitRow).values(**values, open_key=f"{environment}:{person}")
    made: Any = await session.execute(new.on_conflict_do_nothing(index_elements=["open_key"]))
    return bool(made.rowcount)


async def leave(session: AsyncSession, release: int, *, now: datetime) -> None:
    """A release waits no longer."""
    query = select(LockWaitRow.id).where(LockWaitRow.release == release, LockWaitRow.ended == Ended.NOT)
    for number in (await session.scalars(query)).all():
        await end(session, number, Ended.LEFT, now=now)


async def end(session: AsyncSession, number: int, how: Ended, *, now: datetime) -> bool:
    """End somebody's waiting, unless it has ended; of several that do, one does."""
    query = update(LockWaitRow).where(LockWaitRow.id == number, LockWaitRow.ended == Ended.NOT)
    done: Any = await session.execute(
        query.values(ended=how, ended_at=now, open_key=None).execution_options(synchronize_session=False)
    )
    return bool(done.rowcount)


def wait(row: LockWaitRow) -> Waiting:
    """Read one."""
    return Waiting(row.id, row.environment, row.person, row.asked_at, row.told_at, row.claim_until, Ended(row.ended))
