"""Questions, as the runner writes them: put, waited for, closed, reminded of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import update

from bot.domain.release import StepState, move_step
from bot.engine.answers import new_question_id
from bot.engine.codec import answer_out, question_out
from bot.engine.tables import QuestionRow, StepRow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.release import Answer, Question
    from bot.engine.tables import ReleaseRow


class Asking(Protocol):
    """The part of a release's book that is about questions (`bot.engine.records.Book`)."""

    number: int

    def writing(self) -> AbstractAsyncContextManager[tuple[AsyncSession, ReleaseRow]]:
        """Open a fenced transaction, and ring the bell once it is committed."""

    def now(self) -> datetime:
        """Return the time by the ledger's clock."""

    async def event(self, session: AsyncSession, kind: str, key: str, data: Mapping[str, Any]) -> None:
        """Add an event about a step."""

    async def ask(self, key: str, question: Question, *, engine: bool = False) -> None:
        """Put a question to people; the step waits for its answer."""
        async with self.writing() as (session, row):
            await self.put_question(session, row, key, question, engine=engine)

    async def put_question(
        self,
        session: AsyncSession,
        row: ReleaseRow,
        key: str,
        question: Question,
        *,
        engine: bool = False,
        purpose: str = "",
        fingerprint: str = "",
    ) -> str:
        """Put a question within a transaction, and return its id."""
        step = await self.wait_on(session, key)
        identity = new_question_id()
        session.add(
            QuestionRow(
                id=identity,
                release=self.number,
                step=key,
                attempt=step.attempt,
                question=question_out(question),
                fingerprint=fingerprint or row.fingerprint,
                engine=engine,
                purpose=purpose,
                asked_at=self.now(),
            )
        )
        await self.event(session, "step.asked", key, {"question": identity})
        return identity

    async def wait_on(self, session: AsyncSession, key: str) -> StepRow:
        """Note that the step waits for people."""
        step = await step_row(session, self.number, key)
        step.state = move_step(StepState(step.state), StepState.WAITING)
        return step

    async def close(self, session: AsyncSession, question: str, said: Answer) -> bool:
        """Close a question that enough people have answered; False when it is closed already."""
        taken = await session.execute(
            update(QuestionRow)
            .where(QuestionRow.id == question, QuestionRow.closed_at.is_(None))
            .values(closed_at=self.now(), answer=answer_out(said))
        )
        return bool(getattr(taken, "rowcount", 0))

    async def remind(self, session: AsyncSession, question: str, key: str) -> None:
        """Note that those who must act are reminded."""
        await session.execute(update(QuestionRow).where(QuestionRow.id == question).values(reminded_at=self.now()))
        await self.event(session, "approval.reminded", key, {"question": question})


async def step_row(session: AsyncSession, number: int, key: str) -> StepRow:
    """Read a step, locked."""
    return await session.get_one(StepRow, (number, key), with_for_update=True)
