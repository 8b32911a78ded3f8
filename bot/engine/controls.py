"""Retry, skip, pause, resume, abort: what each does to a release, in its own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from bot.domain.errors import Conflict, NotAllowed, WrongUse
from bot.domain.policy import demand_skip
from bot.domain.release import FINISHED, DecisionKind, ReleaseState, StepState, move_release, move_step
from bot.engine.codec import plan_in
from bot.engine.readings import name_of
from bot.engine.tables import QuestionRow, StepRow

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.readmodel import Person
    from bot.engine.tables import ReleaseRow
    from bot.ports import Clock

_STUCK = frozenset({StepState.FAILED, StepState.ERROR})
_SKIPPABLE = _STUCK | {StepState.WAITING}


class Controls:
    """Each returns the sentence that the person reads; `Conflict` when the state does not allow it."""

    def __init__(self, clock: Clock, skip_of: Callable[[str], str]) -> None:
        """``skip_of`` tells who may skip a step, by the step's id."""
        self._clock, self._skip_of = clock, skip_of

    async def apply(
        self, session: AsyncSession, row: ReleaseRow, kind: DecisionKind, *, by: Person, reason: str
    ) -> str:
        """Carry out one control on a release that the transaction has locked."""
        if row.state in FINISHED:
            raise Conflict(f"{name_of(row.number)} is {row.state}; nothing was done.", hint="/release history")
        match kind:
            case DecisionKind.RETRY:
                return await self._retry(session, row)
            case DecisionKind.SKIP:
                return await self._skip(session, row, by=by, reason=reason)
            case DecisionKind.PAUSE:
                return self._pause(row, by)
            case DecisionKind.RESUME:
                return self._resume(row)
            case DecisionKind.ABORT:
                return await self._abort(session, row, by=by, reason=reason)
            case DecisionKind.ROLL_BACK:
                raise WrongUse(
                    "A rollback has a plan of its own; nothing was done.",
                    hint=f"/release rollback {name_of(row.number)}",
                )
            case _:
                raise WrongUse(f"{kind} is not something to do to a release.", hint="/release help")

    async def _retry(self, session: AsyncSession, row: ReleaseRow) -> str:
        step = await _current(session, row)
        if row.state != ReleaseState.STOPPED or step is None or step.state not in _STUCK:
            raise Conflict(f"{name_of(row.number)} is {row.state}: there is nothing to retry.", hint="/release status")
        row.state = move_release(ReleaseState(row.state), ReleaseState.RUNNING)
        row.note = ""
        return f"Trying {step.key} again."

    async def _skip(self, session: AsyncSession, row: ReleaseRow, *, by: Person, reason: str) -> str:
        step = await _current(session, row)
        if step is None or step.state not in _SKIPPABLE:
            raise Conflict("The step in work is not waiting for anybody; nothing was skipped.", hint="/release status")
        if not reason.strip():
            raise WrongUse("Skipping needs a reason; nothing was skipped.", hint="/release skip because …")
        if (step.problem or {}).get("unskippable"):
            raise NotAllowed(
                "This failure is never skipped; nothing was done.", hint="mend it and retry, or abort the release"
            )
        demand_skip(by, skip=self._skip_of(plan_in(row.plan).step(step.key).step))
        step.state = move_step(StepState(step.state), StepState.SKIPPED)
        step.finished_at, step.decided_by, step.reason = self._clock.now(), by.slack, reason
        await close_questions(session, row.number, at=self._clock.now(), step=step.key)
        if row.state == ReleaseState.STOPPED:
            row.state, row.note = move_release(ReleaseState(row.state), ReleaseState.RUNNING), ""
        return f"{step.key} is skipped."

    def _pause(self, row: ReleaseRow, by: Person) -> str:
        row.state = move_release(ReleaseState(row.state), ReleaseState.PAUSED)
        row.note = f"paused by <@{by.slack}>"
        return "Paused: the step in work is let finish, and nothing new is begun."

    def _resume(self, row: ReleaseRow) -> str:
        if row.state != ReleaseState.PAUSED:
            raise Conflict(
                f"{name_of(row.number)} is {row.state}, not paused; nothing was done.", hint="/release status"
            )
        row.state, row.note = move_release(ReleaseState(row.state), ReleaseState.RUNNING), ""
        return "Going on."

    async def _abort(self, session: AsyncSession, row: ReleaseRow, *, by: Person, reason: str) -> str:
        if not reason.strip():
            raise WrongUse("Aborting needs a reason; nothing was aborted.", hint="/release abort because …")
        row.note = f"aborted by <@{by.slack}>: {reason}"
        now = self._clock.now()
        if row.lease_owner and row.lease_until and row.lease_until > now and row.state != ReleaseState.ABORTING:
            row.state = move_release(ReleaseState(row.state), ReleaseState.ABORTING)
            return "Aborting: what is in work is being brought to an end."
        if row.state == ReleaseState.ABORTING:
            raise Conflict("It is being aborted already.", hint="/release status")
        row.state = move_release(ReleaseState(row.state), ReleaseState.ABORTED)
        row.finished_at = now
        await close_questions(session, row.number, at=now)
        return "Aborted. What was done stays done; the thread says what is left."


async def close_questions(session: AsyncSession, number: int, *, at: datetime, step: str = "") -> None:
    """Note that nobody need answer any more."""
    query = update(QuestionRow).where(QuestionRow.release == number, QuestionRow.closed_at.is_(None))
    await session.execute((query.where(QuestionRow.step == step) if step else query).values(closed_at=at))


async def _current(session: AsyncSession, row: ReleaseRow) -> StepRow | None:
    over = (StepState.DONE, StepState.SKIPPED)
    query = select(StepRow).where(StepRow.release == row.number, StepRow.state.not_in(over)).order_by(StepRow.position)
    found: StepRow | None = await session.scalar(query.limit(1).with_for_update())
    return found
