"""What a runner writes of the release that it drives. Every write is fenced: one whose lease was taken over writes nothing."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select, update

from bot.domain.causes import likely
from bot.domain.release import RELEASE_MOVES, STEP_MOVES, ReleaseState, StepState, move_release, move_step
from bot.engine import audit, followed, locks
from bot.engine.approvals import asked_approval
from bot.engine.asked import last_question, typed
from bot.engine.asking import Asking, step_row
from bot.engine.codec import answer_in, plan_in, problem_out
from bot.engine.controls import close_questions
from bot.engine.finishing import conclude, note_debts
from bot.engine.layout import unchanged
from bot.engine.locking import Locking
from bot.engine.readings import measures, name_of, step_rows
from bot.engine.seen import seen_before
from bot.engine.step import Measured
from bot.engine.store import StoreUnavailable
from bot.engine.tables import ReleaseRow, StepRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.plan import Plan
    from bot.domain.readmodel import Problem
    from bot.domain.release import Answer
    from bot.engine.approvals import AskedApproval
    from bot.engine.bell import Bell
    from bot.engine.step import Evidence
    from bot.engine.store import Store
    from bot.ports import Clock

# A paused or stopped release is driven too: the site is watched all the while.
DRIVEN = (ReleaseState.RUNNING, ReleaseState.PAUSED, ReleaseState.STOPPED, ReleaseState.ABORTING)
MARGIN = 0.1  # of a lease, by which the clocks of replicas may differ: that much earlier its holder takes it for lost


class LeaseLost(Exception):
    """Another runner drives this release now; this one must do nothing more."""


@dataclass(frozen=True, slots=True)
class Situation:
    """A release and the first step that is not over, as the database has them this moment."""

    number: int
    environment: str
    state: ReleaseState
    plan: Plan
    created_at: datetime
    outputs: Mapping[str, Mapping[str, Any]]  # by step id
    step: StepRow | None
    fingerprint: str
    answer: Answer | None  # to the step's own question
    cleared: Answer | None  # to the engine's question after an interruption
    approval: AskedApproval | None  # what the engine asked before the effect
    waiting: bool  # another question of this attempt is open
    typed: Mapping[str, Any]  # what people last sent in the forms of this step, at any attempt


async def always_open(_session: AsyncSession, _plan: Plan) -> None:
    """Freeze nothing."""


class Ledger:
    """Claims releases, and keeps the books of those that are claimed."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        owner: str,
        lease: float,
        bell: Bell,
        demand_open: Callable[[AsyncSession, Plan], Awaitable[None]] = always_open,
    ) -> None:
        """``lease`` in seconds: a runner that is silent for that long has lost its releases.

        ``demand_open`` raises while a freeze keeps releases from taking the environment's lock.
        """
        self._demand_open = demand_open
        self._store, self._clock, self._owner, self._bell = store, clock, owner, bell
        self._lease = timedelta(seconds=lease)
        self._claimed_at = 0.0

    async def claim(self, environments: Collection[str], *, but: Collection[int]) -> list[tuple[int, int]]:
        """Take what nobody drives; returns numbers and fencing tokens. ``but``: those that this runner drives already."""
        now, self._claimed_at = self._clock.now(), self._clock.monotonic()
        free = or_(ReleaseRow.lease_owner == "", ReleaseRow.lease_until < now, ReleaseRow.lease_owner == self._owner)
        query = (
            select(ReleaseRow)
            .where(
                ReleaseRow.state.in_(DRIVEN),
                ReleaseRow.environment.in_(environments),
                ReleaseRow.number.not_in(but),
                free,
            )
            .with_for_update(skip_locked=True)
        )
        claimed = []
        async with self._store.writing() as session:
            for row in await session.scalars(query):
                row.lease_owner, row.lease_until, row.fence = self._owner, now + self._lease, row.fence + 1
                claimed.append((row.number, row.fence))
        return claimed

    async def free_all(self) -> None:
        """Take every lease away: only a process that has the database to itself knows that nobody else drives."""
        async with self._store.writing() as session:
            await session.execute(update(ReleaseRow).values(lease_owner="", lease_until=None))

    def book(self, number: int, fence: int) -> Book:
        """Return the books of one claimed release."""
        return Book(self, number, fence)

    @asynccontextmanager
    async def fenced(
        self, number: int, fence: int, *, look: bool = False
    ) -> AsyncIterator[tuple[AsyncSession, ReleaseRow]]:
        """Open a transaction in which the lease is ours; raises `LeaseLost` when it is not.

        One that only looks locks no row: nobody waits for it, and nobody passes a release over for its sake.
        """
        async with self._store.writing() as session:
            row = await session.get(ReleaseRow, number, with_for_update=not look)
            if row is None or row.fence != fence or row.lease_owner != self._owner:
                raise LeaseLost(name_of(number))
            yield session, row

    async def append(
        self, session: AsyncSession, number: int, kind: str, *, step: str = "", data: Mapping[str, Any]
    ) -> None:
        """Add an event."""
        await audit.append(session, release=number, kind=kind, at=self._clock.now(), step=step, data=data)


class Book(Asking, Locking):
    """One claimed release."""

    def __init__(self, ledger: Ledger, number: int, fence: int) -> None:
        """Made by `Ledger.book`."""
        self._ledger, self.number, self._fence = ledger, number, fence
        self._until = ledger._claimed_at + ledger._lease.total_seconds()  # noqa: SLF001  # on our own clock, at the earliest
        self._ends: list[float] = []  # when the effects under way will have ended, on our own clock

    async def demand_open(self, session: AsyncSession, plan: Plan) -> None:
        """Raise `bot.domain.errors.Conflict` while a freeze keeps releases from taking the lock."""
        await self._ledger._demand_open(session, plan)  # noqa: SLF001

    def now(self) -> datetime:
        """Return the time by the ledger's clock."""
        return self._ledger._clock.now()  # noqa: SLF001  # a book is the other half of its ledger

    def _monotonic(self) -> float:
        return self._ledger._clock.monotonic()  # noqa: SLF001

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[tuple[AsyncSession, ReleaseRow]]:
        """Open a fenced transaction that writes nothing."""
        async with self._ledger.fenced(self.number, self._fence, look=True) as (session, row):
            yield session, row

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[tuple[AsyncSession, ReleaseRow]]:
        """Open a fenced transaction, and ring the bell once it is committed."""
        async with self._ledger.fenced(self.number, self._fence) as (session, row):
            yield session, row
        self._ledger._bell.ring()  # noqa: SLF001

    @property
    def left(self) -> float:
        """Seconds for which the lease is ours for sure: nobody else can have taken it before, whatever happened to us."""
        return self._until - self._monotonic() - MARGIN * self._ledger._lease.total_seconds()  # noqa: SLF001

    def demand(self, outliving: float = 0.0, /) -> None:
        """Raise `LeaseLost` unless the lease is ours for that long yet; looks at our own clock alone (`bot.permit`)."""
        if self.left <= outliving:
            raise LeaseLost(
                f"{name_of(self.number)}: {self.left:.1f} s are left of the lease, {outliving:g} are needed"
            )

    @asynccontextmanager
    async def outliving(self, seconds: float, /) -> AsyncIterator[None]:
        """Have the lease last longer than ``seconds`` while the block runs, and no longer than usual after it."""
        end = self._monotonic() + seconds
        self._ends.append(end)
        try:
            if stretched := self.left <= seconds:
                await self.renew()
            yield
        finally:
            self._ends.remove(end)
        if stretched:
            with suppress(StoreUnavailable):  # the heartbeat will
                await self.renew()

    async def renew(self) -> None:
        """Prolong the lease: for its usual time, or beyond the end of what is under way."""
        async with self._prolonged():
            pass

    @asynccontextmanager
    async def _prolonged(self) -> AsyncIterator[tuple[AsyncSession, ReleaseRow]]:
        lease = self._ledger._lease  # noqa: SLF001
        begun = self._monotonic()
        lasting = max(lease, *(timedelta(seconds=end - begun) + 2 * MARGIN * lease for end in (begun, *self._ends)))
        async with self._ledger.fenced(self.number, self._fence) as (session, row):
            row.lease_until = self.now() + lasting
            yield session, row
        self._until = begun + lasting.total_seconds()

    async def let_go(self) -> None:
        """Give the lease back."""
        async with self._ledger.fenced(self.number, self._fence) as (_, row):
            row.lease_owner, row.lease_until = "", None

    async def situation(self) -> Situation:
        """Read how things stand."""
        async with self.looking() as (session, row):
            plan = plan_in(row.plan)
            steps = await step_rows(session, self.number)
            current = next((one for one in steps if one.state not in (StepState.DONE, StepState.SKIPPED)), None)
            asked = await last_question(session, self.number, current) if current else None
            interrupted = await last_question(session, self.number, current, engine=True) if current else None
            done = [one for one in steps if one.state == StepState.DONE]
            return Situation(
                number=self.number,
                environment=row.environment,
                state=ReleaseState(row.state),
                plan=plan,
                created_at=row.created_at,
                outputs={plan.step(one.key).step: one.output or {} for one in done},
                step=current,
                fingerprint=plan.fingerprint,
                approval=await asked_approval(session, self.number, current) if current else None,
                answer=answer_in(asked.answer) if asked else None,
                cleared=answer_in(interrupted.answer) if interrupted else None,
                waiting=any(one is not None and one.closed_at is None for one in (asked, interrupted)),
                typed=await typed(session, self.number, current) if current else {},
            )

    async def begin(self, key: str, *, retry: bool, plan: Plan | None = None) -> bool:
        """Note that a step is in work; a retry raises its attempt, a restart of the bot does not.

        False, and nothing is noted, when a person paused, skipped or aborted it, or changed its ``plan``, since it was looked at.
        Raises `bot.engine.phases.Waits` where the step needs a lock that is not to be had now.
        """
        async with self.writing() as (session, row):
            step = await step_row(session, self.number, key)
            if row.state != ReleaseState.RUNNING or StepState.RUNNING not in STEP_MOVES[StepState(step.state)]:
                return False
            if plan is not None and not unchanged(row, plan):
                return False
            await self.have_lock(session, row, key)
            fresh = step.state == StepState.PENDING or retry
            step.state = StepState.RUNNING
            if not fresh:
                return True
            step.attempt += 1
            step.started_at = step.started_at or self.now()
            step.problem, step.in_effect, step.progress = None, False, ""
            await self._ledger.append(session, row.number, "step.running", step=key, data={"attempt": step.attempt})
            return True

    async def event(self, session: AsyncSession, kind: str, key: str, data: Mapping[str, Any]) -> None:
        """Add an event about a step."""
        await self._ledger.append(session, self.number, kind, step=key, data=data)

    async def entering_effect(self, key: str, plan: Plan | None = None) -> bool:
        """Note that the effect is about to begin, with the lease prolonged: after a crash this says that it may have.

        False, and nothing is noted, when the plan is no longer ``plan``: what was approved may be another one.
        """
        async with self._prolonged() as (session, row):
            if plan is not None and not unchanged(row, plan):
                return False
            step = await step_row(session, self.number, key)
            step.in_effect = True
        self._ledger._bell.ring()  # noqa: SLF001
        return True

    async def progress(self, key: str, text: str, facts: Mapping[str, object]) -> None:
        """Note what a step reports; what it says to owe is kept with the release."""
        async with self.writing() as (session, row):
            step = await step_row(session, self.number, key)
            step.progress = text
            note_debts(row, facts)
            await followed.note(session, row, key, facts, now=self.now())
            await self._ledger.append(session, row.number, "step.progress", step=key, data={"text": text, **facts})

    async def done(self, key: str, evidence: Evidence) -> None:
        """Store the evidence: the step is over."""
        async with self.writing() as (session, row):
            step = await step_row(session, self.number, key)
            conclude(row, step, evidence, at=self.now())
            await followed.note(session, row, key, evidence.facts, now=self.now())
            answered = await last_question(session, self.number, step)
            said = answer_in(answered.answer) if answered else None
            approved = await asked_approval(session, self.number, step)
            said = said or (approved.answer if approved else None)
            step.decided_by = said.by if said else ""
            await close_questions(session, self.number, at=self.now(), step=key)
            await self._ledger.append(session, row.number, "step.done", step=key, data={"summary": evidence.summary})
            await self.lock_done(session, row, key)

    async def failed(self, key: str, problem: Problem, *, usually: Sequence[str] = ()) -> None:
        """Note why the step stopped, with what was behind it before, or ``usually`` is; the release keeps its lock."""
        async with self.writing() as (session, row):
            causes = likely(problem.message, await seen_before(session, row.environment, key), usually)
            problem = replace(problem, causes=causes)
            step = await step_row(session, self.number, key)
            if step.state == StepState.WAITING:
                step.state = StepState.RUNNING
            step.state = move_step(StepState(step.state), StepState.ERROR if problem.ours else StepState.FAILED)
            step.problem, step.in_effect = problem_out(problem), False
            await close_questions(session, self.number, at=self.now(), step=key)
            kind = "step.error" if problem.ours else "step.failed"
            await self._ledger.append(session, row.number, kind, step=key, data=problem_out(problem))
            if row.state != ReleaseState.ABORTING:
                row.state = move_release(ReleaseState(row.state), ReleaseState.STOPPED)
                row.note = f"{key}: {problem.message}"
                await self._ledger.append(session, row.number, "release.stopped", step=key, data={})

    async def end(self, state: ReleaseState) -> bool:
        """Finish the release: its lock and its lease go back, nobody is asked any more.

        False, and nothing is done, when a person paused or aborted it since it was looked at.
        """
        async with self.writing() as (session, row):
            if state not in RELEASE_MOVES[ReleaseState(row.state)]:
                return False
            row.state = state
            row.finished_at, row.lease_owner, row.lease_until = self.now(), "", None
            await close_questions(session, self.number, at=self.now())
            await locks.give_back(session, row, now=self.now())
            await self._ledger.append(session, row.number, f"release.{state}", data={"note": row.note})
            return True

    async def measured(self) -> Measured:
        """Return duration and downtime so far."""
        async with self.looking() as (session, row):
            downtime, unwatched = await measures(session, row, now=self.now())
            return Measured((self.now() - row.created_at).total_seconds(), downtime, unwatched)
