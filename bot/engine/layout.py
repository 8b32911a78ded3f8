"""The rows of a release's steps follow its plan: in its order, those that an edit left out as skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.edits import left_out
from bot.domain.release import StepState, move_step
from bot.engine.tables import StepRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.plan import Plan, PlannedStep
    from bot.engine.tables import ReleaseRow


def lay_out(session: AsyncSession, number: int, plan: Plan, rows: Sequence[StepRow] = (), *, now: datetime) -> None:
    """Give each step of the plan its row and its place; rows that are there keep how they stand."""
    known: Mapping[str, StepRow] = {row.key: row for row in rows}
    for position, step in enumerate(plan.steps):
        row = known.get(step.key)
        if row is None:
            row = StepRow(release=number, key=step.key, position=position, state=StepState.PENDING)
            session.add(row)
        row.position = position
        _leave_out(row, step, now)


def begun(plan: Plan, rows: Sequence[StepRow]) -> frozenset[str]:
    """Return the keys of the steps that an edit can no longer change; one that an edit left out is none of them."""
    untouched = {row.key for row in rows if row.state == StepState.PENDING}
    return frozenset(row.key for row in rows if row.key not in untouched and not left_out(plan.step(row.key)))


def unchanged(row: ReleaseRow, plan: Plan) -> bool:
    """Tell whether nobody has changed the release's plan since it was read."""
    return len(row.plan.get("edits", ())) == plan.revision


def _leave_out(row: StepRow, step: PlannedStep, now: datetime) -> None:
    if row.state == StepState.PENDING and (said := left_out(step)):
        row.state = move_step(StepState.PENDING, StepState.SKIPPED)
        row.finished_at, (row.decided_by, row.reason) = now, said
