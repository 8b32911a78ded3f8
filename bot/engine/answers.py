"""Answers to questions, each within the desk's transaction: the first one counts; of approvals, each that is a voice of its own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import update

from bot.domain.approval import BREAK_GLASS, assess, demand_glass, demand_typed, voice_of
from bot.domain.errors import WrongUse
from bot.domain.policy import demand
from bot.domain.readmodel import Decided
from bot.domain.release import DecisionKind
from bot.engine import approvals
from bot.engine.codec import answer_in, answer_out, plan_in, question_in
from bot.engine.tables import ApprovalRow, DecisionRow, QuestionRow, ReleaseRow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.approval import ApprovalPolicy
    from bot.domain.plan import Plan
    from bot.domain.readmodel import Person
    from bot.domain.release import Answer, Question

Happened = tuple[str, dict[str, object]]  # an event's kind and data


def new_question_id() -> str:
    """Return an id that no other question has."""
    return f"Q{uuid.uuid4().hex[:12]}"


async def taken(
    session: AsyncSession,
    identity: str,
    said: Answer,
    *,
    by: Person,
    source: str,
    demand_rehearsed: Callable[[AsyncSession, Plan], Awaitable[None]],
) -> tuple[QuestionRow, Decided, Happened | None]:
    """Take an answer, or say why it came too late; with the event that it is. A broken glass needs no rehearsal.

    Raises `WrongUse` for a question or an answer that is not offered, `NotAllowed` for who may not give it.
    """
    row = await session.get(QuestionRow, identity)
    if row is None:
        raise WrongUse("That question is not known; nothing was decided.", hint="/release status")
    question = question_in(row.question)
    if question.approval is None or said.kind is not DecisionKind.APPROVE:
        demand(by, said.kind)
    label = next((one.label for one in question.choices if (one.kind, one.value) == (said.kind, said.value)), None)
    if label is None:
        raise WrongUse(f"{said.kind} is no answer to that question; nothing was decided.", hint="/release status")
    release = await session.get(ReleaseRow, row.release, with_for_update=True)
    await session.refresh(row)  # in the runner's order, the release first: nobody waits in a ring
    if release is None:
        raise WrongUse("That release is not known; nothing was decided.", hint="/release history")
    if question.approval is not None and said.kind is DecisionKind.APPROVE:
        if row.closed_at is None and said.value != BREAK_GLASS:
            await demand_rehearsed(session, plan_in(release.plan))
        return row, *await _approved(session, row, release, question, said, by=by, source=source)
    return row, *await _answered(session, row, said, label, source=source)


async def _answered(
    session: AsyncSession, row: QuestionRow, said: Answer, label: str, *, source: str
) -> tuple[Decided, Happened | None]:
    taken = await session.execute(
        update(QuestionRow)
        .where(QuestionRow.id == row.id, QuestionRow.closed_at.is_(None))
        .values(closed_at=said.at, answer=answer_out(said))
        .execution_options(synchronize_session=False)
    )
    effective = bool(getattr(taken, "rowcount", 0))
    session.add(decision(row, said, source=source, effective=effective))
    told = {"question": row.id, "fingerprint": row.fingerprint, **_said(said)}
    if not effective:
        await session.refresh(row)
        return late(row), ("step.answered_late", told)
    counts = Decided(effective=True, sentence=f"Your answer counts: {label.rstrip(' …')}.")
    return counts, ("step.answered", told)


async def _approved(
    session: AsyncSession,
    row: QuestionRow,
    release: ReleaseRow,
    question: Question,
    said: Answer,
    *,
    by: Person,
    source: str,
) -> tuple[Decided, Happened | None]:
    """Write down one yes. Whether it is enough, and what it rests on, the runner looks at right away."""
    policy = question.approval
    if policy is None:
        raise WrongUse("That question collects no approvals.", hint="/release status")
    given = [approvals.approval(one) for one in await approvals.approval_rows(session, row.id, lock=True)]
    if row.closed_at is not None or assess(policy, given, said.at).complete:
        session.add(decision(row, said, source=source, effective=False))
        told = {"question": row.id, "fingerprint": row.fingerprint, **_said(said)}
        late_word = late(row) if row.closed_at else _enough(policy, [one.by for one in given])
        return late_word, ("step.answered_late", told)
    glass = said.value == BREAK_GLASS
    voice = by.slack
    if glass:
        demand_glass(policy, by, reason=said.reason)
    else:
        lent = await approvals.delegations(session, by.slack, now=said.at)
        voice = voice_of(policy, by, starter=release.started_by, given=given, delegations=lent, now=said.at)
    if glass or policy.typed:
        version = str((question.draft or {}).get("version", ""))
        demand_typed((said.form or {}).get("typed"), version)
    session.add(decision(row, said, source=source, effective=True))
    session.add(
        ApprovalRow(
            release=row.release,
            question=row.id,
            by=by.slack,
            voice=voice,
            at=said.at,
            glass=glass,
            reason=said.reason,
        )
    )
    facts = {"question": row.id, "voice": voice, "glass": glass, "reason": said.reason, "fingerprint": row.fingerprint}
    stead = f" You stood in for <@{voice}>." if voice != by.slack else ""
    kind = "approval.broken_glass" if glass else "approval.given"
    return Decided(effective=True, sentence=f"Approved.{stead}"), (kind, facts)


def decision(row: QuestionRow, said: Answer, *, source: str, effective: bool) -> DecisionRow:
    """Make the row that keeps what a person said; ``effective`` is False for what came too late."""
    return DecisionRow(
        release=row.release,
        step=row.step,
        question=row.id,
        kind=said.kind,
        by=said.by,
        at=said.at,
        value=said.value,
        reason=said.reason,
        form=dict(said.form) if said.form else None,
        source=source,
        effective=effective,
    )


def late(row: QuestionRow) -> Decided:
    """Say who answered first, or that this is not asked any more."""
    first = answer_in(row.answer)
    if row.void:
        return Decided(
            effective=False,
            sentence=f"It is asked anew, because {row.void}. Your click changed nothing. → /release status",
        )
    if first is None:
        return Decided(effective=False, sentence="This is not asked any more; nothing was changed. → /release status")
    return Decided(
        effective=False,
        sentence=f"<@{first.by}> has already answered at {_at(first.at)}: {first.kind}. Your click changed nothing.",
    )


def _said(answer: Answer) -> dict[str, object]:
    """Return what was answered, as the log of events keeps it; who and when stand beside it."""
    form = dict(answer.form) if answer.form else None
    return {"kind": answer.kind, "value": answer.value, "reason": answer.reason, "form": form}


def _enough(policy: ApprovalPolicy, people: list[str]) -> Decided:
    names = ", ".join(f"<@{one}>" for one in people)
    return Decided(effective=False, sentence=f"{names} approved this already, which is enough ({policy.count}).")


def _at(when: datetime) -> str:
    return f"<!date^{int(when.timestamp())}^{{time}}|{when:%H:%M} UTC>"
