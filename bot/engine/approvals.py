"""Approvals in the database: what was asked, who said yes, and what took it away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from bot.domain.approval import Approval, Delegation, assess, reminder_due
from bot.engine.codec import answer_in, question_in
from bot.engine.tables import ApprovalRow, DelegationRow, QuestionRow, StepRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.approval import ApprovalPolicy
    from bot.domain.release import Answer, Question

PURPOSE = "approval"


@dataclass(frozen=True, slots=True)
class AskedApproval:
    """The newest approval question of the attempt in work. ``fresh``: somebody has approved since the runner looked."""

    question: str
    asked: Question
    policy: ApprovalPolicy
    fingerprint: str
    asked_at: datetime
    reminded_at: datetime | None
    closed: bool
    void: str
    answer: Answer | None
    given: tuple[Approval, ...]
    fresh: bool

    def waits(self, *, now: datetime, every: float, fingerprint: str) -> bool:
        """Tell whether there is nothing for the runner to do about it at this moment."""
        if self.closed or self.fresh or fingerprint != self.fingerprint or assess(self.policy, self.given, now).expired:
            return False
        return not reminder_due(asked_at=self.asked_at, reminded_at=self.reminded_at, every=every, now=now)


async def asked_approval(session: AsyncSession, number: int, step: StepRow) -> AskedApproval | None:
    """Read the newest approval question of this attempt, with the approvals that have not ended."""
    query = (
        select(QuestionRow)
        .where(QuestionRow.release == number, QuestionRow.step == step.key, QuestionRow.attempt == step.attempt)
        .where(QuestionRow.purpose == PURPOSE)
        .order_by(QuestionRow.asked_at.desc(), QuestionRow.closed_at.is_not(None), QuestionRow.id)
    )
    row = await session.scalar(query.limit(1))
    question = question_in(row.question) if row else None
    if row is None or question is None or question.approval is None:
        return None
    rows = await approval_rows(session, row.id)
    return AskedApproval(
        question=row.id,
        asked=question,
        policy=question.approval,
        fingerprint=row.fingerprint,
        asked_at=row.asked_at,
        reminded_at=row.reminded_at,
        closed=row.closed_at is not None,
        void=row.void,
        answer=answer_in(row.answer),
        given=tuple(approval(one) for one in rows),
        fresh=any(not one.looked for one in rows),
    )


async def approval_rows(session: AsyncSession, question: str, *, lock: bool = False) -> Sequence[ApprovalRow]:
    """Return the approvals of a question that have not ended, oldest first."""
    query = select(ApprovalRow).where(ApprovalRow.question == question, ApprovalRow.ended_at.is_(None))
    query = query.order_by(ApprovalRow.id)
    return (await session.scalars(query.with_for_update() if lock else query)).all()


async def approvals_of(session: AsyncSession, number: int) -> Mapping[str, tuple[Approval, ...]]:
    """Return the approvals of a release that count, by question."""
    query = select(ApprovalRow).where(ApprovalRow.release == number, ApprovalRow.ended_at.is_(None))
    found: dict[str, tuple[Approval, ...]] = {}
    for row in await session.scalars(query.order_by(ApprovalRow.id)):
        found[row.question] = (*found.get(row.question, ()), approval(row))
    return found


def approval(row: ApprovalRow) -> Approval:
    """Read one approval."""
    return Approval(row.id, row.by, row.voice, row.at, row.glass, row.reason)


async def looked_at(session: AsyncSession, given: Iterable[Approval]) -> None:
    """Note that what these approvals rest on has been evaluated; one given meanwhile is looked at next."""
    await session.execute(update(ApprovalRow).where(ApprovalRow.id.in_([one.id for one in given])).values(looked=True))


async def void(session: AsyncSession, question: str, why: str, *, at: datetime, keep: Collection[int] = ()) -> None:
    """End the question and its approvals, but those to be kept; each says why."""
    row = await session.get_one(QuestionRow, question, with_for_update=True)
    row.closed_at, row.void = row.closed_at or at, why
    query = update(ApprovalRow).where(ApprovalRow.question == question, ApprovalRow.ended_at.is_(None))
    await session.execute(query.where(ApprovalRow.id.not_in(keep)).values(ended_at=at, ended_why=why))


async def carry(session: AsyncSession, kept: Iterable[int], *, to: str) -> None:
    """Let approvals that still count count for the question that is asked afresh."""
    await session.execute(update(ApprovalRow).where(ApprovalRow.id.in_(list(kept))).values(question=to))


async def delegations(session: AsyncSession, person: str, *, now: datetime) -> tuple[Delegation, ...]:
    """Return for whom a person may approve now, and who may for them, the newest first."""
    query = select(DelegationRow).where((DelegationRow.to == person) | (DelegationRow.of == person))
    rows = await session.scalars(query.where(DelegationRow.until > now).order_by(DelegationRow.id.desc()))
    return tuple(Delegation(one.of, one.to, frozenset(one.roles), one.since, one.until, one.reason) for one in rows)
