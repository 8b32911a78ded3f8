"""Rehearsals as rows: who has one, how it goes, how it ended. One at a time in an environment, whichever bot was asked."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from bot.domain.approval import bound
from bot.domain.errors import Conflict, WrongUse
from bot.domain.readmodel import Decided
from bot.domain.rehearsal import REQUIRED, RehearsalState, demand_passed, planned
from bot.engine import audit, readings
from bot.engine.looking import OPEN
from bot.engine.rehearsal_tables import RehearsalRow, name_of, number_of, read, standing_of, steps_out
from bot.engine.tables import ReleaseRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.plan import Plan
    from bot.domain.rehearsal import Rehearsal, RehearsedStep, Standing
    from bot.engine.store import Store
    from bot.ports import Clock

RUNNING = RehearsalState.RUNNING


class RehearsalBook:
    """Every method is one transaction; each raises `bot.engine.store.StoreUnavailable` when the database does not answer."""

    def __init__(
        self, store: Store, *, clock: Clock, owner: str, held: timedelta, settings: Mapping[str, str] | None = None
    ) -> None:
        """``owner``: this process. One not heard of for ``held`` is gone. ``settings``: "required" or "shown", by environment."""
        self._store, self._clock, self.owner, self._held = store, clock, owner, held
        self._settings = settings or {}
        self.host = socket.gethostname()

    def required(self, environment: str) -> bool:
        """Tell whether releases to an environment need a rehearsal that passed."""
        return self._settings.get(environment) == REQUIRED

    async def demand(self, session: AsyncSession, plan: Plan) -> None:
        """Raise `Refused` where a rehearsal is required and this very plan has none that passed; in the caller's transaction."""
        if self.required(plan.environment):
            demand_passed(plan, await standing_of(session, plan))

    async def standing(self, plan: Plan) -> Standing:
        """Return what the rehearsals say about a plan."""
        async with self._store.reading() as session:
            return await standing_of(session, plan)

    async def rehearsal(self, rehearsal: str) -> Rehearsal:
        """Return one; raises `WrongUse` for one that is not known."""
        async with self._store.reading() as session:
            return read(await self._row(session, rehearsal))

    async def begin(self, plan: Plan, *, by: str, again: str, release: str = "", source: str = "") -> Rehearsal:
        """Note that it begins; raises `Conflict` while another one runs for the environment."""
        now = self._clock.now()
        async with self._store.writing() as session:
            await audit.turn(session)  # of two at once, the second sees what the first wrote
            query = select(RehearsalRow).where(RehearsalRow.environment == plan.environment)
            other = await session.scalar(query.where(RehearsalRow.state == RUNNING).limit(1))
            if other is not None:
                raise Conflict(
                    f"{name_of(other.number)} is rehearsing {other.version} for {plan.environment}; nothing was begun.",
                    hint="wait until it has ended, or stop it by its button",
                )
            row = RehearsalRow(
                environment=plan.environment,
                release=readings.number_of(release) if release else None,
                by=by,
                again=again,
                state=RUNNING,
                started_at=now,
                head=plan.head,
                version=plan.version,
                checklist=plan.checklist[:200],
                fingerprint=plan.fingerprint,
                binds=bound(plan),
                steps=steps_out(planned(plan)),
                host=self.host,
                owner=self.owner,
                seen_at=now,
            )
            session.add(row)
            await session.flush()
            await self._event(session, "rehearsal.started", row, by=by, source=source)
            return read(row)

    async def note(self, rehearsal: str, **values: Any) -> None:
        """Note the world's folder, the message's address, or that Slack was told the end."""
        async with self._store.writing() as session:
            query = update(RehearsalRow).where(RehearsalRow.number == number_of(rehearsal))
            await session.execute(query.values(**values))

    async def progress(self, rehearsal: str, steps: Sequence[RehearsedStep]) -> Rehearsal:
        """Note how the steps stand."""
        async with self._store.writing() as session:
            row = await self._row(session, rehearsal)
            row.steps, row.seen_at = steps_out(steps), self._clock.now()
            return read(row)

    async def beat(self, rehearsal: str) -> tuple[bool, str]:
        """Say that it is alive; returns whether it is still ours and running, and who wants it stopped."""
        async with self._store.writing() as session:
            row = await self._row(session, rehearsal)
            row.seen_at = self._clock.now()
            return row.state == RUNNING and row.owner == self.owner, row.stop_by

    async def stop(self, rehearsal: str, *, by: str, source: str = "") -> Decided:
        """Ask for its end; whoever has it sees that at the next beat."""
        async with self._store.writing() as session:
            await audit.turn(session)
            row = await self._row(session, rehearsal)
            if row.state != RUNNING:
                return Decided(effective=False, sentence=f"{name_of(row.number)} has ended already: {row.state}.")
            if row.stop_by:
                return Decided(effective=False, sentence=f"<@{row.stop_by}> has stopped it already.")
            row.stop_by = by
            await self._event(session, "rehearsal.stop", row, by=by, source=source)
            return Decided(effective=True, sentence=f"{name_of(row.number)} is being stopped.")

    async def end(self, rehearsal: str, state: RehearsalState, *, note: str = "", hint: str = "") -> Rehearsal | None:
        """Note how it ended; None when that was noted before. A release of the environment that is open is told."""
        async with self._store.writing() as session:
            await audit.turn(session)
            row = await self._row(session, rehearsal)
            if row.state != RUNNING:
                return None
            row.state, row.note, row.hint, row.finished_at = state, note, hint, self._clock.now()
            await self._event(session, "rehearsal.ended", row, release=await self._open(session, row.environment))
            return read(row)

    async def abandoned(self, *, alone: bool) -> Sequence[tuple[str, str]]:
        """Return those whose bot is gone, with the folder of a world that may be left on this machine.

        ``alone``: no other process works with this database, so what is not ours is nobody's.
        """
        long_ago = self._clock.now() - self._held
        query = select(RehearsalRow).where(RehearsalRow.state == RUNNING, RehearsalRow.owner != self.owner)
        async with self._store.reading() as session:
            rows = (await session.scalars(query)).all()
            gone = [row for row in rows if alone or row.seen_at < long_ago]
            return [(name_of(row.number), row.world if row.host == self.host else "") for row in gone]

    async def untold(self) -> Sequence[Rehearsal]:
        """Return those that have ended and whose message may not say so."""
        query = select(RehearsalRow).where(RehearsalRow.state != RUNNING, RehearsalRow.told.is_(False))
        async with self._store.reading() as session:
            return [read(row) for row in await session.scalars(query.order_by(RehearsalRow.number))]

    @staticmethod
    async def _row(session: AsyncSession, rehearsal: str) -> RehearsalRow:
        row = await session.get(RehearsalRow, number_of(rehearsal))
        if row is None:
            raise WrongUse(f"There is no rehearsal {rehearsal[:40]!r}.", hint="/release rehearse")
        return row

    @staticmethod
    async def _open(session: AsyncSession, environment: str) -> int | None:
        query = select(ReleaseRow.number).where(ReleaseRow.environment == environment, ReleaseRow.state.in_(OPEN))
        found: int | None = await session.scalar(query.order_by(ReleaseRow.number.desc()).limit(1))
        return found

    async def _event(
        self,
        session: AsyncSession,
        kind: str,
        row: RehearsalRow,
        *,
        by: str = "",
        source: str = "",
        release: int | None = None,
    ) -> None:
        facts = {
            "rehearsal": name_of(row.number),
            "environment": row.environment,
            "head": row.head,
            "version": row.version,
            "checklist": row.checklist,
            "fingerprint": row.fingerprint,
            "state": str(row.state),
            "thread": row.permalink,
            "note": row.note,
        }
        now = self._clock.now()
        await audit.append(session, release=release, kind=kind, at=now, by=by, source=source, data=facts)
