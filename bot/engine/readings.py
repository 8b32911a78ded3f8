"""From rows to what people may look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from bot.domain.downtime import Span, measured
from bot.domain.edits import NOTE, assigned_name
from bot.domain.errors import WrongUse
from bot.domain.phases import phase
from bot.domain.plan import StepKind
from bot.domain.planning import loose_ends
from bot.domain.readmodel import AskedQuestion, EventView, LockView, OpenQuestion, ReleaseView, StepView
from bot.domain.rehearsal import exempt
from bot.domain.release import ReleaseState, StepState
from bot.engine.approvals import PURPOSE, approvals_of
from bot.engine.codec import answer_in, plan_in, problem_in, question_in
from bot.engine.rehearsal_tables import standing_of
from bot.engine.tables import EventRow, LockRow, OutageRow, QuestionRow, ReleaseRow, StepRow, WatchRow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.approval import Approval
    from bot.domain.plan import Plan
    from bot.domain.rehearsal import Standing


_OVER = frozenset({StepState.DONE, StepState.SKIPPED})


def number_of(release: str) -> int:
    """Return the number in "R7"; raises `WrongUse` for anything else."""
    digits = release[1:] if release[:1].upper() == "R" else ""
    if not digits.isdecimal() or len(digits) > 9:  # noqa: PLR2004  # more than anybody releases; fits every integer column
        raise WrongUse(f"There is no release {release[:40]!r}.", hint="/release history")
    return int(digits)


def name_of(number: int) -> str:
    """Return "R7"."""
    return f"R{number}"


async def release_view(
    session: AsyncSession, number: int, *, now: datetime, skip_of: Callable[[str], str]
) -> ReleaseView:
    """Read one release as it stands; raises `WrongUse` for one that is not there."""
    row = await session.get(ReleaseRow, number)
    if row is None:
        raise WrongUse(f"There is no release {name_of(number)}.", hint="/release history")
    plan = plan_in(row.plan)
    steps = await step_rows(session, number)
    downtime, unwatched = await measures(session, row, now=now)
    return ReleaseView(
        id=name_of(number),
        environment=row.environment,
        state=ReleaseState(row.state),
        plan=plan,
        started_by=row.started_by,
        created_at=row.created_at,
        finished_at=row.finished_at,
        steps=tuple(_step_view(plan, one, skip_of) for one in steps),
        questions=tuple(one.opened for one in await questions(session, number) if one.closed_at is None),
        downtime=downtime,
        unwatched=unwatched,
        note=row.note,
        loose_ends=loose_ends(row.debts),
        channel=row.channel,
        thread=row.thread,
        rolls_back=name_of(row.rolls_back) if row.rolls_back else "",
        phase=phase(plan, next((one.key for one in steps if StepState(one.state) not in _OVER), "")),
        waits=row.waits,
    )


async def step_rows(session: AsyncSession, number: int) -> Sequence[StepRow]:
    """Return the steps of a release in their order."""
    found = await session.scalars(select(StepRow).where(StepRow.release == number).order_by(StepRow.position))
    return found.all()


async def questions(session: AsyncSession, number: int) -> tuple[AskedQuestion, ...]:
    """Return every question of a release, oldest first."""
    query = select(QuestionRow).where(QuestionRow.release == number).order_by(QuestionRow.asked_at, QuestionRow.id)
    given = await approvals_of(session, number)
    rows = (await session.scalars(query)).all()
    rehearsed = None
    if any(one.purpose == PURPOSE and one.closed_at is None for one in rows):
        rehearsed = await _rehearsed(session, number)
    return tuple(asked(one, given.get(one.id, ()), rehearsed) for one in rows)


async def _rehearsed(session: AsyncSession, number: int) -> Standing | None:
    """Return what rehearsals say about a release's plan; a rollback is not rehearsed."""
    row = await session.get(ReleaseRow, number)
    plan = plan_in(row.plan) if row else None
    return await standing_of(session, plan) if plan and not exempt(plan) else None


def asked(row: QuestionRow, given: tuple[Approval, ...] = (), rehearsed: Standing | None = None) -> AskedQuestion:
    """Read one question."""
    shown = rehearsed if row.purpose == PURPOSE else None
    question = question_in(row.question)
    opened = OpenQuestion(row.id, name_of(row.release), row.step, row.asked_at, question, given, shown)
    return AskedQuestion(opened, answer_in(row.answer), row.closed_at, row.void)


async def measures(session: AsyncSession, row: ReleaseRow, *, now: datetime) -> tuple[float | None, float]:
    """Return downtime and unwatched seconds of a release so far (`bot.domain.downtime.measured`)."""
    watched = [
        Span(one.began, one.until)
        for one in await session.scalars(select(WatchRow).where(WatchRow.release == row.number))
    ]
    down = [
        Span(one.began, one.until)
        for one in await session.scalars(select(OutageRow).where(OutageRow.release == row.number))
    ]
    return measured(watched, down, began=row.created_at, until=row.finished_at or now)


def lock_view(row: LockRow) -> LockView:
    """Read one lock."""
    return LockView(row.environment, row.owner, row.reason, row.since, name_of(row.release) if row.release else "")


def event_view(row: EventRow) -> EventView:
    """Read one event."""
    release = name_of(row.release) if row.release else ""
    return EventView(row.id, release, row.step, row.kind, row.at, row.by, row.data)


def _step_view(plan: Plan, row: StepRow, skip_of: Callable[[str], str]) -> StepView:
    planned = plan.step(row.key)
    problem = problem_in(row.problem)
    return StepView(
        key=row.key,
        title=planned.title,
        kind=StepKind(planned.kind),
        state=StepState(row.state),
        skip="never" if problem and problem.unskippable else skip_of(planned.step),
        commands=planned.commands,
        by_hand=planned.by_hand,
        attempt=row.attempt,
        started_at=row.started_at,
        finished_at=row.finished_at,
        summary=row.summary,
        facts=row.facts,
        progress=row.progress,
        problem=problem,
        decided_by=row.decided_by,
        reason=row.reason,
        note=str(planned.params.get(NOTE, "")),
        assignee=assigned_name(planned),
    )
