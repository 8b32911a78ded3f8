"""A release and its environment's lock, step by step: taken where the plan says that it is needed, given back after that.

Every function works in the transaction that begins or ends the step, so no step is done under a lock that is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from bot.domain.errors import Conflict, Held
from bot.domain.phases import WentLive, demand_alone, last_locked, marked, needs_lock
from bot.domain.planning import DEPLOY
from bot.domain.release import FINISHED, ReleaseState, StepState
from bot.engine import audit, locks, waits
from bot.engine.codec import plan_in
from bot.engine.readings import name_of
from bot.engine.tables import LockRow, ReleaseRow, StepRow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.plan import Plan

TAKEN, RELEASED, AWAITED = "lock.taken", "lock.released", "lock.awaited"
PROVED = "prove_live"
_OPEN = tuple(state for state in ReleaseState if state not in FINISHED and state is not ReleaseState.PLANNED)


class Waits(Exception):
    """The step needs the lock, and somebody else has it, comes first, or froze the environment; ``why`` is a sentence."""

    def __init__(self, why: str, *, held: bool) -> None:
        """``held``: there is a line to wait in."""
        super().__init__(why)
        self.why, self.held = why, held


async def enter(
    session: AsyncSession,
    row: ReleaseRow,
    plan: Plan,
    key: str,
    *,
    now: datetime,
    demand_open: Callable[[AsyncSession, Plan], Awaitable[None]],
) -> str:
    """Have the lock for a step exactly if it needs it; returns the kind of event to note, if any. Raises `Waits`."""
    if not marked(plan):
        return ""
    if not needs_lock(plan, key):
        return await leave(session, row, now=now)
    lock = await session.get(LockRow, row.environment, with_for_update=True)
    if lock is not None and lock.release == row.number:
        return ""
    try:
        await demand_open(session, plan)
        await locks.borrow(session, plan, row.number, by=row.started_by, now=now)
    except Conflict as error:
        why = error.message.removesuffix(" Nothing was started.")
        raise Waits(why, held=isinstance(error, Held)) from error
    row.waits = ""
    return TAKEN


async def leave(session: AsyncSession, row: ReleaseRow, *, now: datetime) -> str:
    """Give the lock back, if the release has it; returns the kind of event to note, if any."""
    lock = await session.get(LockRow, row.environment, with_for_update=True)
    if lock is None or lock.release != row.number:
        return ""
    await locks.give_back(session, row, now=now)
    return RELEASED


async def done(session: AsyncSession, row: ReleaseRow, key: str, *, now: datetime) -> str:
    """Give the lock back once the last step that needs it is proved."""
    return await leave(session, row, now=now) if last_locked(plan_in(row.plan), key) else ""


async def wait(session: AsyncSession, row: ReleaseRow, waiting: Waits, *, now: datetime) -> bool:
    """Note why the release waits, and stand in the line under its starter's name; True where it says something new."""
    fresh, row.waits = row.waits != waiting.why, waiting.why
    if waiting.held:
        await waits.join(session, row.environment, person=row.started_by, release=row.number, now=now)
    return fresh


async def stands(session: AsyncSession, row: ReleaseRow, waiting: Waits) -> bool:
    """Tell whether the release has its place in the line, or needs none; who lets a turn go by loses it."""
    line = await waits.waiting(session, row.environment) if waiting.held else ()
    return not waiting.held or any(one.person == row.started_by for one in line)


async def demand_room(session: AsyncSession, plan: Plan) -> None:
    """Raise `Conflict` where another open release works beside the environment's lock, or will."""
    await audit.turn(session)  # of two that start at once, the second sees what the first one began
    query = select(ReleaseRow).where(ReleaseRow.environment == plan.environment, ReleaseRow.state.in_(_OPEN))
    rows = await session.scalars(query.order_by(ReleaseRow.number))
    demand_alone(plan, [(name_of(row.number), plan_in(row.plan)) for row in rows])


async def went_live(session: AsyncSession, row: ReleaseRow) -> tuple[WentLive, ...]:
    """Return what others proved live in the environment since a release was started, oldest first."""
    query = (
        select(ReleaseRow, StepRow.finished_at)
        .join(StepRow, StepRow.release == ReleaseRow.number)
        .where(
            ReleaseRow.environment == row.environment,
            ReleaseRow.number != row.number,
            StepRow.key == PROVED,
            StepRow.state == StepState.DONE,
            StepRow.finished_at > row.created_at,
        )
        .order_by(StepRow.finished_at)
    )
    found = [(name_of(other.number), plan_in(other.plan), at) for other, at in await session.execute(query)]
    return tuple(WentLive(name, plan.version, plan.head, at) for name, plan, at in found if at is not None)


async def touched_at(session: AsyncSession, row: ReleaseRow) -> datetime | None:
    """Return when a release began to change what is live; None where it has not."""
    deploys = [step.key for step in plan_in(row.plan).steps if step.step == DEPLOY]
    query = select(func.min(StepRow.started_at)).where(StepRow.release == row.number, StepRow.key.in_(deploys))
    found: datetime | None = await session.scalar(query)
    return found
