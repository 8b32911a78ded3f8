"""The engine's front: everything that a command may ask of a release. What people decide becomes a row; the runner acts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from bot.domain.approval import demand_typed
from bot.domain.errors import WrongUse
from bot.domain.phases import begins_unlocked
from bot.domain.planning import rolls_back
from bot.domain.policy import demand, demand_delegable
from bot.domain.readmodel import Decided
from bot.domain.release import FINISHED, Answer, DecisionKind
from bot.engine import audit, cursors, locks, phases, readings
from bot.engine.answers import taken
from bot.engine.beginning import begin, demand_reason, take_over
from bot.engine.bell import Bell
from bot.engine.controls import Controls
from bot.engine.looking import Looking
from bot.engine.plans import changed_before
from bot.engine.scheduled import close
from bot.engine.standing import delegated, undelegated
from bot.engine.tables import DecisionRow, ReleaseRow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.approval import Delegation
    from bot.domain.plan import Plan
    from bot.domain.readmodel import LockView, Person, ReleaseView
    from bot.domain.schedule import Ticket
    from bot.engine.cursors import Cursor
    from bot.engine.store import Store
    from bot.ports import Clock


def never(_step: str) -> str:
    """Let nobody skip a step that is not known."""
    return "never"


async def always(_session: AsyncSession, _plan: Plan) -> None:
    """Let every release start, and every approval be given."""


class Desk(Looking):
    """Every method is one transaction; each raises `bot.engine.store.StoreUnavailable` when the database does not answer."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        skip_of: Callable[[str], str] = never,
        demand_open: Callable[[AsyncSession, Plan], Awaitable[None]] = always,
        demand_rehearsed: Callable[[AsyncSession, Plan], Awaitable[None]] = always,
    ) -> None:
        """``skip_of`` tells who may skip a step, by the step's id; ``demand_open`` raises while no release may start.

        ``demand_rehearsed`` raises while the plan lacks the rehearsal that its environment asks for.
        """
        super().__init__(store, clock=clock, skip_of=skip_of)
        self._demand_open, self._demand_rehearsed = demand_open, demand_rehearsed
        self.bell = Bell()
        self._controls = Controls(clock, skip_of)

    async def start(
        self,
        *,
        plan: Plan,
        checklist: str,
        by: str,
        channel: str = "",
        source: str = "",
        scheduled: Ticket | None = None,
    ) -> ReleaseView:
        """Confirm a plan: the release runs from now on, and holds its environment's lock unless the plan takes it later.

        The confirmation answers the approval that the plan opens with, if it does: nobody is asked the same twice.

        ``scheduled``: the start that was scheduled, which this is. Raises `Conflict` naming who holds the environment, or why
        and until when it is frozen.
        """
        now = self._clock.now()
        async with self._store.writing() as session:
            await self._demand_open(session, plan)
            await self._demand_rehearsed(session, plan)
            beside = begins_unlocked(plan)
            if beside:
                await phases.demand_room(session, plan)
            row = await begin(session, plan, checklist=checklist, by=by, channel=channel, now=now, source=source)
            if not beside:
                await locks.borrow(session, plan, row.number, by=by, now=now)
            said = {"version": plan.version, "head": plan.head, "fingerprint": plan.fingerprint}
            if scheduled is not None:
                await close(session, scheduled, release=row.number, by=by)
                said["scheduled"] = f"S{scheduled.id}"
            await self._event(session, row.number, "release.started", by=by, source=source, data=said)
            await changed_before(session, row.number, plan, now=now)
            number = row.number
        self.bell.ring()
        return await self.release(readings.name_of(number))

    async def roll_back(
        self,
        *,
        release: str,
        plan: Plan,
        checklist: str,
        by: Person,
        reason: str,
        typed: str,
        channel: str = "",
        source: str = "",
    ) -> ReleaseView:
        """Confirm a rollback: a release of its own, which takes over the lock of the one that it takes back.

        Raises `WrongUse` unless reason and version are given, `Conflict` when there is nothing to go back from.
        """
        demand(by, DecisionKind.ROLL_BACK)
        demand_reason(reason)
        demand_typed(typed, plan.version)
        if rolls_back(plan) != release:
            raise WrongUse(f"That plan does not roll {release} back; nothing was done.", hint="/release rollback")
        now = self._clock.now()
        async with self._store.writing() as session:
            old = await self._row(session, release, lock=True)
            new = await take_over(
                session,
                old,
                plan,
                checklist=checklist,
                by=by.slack,
                reason=reason,
                channel=channel,
                source=source,
                now=now,
            )
            began = {"version": plan.version, "head": plan.head, "fingerprint": plan.fingerprint, "rolls_back": release}
            number = new.number
            told = {"reason": reason, "by_release": readings.name_of(number), "to": plan.version}
            await self._event(
                session, old.number, f"release.{DecisionKind.ROLL_BACK}", by=by.slack, source=source, data=told
            )
            await self._event(session, number, "release.started", by=by.slack, source=source, data=began)
        self.bell.ring()
        return await self.release(readings.name_of(number))

    async def delegate(
        self, *, of: Person, to: Person, until: datetime, reason: str = "", source: str = ""
    ) -> Delegation:
        """Let somebody approve in one's stead for a while; a new word about the same person replaces the old one."""
        now = self._clock.now()
        roles = demand_delegable(of, to, until=until, now=now)
        async with self._store.writing() as session:
            made = await delegated(session, of, to, roles, until=until, reason=reason, source=source, now=now)
            data = {"to": to.slack, "until": until.isoformat(), "roles": sorted(roles), "reason": reason}
            await self._event(session, None, "delegation.made", by=of.slack, source=source, data=data)
        self.bell.ring()
        return made

    async def end_delegation(self, *, of: Person, to: str) -> int:
        """Take it back; returns how many there were."""
        async with self._store.writing() as session:
            ended = await undelegated(session, of.slack, to, now=self._clock.now())
            if ended:
                await self._event(session, None, "delegation.ended", by=of.slack, data={"to": to})
        self.bell.ring()
        return ended

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
        said = Answer(kind, by.slack, self._clock.now(), value, reason, dict(form) if form else None)
        async with self._store.writing() as session:
            row, decided, happened = await taken(
                session, question, said, by=by, source=source, demand_rehearsed=self._demand_rehearsed
            )
            if happened:
                what, data = happened
                await self._event(session, row.release, what, step=row.step, by=by.slack, source=source, data=data)
        self.bell.ring()
        return decided

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
                await locks.give_back(session, row, now=said.at)
            await self._event(
                session, row.number, f"release.{kind}", by=by.slack, source=source, data={"reason": reason}
            )
        self.bell.ring()
        return Decided(effective=True, sentence=sentence)

    async def move_cursor(self, name: str, /, *, since: Cursor, to: int) -> bool:
        """Note how far a reader of the log has read; False, and nothing noted, when another one did after ``since`` was read."""
        async with self._store.writing() as session:
            return await cursors.move(session, name, since=since, to=to)

    async def set_thread(self, release: str, /, *, channel: str, thread: str) -> None:
        """Note where Slack has the dashboard."""
        number = readings.number_of(release)
        async with self._store.writing() as session:
            values = {"channel": channel, "thread": thread}
            await session.execute(update(ReleaseRow).where(ReleaseRow.number == number).values(**values))

    async def lock(self, environment: str, /, *, by: Person, reason: str, source: str = "") -> LockView:
        """Lock an environment; raises `Conflict` naming who has it. One's own lock gets the new reason."""
        async with self._store.writing() as session:
            row = await locks.take(session, environment, by=by, reason=reason, now=self._clock.now())
            said = {"environment": environment, "reason": reason}
            await self._event(session, None, "lock.taken", by=by.slack, source=source, data=said)
            view = readings.lock_view(row)
        self.bell.ring()
        return view

    async def take_over(
        self, environment: str, /, *, by: Person, reason: str, seen: tuple[str, datetime], source: str = ""
    ) -> LockView:
        """Make somebody else's lock an admin's own; see `bot.engine.locks.take_over`."""
        async with self._store.writing() as session:
            row = await locks.take_over(session, environment, by=by, reason=reason, seen=seen, now=self._clock.now())
            said = {"environment": environment, "reason": reason, "from": seen[0], "held_since": seen[1].isoformat()}
            await self._event(session, None, "lock.taken_over", by=by.slack, source=source, data=said)
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
