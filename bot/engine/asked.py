"""What was asked of people about a step, and what they said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from bot.domain.release import StepState
from bot.engine.codec import answer_in
from bot.engine.tables import QuestionRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.engine.tables import StepRow


async def last_question(
    session: AsyncSession, number: int, step: StepRow, *, engine: bool = False
) -> QuestionRow | None:
    """Return the newest question of this attempt, the step's own or the engine's: earlier attempts' answers have lapsed.

    A step that has not begun may have its answer already: the confirmation of the plan.
    """
    attempt = step.attempt + 1 if step.state == StepState.PENDING else step.attempt
    query = (
        select(QuestionRow)
        .where(QuestionRow.release == number, QuestionRow.step == step.key, QuestionRow.attempt == attempt)
        .where(QuestionRow.engine.is_(engine), QuestionRow.purpose == "")
        .order_by(
            QuestionRow.asked_at.desc(),
            QuestionRow.closed_at.is_(None).desc(),
            QuestionRow.closed_at.desc(),
            QuestionRow.id,
        )
    )
    found: Sequence[QuestionRow] = (await session.scalars(query.limit(1))).all()
    return found[0] if found else None


async def typed(session: AsyncSession, number: int, step: StepRow) -> Mapping[str, Any]:
    """Return the forms of a step's answered questions, the newer over the older."""
    query = select(QuestionRow).where(QuestionRow.release == number, QuestionRow.step == step.key)
    query = query.where(QuestionRow.engine.is_(False), QuestionRow.purpose == "", QuestionRow.closed_at.is_not(None))
    found: dict[str, Any] = {}
    for row in await session.scalars(query.order_by(QuestionRow.asked_at, QuestionRow.closed_at)):
        said = answer_in(row.answer)
        found.update(said.form if said and said.form else {})
    return found
