"""A release begins: from a plan that somebody confirmed, or as the rollback of another, whose lock it takes over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from bot.domain.errors import Conflict, WrongUse
from bot.domain.phases import begins_unlocked
from bot.domain.release import FINISHED, Answer, Choice, DecisionKind, Question, ReleaseState, StepState, move_release
from bot.domain.rollback import OFFERED, confirms, touched_live
from bot.engine import followed, locks
from bot.engine.answers import decision, new_question_id
from bot.engine.codec import answer_out, plan_in, plan_out, question_out
from bot.engine.controls import close_questions
from bot.engine.layout import lay_out
from bot.engine.phases import touched_at
from bot.engine.readings import name_of, step_rows
from bot.engine.tables import DecisionRow, LockRow, QuestionRow, ReleaseRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.plan import Plan


async def begin(
    session: AsyncSession,
    plan: Plan,
    *,
    checklist: str,
    by: str,
    channel: str,
    now: datetime,
    source: str = "",
    form: dict[str, object] | None = None,
) -> ReleaseRow:
    """Add the release and its steps. The confirmation answers the approval that the plan opens with."""
    row = ReleaseRow(
        environment=plan.environment,
        state=ReleaseState.RUNNING,
        plan=plan_out(plan),
        fingerprint=plan.fingerprint,
        checklist=checklist,
        started_by=by,
        created_at=now,
        channel=channel,
    )
    session.add(row)
    await session.flush()
    lay_out(session, row.number, plan, now=now)
    if confirms(plan):
        session.add_all(_confirmed(plan, row, by=by, now=now, source=source, form=form))
    return row


async def take_over(
    session: AsyncSession,
    old: ReleaseRow,
    plan: Plan,
    *,
    checklist: str,
    by: str,
    reason: str,
    channel: str,
    source: str,
    now: datetime,
) -> ReleaseRow:
    """Begin the rollback of a release: that one ends if it has not, and gives its lock and its loose ends on.

    Raises `Conflict` while a step of it is in work, when it never touched what is live, or when another came after it.
    """
    await _demand_idle(session, old)
    await _demand_newest(session, old)
    form: dict[str, object] = {"typed": plan.version}
    new = await begin(session, plan, checklist=checklist, by=by, channel=channel, now=now, source=source, form=form)
    new.rolls_back = old.number
    new.debts, old.debts = list(old.debts), []
    await followed.hand_on(session, old.number, new.number)
    lock = await session.get(LockRow, old.environment, with_for_update=True)
    if lock is not None and lock.release == old.number:
        lock.release, lock.reason = new.number, f"rollback of {name_of(old.number)} to {plan.version}"
    else:
        await locks.borrow(session, plan, new.number, by=by, now=now, urgent=True)
    if old.state not in FINISHED:
        old.state = move_release(ReleaseState(old.state), ReleaseState.ABORTED)
        old.finished_at, old.lease_owner, old.lease_until = now, "", None
        old.fence += 1  # whoever drives it does nothing more
        old.note = f"aborted by <@{by}>: {name_of(new.number)} rolls it back to {plan.version}. {reason}"
        await close_questions(session, old.number, at=now)
    session.add(
        DecisionRow(
            release=old.number, kind=DecisionKind.ROLL_BACK, by=by, at=now, reason=reason, source=source, effective=True
        )
    )
    return new


async def _demand_idle(session: AsyncSession, old: ReleaseRow) -> None:
    name, steps = name_of(old.number), await step_rows(session, old.number)
    if old.state not in OFFERED:
        raise Conflict(
            f"{name} is {old.state}: nothing was rolled back.", hint="/release pause, then /release rollback"
        )
    if any(step.state == StepState.RUNNING for step in steps):
        raise Conflict(
            f"A step of {name} is still in work; nothing was rolled back.", hint="wait until it has ended, then again"
        )
    if not touched_live(plan_in(old.plan), {step.key: StepState(step.state) for step in steps}):
        raise Conflict(f"{name} has not deployed anything; nothing was rolled back.", hint="/release abort is enough")


async def _demand_newest(session: AsyncSession, old: ReleaseRow) -> None:
    """Only the last release that touched what is live can be taken back. One beside the lock has not, whatever its number."""
    query = select(ReleaseRow).where(ReleaseRow.environment == old.environment, ReleaseRow.number != old.number)
    touched = await touched_at(session, old)
    for later in await session.scalars(query.order_by(ReleaseRow.number)):
        at = await touched_at(session, later)
        after = at > touched if at and touched else False
        holds = later.state not in FINISHED and later.number > old.number and not begins_unlocked(plan_in(later.plan))
        if after or holds:
            raise Conflict(
                f"{name_of(later.number)} came after {name_of(old.number)}; nothing was rolled back.",
                hint=f"/release rollback {name_of(later.number)}",
            )


def demand_reason(reason: str) -> None:
    """Raise `WrongUse` for a rollback that nobody gives a reason for."""
    if not reason.strip():
        raise WrongUse("Rolling back needs a reason; nothing was done.", hint="/release rollback because …")


def _confirmed(
    plan: Plan, row: ReleaseRow, *, by: str, now: datetime, source: str, form: dict[str, object] | None
) -> tuple[QuestionRow, DecisionRow]:
    yes = Choice(DecisionKind.APPROVE, "Start")
    question = Question(title=f"Release {plan.version} to {plan.environment}?", detail="", choices=(yes,))
    said = Answer(DecisionKind.APPROVE, by, now, form=form)
    asked = QuestionRow(
        id=new_question_id(),
        release=row.number,
        step=plan.steps[0].key,
        attempt=1,
        question=question_out(question),
        fingerprint=row.fingerprint,
        asked_at=now,
        closed_at=now,
        answer=answer_out(said),
    )
    return asked, decision(asked, said, source=source, effective=True)
