"""Scheduled starts as rows: read, and closed in the very transaction that begins the release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import Conflict, WrongUse
from bot.domain.schedule import OPEN, Scheduled, State
from bot.engine.codec import plan_in
from bot.engine.readings import name_of
from bot.engine.schedule_tables import ScheduledRow

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.schedule import Ticket


async def close(session: AsyncSession, ticket: Ticket, *, release: int, by: str) -> None:
    """Note, in the transaction that begins the release, that it is the one that was scheduled.

    Raises `Conflict` where it has started, was cancelled, or, for one that starts by itself, was postponed meanwhile.
    """
    row = await row_of(session, ticket.id, lock=True)
    demand_open(row)
    if ticket.at is not None and (row.state != State.WAITING or row.at != ticket.at):
        raise Conflict(f"S{row.id} was changed this moment; nothing was started.", hint="/release scheduled")
    row.state, row.release, row.changed = State.STARTED, release, row.changed + 1
    row.decided_by = "" if ticket.at else by


def demand_open(row: ScheduledRow) -> None:
    """Raise `Conflict`, saying what became of it, unless it still waits or asks."""
    if row.state in OPEN:
        return
    started = row.state == State.STARTED and row.release is not None
    what = f"has started as {name_of(row.release or 0)}" if started else f"was cancelled by <@{row.decided_by}>"
    raise Conflict(f"S{row.id} {what}; nothing was changed.", hint="/release status")


async def row_of(session: AsyncSession, number: int, *, lock: bool = False) -> ScheduledRow:
    """Return the row, locked where it is to be changed; raises `WrongUse` for one that is not known."""
    row = await session.get(ScheduledRow, number, with_for_update=lock or None, populate_existing=True)
    if row is None:
        raise WrongUse(f"There is no scheduled start S{number}; nothing was changed.", hint="/release scheduled")
    return row


def scheduled(row: ScheduledRow) -> Scheduled:
    """Read one."""
    return Scheduled(
        id=row.id,
        environment=row.environment,
        state=State(row.state),
        at=row.at,
        zone=row.zone,
        request={**row.request, "channel": row.channel},
        plan=plan_in(row.plan),
        facts=row.facts,
        by=row.by,
        asked=row.asked,
        why=row.why,
        decided_by=row.decided_by,
        release=name_of(row.release) if row.release else "",
        soon=row.soon,
    )
