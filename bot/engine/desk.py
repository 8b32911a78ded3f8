"""The engine's front: everything that a command may ask of a release. What people decide becomes a row; the runner acts on it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from bot.domain.errors import WrongUse
from bot.domain.plan import StepKind
from bot.domain.policy import demand, may_decide
from bot.domain.readmodel import Decided
from bot.domain.release import FINISHED, Answer, Choice, DecisionKind, Question, ReleaseState, StepState
from bot.engine import audit, locks, readings
from bot.engine.bell import Bell
from bot.engine.codec import answer_in, answer_out, plan_in, plan_out, question_in, question_out
from bot.engine.controls import Controls
from bot.engine.tables import CursorRow, DecisionRow, EventRow, LockRow, QuestionRow, ReleaseRow, StepRow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.plan import Plan
    from bot.domain.readmodel import AskedQuestion, EventView, LockView, Person, ReleaseView
    from bot.engine.store import Store
    from bot.ports import Clock

OPEN = tuple(state for state in ReleaseState if state not in FINISHED and state is not ReleaseState.PLANNED)


def never(_step: str) -> str:
    """Let nobody skip a step that is not known."""
    return "never"


async def always(_session: AsyncSession, _plan: Plan) -> None:
    """Let every release start."""


class Desk:
    """Every method is one transaction; each raises `bot.engine.store.StoreUnavailable` when the database does not answer."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        skip_of: Callable[[str], str] = never,
        demand_open: Callable[[AsyncSession, Plan], Awaitable[None]] = always,
    ) -> None:
        """``skip_of`` tells who may skip a step, by the step's id; ``demand_open`` raises while no release may start."""
        self._store, self._clock, self._skip_of, self._demand_open = store, clock, skip_of, demand_open
        self.bell = Bell()
        self._controls = Controls(clock, skip_of)

    async def start(self, *, plan: Plan, checklist: str, by: str, channel: str = "", source: str = "") -> ReleaseView:
        """Confirm a plan: the release runs from now on, and holds its environment's lock.

        The confirmation answers the approval that the plan opens with, if it does: nobody is asked the same twice.

        Raises `Conflict` naming who holds the environment, or why and until when it is frozen.
        """
        now = self._clock.now()
        async with self._store.writing() as session:
            await self._demand_open(session, plan)
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
            await locks.borrow(session, plan, row.number, by=by, now=now)
            session.add_all(
                StepRow(release=row.number, key=step.key, position=position, state=StepState.PENDING)
                for position, step in enumerate(plan.steps)
            )
            if plan.steps and plan.steps[0].kind is StepKind.APPROVAL:
                session.add_all(_confirmed(plan, row, by=by, now=now, source=source))
            said = {"version": plan.version, "head": plan.head, "fingerprint": plan.fingerprint}
            await self._event(session, row.number, "release.started", by=by, source=source, data=said)
            number = row.number
        self.bell.ring()
        return await self.release(readings.name_of(number))

    async def answer(
        self,
        *,
        question: str,
        kind: DecisionKind,
        by: Person,
        value: str = "",
        reason: str = "",
        form: Mapping[str, object] | None = None,
        source: str = "",
    ) -> Decided:
        """Answer a question; the first answer counts, and a later one is told whose that was."""
        if not may_decide(by, kind):
            demand(by, kind)
        now = self._clock.now()
        said = Answer(kind, by.slack, now, value, reason, dict(form) if form else None)
        async with self._store.writing() as session:
            row = await session.get(QuestionRow, question)
            if row is None:
                raise WrongUse("That question is not known; nothing was decided.", hint="/release status")
            choices = question_in(row.question).choices
            label = next((one.label for one in choices if (one.kind, one.value) == (kind, value)), None)
            if label is None:
                raise WrongUse(f"{kind} is no answer to that question; nothing was decided.", hint="/release status")
            await session.get(
                ReleaseRow, row.release, with_for_update=True
            )  # in the runner's order: nobody waits in a ring
            taken = await session.execute(
                update(QuestionRow)
                .where(QuestionRow.id == question, QuestionRow.closed_at.is_(None))
                .values(closed_at=now, answer=answer_out(said))
                .execution_options(synchronize_session=False)
            )
            effective = bool(getattr(taken, "rowcount", 0))
            session.add(_decision(row, said, source=source, effective=effective))
            event = "step.answered" if effective else "step.answered_late"
            told = {"question": question, "fingerprint": row.fingerprint, **_said(said)}
            await self._event(session, row.release, event, step=row.step, by=by.slack, source=source, data=told)
            if not effective:
                await session.refresh(row)
        self.bell.ring()
        return (
            Decided(effective=True, sentence=f"Your answer counts: {label.rstrip(' …')}.") if effective else _late(row)
        )

    async def control(
        self, *, release: str, kind: DecisionKind, by: Person, reason: str = "", source: str = ""
    ) -> Decided:
        """Retry, skip, pause, resume or abort. Raises `NotAllowed`, or `Conflict` where the state does not allow it."""
        demand(by, kind)
        async with self._store.writing() as session:
            row = await self._row(session, release, lock=True)
            sentence = await self._controls.apply(session, row, kind, by=by, reason=reason)
            said = Answer(kind, by.slack, self._clock.now(), reason=reason)
            session.add(
                DecisionRow(
                    release=row.number, kind=kind, by=by.slack, at=said.at, reason=reason, source=source, effective=True
                )
            )
            if row.state in FINISHED:
                await locks.give_back(session, row)
            await self._event(
                session, row.number, f"release.{kind}", by=by.slack, source=source, data={"reason": reason}
            )
        self.bell.ring()
        return Decided(effective=True, sentence=sentence)

    async def release(self, release: str, /) -> ReleaseView:
        """Return a release as it stands; raises `WrongUse` for an unknown one."""
        number = readings.number_of(release)
        async with self._store.reading() as session:
            return await readings.release_view(session, number, now=self._clock.now(), skip_of=self._skip_of)

    async def active(self) -> tuple[ReleaseView, ...]:
        """Return every release that is neither finished nor only planned, oldest first."""
        return await self._views(
            select(ReleaseRow.number).where(ReleaseRow.state.in_(OPEN)).order_by(ReleaseRow.number)
        )

    async def history(self, environment: str, *, limit: int) -> tuple[ReleaseView, ...]:
        """Return the newest releases of an environment, the newest first."""
        chosen = select(ReleaseRow.number).where(ReleaseRow.environment == environment)
        return await self._views(chosen.order_by(ReleaseRow.number.desc()).limit(limit))

    async def _views(self, numbers: Any) -> tuple[ReleaseView, ...]:
        now = self._clock.now()
        async with self._store.reading() as session:
            found = (await session.scalars(numbers)).all()
            return tuple([await readings.release_view(session, one, now=now, skip_of=self._skip_of) for one in found])

    async def questions(self, release: str, /) -> tuple[AskedQuestion, ...]:
        """Return every question of a release, oldest first."""
        async with self._store.reading() as session:
            return await readings.questions(session, readings.number_of(release))

    async def events(self, *, after: int, limit: int, release: str = "") -> Sequence[EventView]:
        """Return the events behind a position, oldest first."""
        query = select(EventRow).where(EventRow.id > after).order_by(EventRow.id).limit(limit)
        if release:
            query = query.where(EventRow.release == readings.number_of(release))
        async with self._store.reading() as session:
            return [readings.event_view(one) for one in await session.scalars(query)]

    async def cursor(self, name: str, /) -> int:
        """Return how far a reader of the log has read."""
        async with self._store.reading() as session:
            row = await session.get(CursorRow, name)
            return row.position if row else 0

    async def move_cursor(self, name: str, /, *, to: int) -> None:
        """Note how far a reader of the log has read."""
        async with self._store.writing() as session:
            await session.merge(CursorRow(name=name, position=to))

    async def set_thread(self, release: str, /, *, channel: str, thread: str) -> None:
        """Note where Slack has the dashboard."""
        number = readings.number_of(release)
        async with self._store.writing() as session:
            values = {"channel": channel, "thread": thread}
            await session.execute(update(ReleaseRow).where(ReleaseRow.number == number).values(**values))

    async def last_proved(self, environment: str) -> tuple[str, str] | None:
        """Return commit and version of the last full release that was proved live here, or None."""
        query = (
            select(ReleaseRow)
            .join(StepRow, StepRow.release == ReleaseRow.number)
            .where(ReleaseRow.environment == environment, StepRow.key == "prove_live", StepRow.state == StepState.DONE)
            .order_by(StepRow.finished_at.desc())
        )
        async with self._store.reading() as session:
            for row in await session.scalars(query):
                plan = plan_in(row.plan)
                if not plan.partial:
                    return plan.head, plan.version
        return None

    async def lock(self, environment: str, /, *, by: Person, reason: str, source: str = "") -> LockView:
        """Lock an environment; raises `Conflict` naming who has it. One's own lock gets the new reason."""
        async with self._store.writing() as session:
            row = await locks.take(session, environment, by=by, reason=reason, now=self._clock.now())
            said = {"environment": environment, "reason": reason}
            await self._event(session, None, "lock.taken", by=by.slack, source=source, data=said)
            view = readings.lock_view(row)
        self.bell.ring()
        return view

    async def unlock(self, environment: str, /, *, by: Person, source: str = "") -> None:
        """Take a lock away. Raises `NotAllowed` for somebody else's, `Conflict` where there is none or a release has it."""
        async with self._store.writing() as session:
            await locks.give_up(session, environment, by=by)
            said = {"environment": environment}
            await self._event(session, None, "lock.released", by=by.slack, source=source, data=said)
        self.bell.ring()

    async def lock_of(self, environment: str) -> LockView | None:
        """Return who holds an environment."""
        async with self._store.reading() as session:
            row = await session.get(LockRow, environment)
            return readings.lock_view(row) if row else None

    async def _row(self, session: AsyncSession, release: str, *, lock: bool) -> ReleaseRow:
        row = await session.get(ReleaseRow, readings.number_of(release), with_for_update=lock)
        if row is None:
            raise WrongUse(f"There is no release {release[:40]!r}.", hint="/release history")
        return row

    async def _event(
        self,
        session: AsyncSession,
        release: int | None,
        kind: str,
        *,
        step: str = "",
        by: str = "",
        source: str = "",
        data: Mapping[str, Any],
    ) -> None:
        now = self._clock.now()
        await audit.append(session, release=release, kind=kind, at=now, step=step, by=by, source=source, data=data)


def new_question_id() -> str:
    """Return an id that no other question has."""
    return f"Q{uuid.uuid4().hex[:12]}"


def _confirmed(plan: Plan, row: ReleaseRow, *, by: str, now: datetime, source: str) -> tuple[QuestionRow, DecisionRow]:
    yes = Choice(DecisionKind.APPROVE, "Start")
    question = Question(title=f"Release {plan.version} to {plan.environment}?", detail="", choices=(yes,))
    said = Answer(DecisionKind.APPROVE, by, now)
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
    return asked, _decision(asked, said, source=source, effective=True)


def _said(answer: Answer) -> dict[str, object]:
    """Return what was answered, as the log of events keeps it; who and when stand beside it."""
    form = dict(answer.form) if answer.form else None
    return {"kind": answer.kind, "value": answer.value, "reason": answer.reason, "form": form}


def _decision(row: QuestionRow, said: Answer, *, source: str, effective: bool) -> DecisionRow:
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


def _late(row: QuestionRow) -> Decided:
    first = answer_in(row.answer)
    if first is None:
        return Decided(effective=False, sentence="This is not asked any more; nothing was changed. → /release status")
    when = f"<!date^{int(first.at.timestamp())}^{{time}}|{first.at:%H:%M} UTC>"
    return Decided(
        effective=False,
        sentence=f"<@{first.by}> has already answered at {when}: {first.kind}. Your click changed nothing.",
    )
