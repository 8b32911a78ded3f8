"""Scheduled starts: kept, reminded of, started exactly once, or asked about. Slack is given what the row says, after each change.

A start is due once: the transaction that begins the release takes the row from waiting to started, so of several replicas, and
however often one is killed, one release begins. A claim only keeps others from making the same plan at the same moment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.domain.errors import Conflict, ReleaseError, Unavailable, WrongUse
from bot.domain.schedule import (
    OPEN,
    Scheduled,
    State,
    Ticket,
    broken,
    demand_seen,
    demand_starter,
    differences,
    facts_of,
    missed,
)
from bot.engine import audit
from bot.engine.codec import plan_out
from bot.engine.schedule_tables import ScheduledRow
from bot.engine.scheduled import demand_open, row_of, scheduled
from bot.engine.store import StoreUnavailable
from bot.views import schedule as views

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.readmodel import Person
    from bot.domain.report import PreparedPlan
    from bot.engine.authors import Outbox
    from bot.engine.desk import Desk
    from bot.engine.store import Store
    from bot.ports import Clock

_CLAIM = timedelta(minutes=2)  # longer than making a plan takes; when it runs out, another replica looks
_AGAIN = timedelta(seconds=15)  # until a system that did not answer is asked again


@dataclass(slots=True)
class Schedule:
    """What commands and the timer ask of scheduled starts. ``plan`` makes the plan afresh, as `/release start` does.

    ``person`` tells what somebody may do now. ``before``: how long ahead it is reminded of; ``grace``: how late it still starts.
    """

    store: Store
    desk: Desk
    outbox: Outbox
    clock: Clock
    plan: Callable[..., Awaitable[PreparedPlan]]
    person: Callable[[str], Awaitable[Person]]
    before: timedelta
    grace: timedelta

    async def make(
        self,
        prepared: PreparedPlan,
        request: Mapping[str, object],
        *,
        at: datetime,
        zone: str,
        by: Person,
        channel: str,
        source: str,
    ) -> Scheduled:
        """Keep what was confirmed until its time; the same request told again makes no second one."""
        plan, now = prepared.plan, self.clock.now()
        if at <= now:
            raise Conflict("That time is over meanwhile; nothing was scheduled.", hint="/release start --at …")
        values: dict[str, Any] = {
            "environment": plan.environment, "state": State.WAITING, "at": at, "zone": zone, "request": dict(request),
            "plan": plan_out(plan), "facts": facts_of(prepared), "by": by.slack, "channel": channel, "made_at": now,
            "remind_at": self._remind_at(at), "source": source,
        }  # fmt: skip
        insert: Any = sqlite.insert if self.store.sqlite else postgresql.insert
        async with self.store.writing() as session:
            new = insert(ScheduledRow).values(**values).on_conflict_do_nothing(index_elements=["source"])
            made: Any = await session.execute(new)
            row = (await session.scalars(select(ScheduledRow).where(ScheduledRow.source == source))).one()
            if made.rowcount:
                said = {"version": plan.version, "head": plan.head, "fingerprint": plan.fingerprint}
                await self._event(session, "schedule.made", row, by=by.slack, source=source, data=said)
            found = scheduled(row)
        await self.show()
        return found

    async def open_ones(self, environment: str = "") -> tuple[Scheduled, ...]:
        """Return what has neither started nor been cancelled, the next one first."""
        query = select(ScheduledRow).where(ScheduledRow.state.in_(OPEN)).order_by(ScheduledRow.at, ScheduledRow.id)
        if environment:
            query = query.where(ScheduledRow.environment == environment)
        async with self.store.reading() as session:
            return tuple(scheduled(row) for row in await session.scalars(query))

    async def one(self, number: int) -> Scheduled:
        """Return a scheduled start; raises `WrongUse` for one that is not known."""
        async with self.store.reading() as session:
            return scheduled(await row_of(session, number))

    async def cancel(self, number: int, *, by: Person, reason: str = "", source: str = "") -> Scheduled:
        """Start it no more; raises `Conflict` where it has started, or was cancelled."""
        return await self._move(number, "schedule.cancelled", by, source, reason, state=State.CANCELLED)

    async def postpone(self, number: int, *, by: Person, to: datetime | None = None, source: str = "") -> Scheduled:
        """Start it later, by default an hour after its time, or after now; raises `Conflict` as `cancel` does."""
        now = self.clock.now()
        at = to or max((await self.one(number)).at, now) + timedelta(hours=1)
        if at <= now:
            raise WrongUse(
                "That time is over; nothing was changed.", hint="/release scheduled postpone S1 tomorrow 7:00"
            )
        values = {"state": State.WAITING, "at": at, "remind_at": self._remind_at(at), "claimed_until": None, "why": ""}
        return await self._move(number, "schedule.postponed", by, source, "", **values)

    async def turn(self) -> int:
        """Remind of what comes soon, start what is due, and show what has changed; returns how many releases began."""
        now, started = self.clock.now(), 0
        async with self.store.reading() as session:
            waiting = select(ScheduledRow).where(ScheduledRow.state == State.WAITING).order_by(ScheduledRow.at)
            soon = [row.id for row in await session.scalars(waiting.where(ScheduledRow.remind_at <= now))]
            due = [scheduled(row) for row in await session.scalars(waiting.where(ScheduledRow.at <= now))]
        for number in soon:
            await self._remind(number)
        for one in due:
            if await self._claim(one):
                started += await self._begin(one)
        await self.show()
        return started

    async def show(self) -> None:
        """Put what has changed into the outbox, then note that; what is shown twice looks the same."""
        async with self.store.reading() as session:
            query = select(ScheduledRow).where(ScheduledRow.shown < ScheduledRow.changed).order_by(ScheduledRow.id)
            rows = [(scheduled(row), row.changed) for row in await session.scalars(query)]
        for one, changed in rows:
            for key, message in views.messages(one):
                await self.outbox.put(key, text=message.text, blocks=message.blocks)
            async with self.store.writing() as session:
                await session.execute(update(ScheduledRow).where(ScheduledRow.id == one.id).values(shown=changed))

    def _remind_at(self, at: datetime) -> datetime | None:
        """Return when to remind of it; None when that is no time to come."""
        wanted = at - self.before
        return wanted if self.before and wanted > self.clock.now() else None

    async def _remind(self, number: int) -> None:
        now = self.clock.now()
        async with self.store.writing() as session:
            row = await session.get(ScheduledRow, number, with_for_update=True)
            if row is None or row.state != State.WAITING or row.remind_at is None or row.remind_at > now:
                return
            row.remind_at, row.changed = None, row.changed + 1
            row.soon = int(row.at.timestamp()) if row.at > now else row.soon
            await self._event(session, "schedule.reminded", row)

    async def _claim(self, one: Scheduled) -> bool:
        """Keep other replicas from looking at it for a while."""
        now = self.clock.now()
        free = ScheduledRow.claimed_until.is_(None) | (ScheduledRow.claimed_until <= now)
        query = update(ScheduledRow).where(ScheduledRow.id == one.id, ScheduledRow.state == State.WAITING, free)
        async with self.store.writing() as session:
            done: Any = await session.execute(query.values(claimed_until=now + _CLAIM))
            return bool(done.rowcount)

    async def _begin(self, one: Scheduled) -> int:
        """Look at everything again; start the release, or ask and say why. What does not answer is asked again for a while."""
        if missed(one.at, self.clock.now(), self.grace):
            await self._ask(
                one, "I could not look at it when its time came, and that is too long ago to start unasked."
            )
            return 0
        try:
            await self._start(one)
        except StoreUnavailable:
            raise
        except Unavailable as error:
            if missed(one.at, self.clock.now() + _AGAIN, self.grace):
                await self._ask(one, _sentence(error))
            else:
                await self._free(one)
            return 0
        except ReleaseError as error:
            await self._ask(one, _sentence(error))
            return 0
        return 1

    async def _start(self, one: Scheduled) -> None:
        """Begin the very release that was confirmed; raises `ReleaseError` saying what speaks against it."""
        demand_starter(await self.person(one.by))
        wanted = {name: one.request.get(name) for name in ("hotfix", "only", "strategy")}
        wanted["draft"] = one.request.get("draft", "")
        prepared = await self.plan(environment=one.environment, version=one.plan.version, afresh=False, **wanted)
        demand_seen(prepared.report)
        news = [*differences(one.facts, facts_of(prepared)), *broken(prepared.report)]
        if news:
            raise Conflict(f"Since it was scheduled this has changed: {'; '.join(news)}.")
        plan = replace(prepared.plan, recommended=one.plan.recommended, because=one.plan.because)
        await self.desk.start(
            plan=plan,
            checklist=prepared.checklist,
            by=one.by,
            channel=str(one.request.get("channel", "")),
            source=f"schedule {one.name}",
            scheduled=Ticket(one.id, one.at),
        )

    async def _ask(self, one: Scheduled, why: str) -> None:
        """Note that it does not start by itself; nothing where somebody has decided meanwhile."""
        async with self.store.writing() as session:
            row = await row_of(session, one.id, lock=True)
            if row.state != State.WAITING or row.at != one.at:
                return
            row.state, row.why, row.asked, row.claimed_until = State.ASKING, why, row.asked + 1, None
            row.changed += 1
            await self._event(session, "schedule.asked", row, data={"why": why})

    async def _free(self, one: Scheduled) -> None:
        async with self.store.writing() as session:
            query = update(ScheduledRow).where(ScheduledRow.id == one.id, ScheduledRow.state == State.WAITING)
            await session.execute(query.values(claimed_until=self.clock.now() + _AGAIN))

    async def _move(self, number: int, kind: str, by: Person, source: str, reason: str, **values: Any) -> Scheduled:
        async with self.store.writing() as session:
            row = await row_of(session, number, lock=True)
            demand_open(row)
            for name, value in values.items():
                setattr(row, name, value)
            row.decided_by, row.changed = by.slack, row.changed + 1
            data = {"at": row.at.isoformat(), "reason": reason}
            await self._event(session, kind, row, by=by.slack, source=source, data=data)
            found = scheduled(row)
        await self.show()
        return found

    async def _event(
        self,
        session: AsyncSession,
        kind: str,
        row: ScheduledRow,
        *,
        by: str = "",
        source: str = "",
        data: Mapping[str, object] | None = None,
    ) -> None:
        said = {"scheduled": row.id, "environment": row.environment, **(data or {})}
        now = self.clock.now()
        await audit.append(session, release=None, kind=kind, at=now, by=by, source=source, data=said)


def _sentence(error: ReleaseError) -> str:
    return f"{error.message} Try: {error.hint}" if error.hint else error.message
