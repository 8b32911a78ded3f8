"""Plans as people change them: of an open release in its own rows, and before the start as a draft of edits.

Every change is one transaction with its event: who, when, asked by which message.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.domain.editing import demand_seen, edited
from bot.domain.edits import concerned, edit_in
from bot.domain.errors import Conflict, WrongUse
from bot.domain.readmodel import Person
from bot.domain.release import ReleaseState
from bot.engine import audit
from bot.engine.codec import plan_in, plan_out
from bot.engine.edit_tables import PlanDraftRow
from bot.engine.layout import begun, lay_out
from bot.engine.readings import name_of, number_of, step_rows
from bot.engine.tables import ReleaseRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.checklist import StepFacts
    from bot.domain.edits import Edit
    from bot.domain.plan import Edited, Plan
    from bot.engine.bell import Bell
    from bot.engine.store import Store
    from bot.ports import Clock

EVENT = "plan.edited"
_OPEN = (ReleaseState.RUNNING, ReleaseState.PAUSED, ReleaseState.STOPPED)


class Plans:
    """Every method is one transaction; each raises `bot.engine.store.StoreUnavailable` when the database does not answer."""

    def __init__(self, store: Store, *, clock: Clock, catalogue: Mapping[str, StepFacts], bell: Bell) -> None:
        """``catalogue``: what is known of each step; ``bell`` is rung when a plan was changed."""
        self._store, self._clock, self._catalogue, self._bell = store, clock, catalogue, bell

    async def edit(self, release: str, edit: Edit, *, by: Person, seen: int, source: str = "") -> Edited:
        """Change the plan of an open release; ``seen`` is the version that the person looked at.

        Raises `Conflict` for a release that has ended or a version that is not the newest, and what `edited` raises.
        """
        async with self._store.writing() as session:
            row = await session.get(ReleaseRow, number_of(release), with_for_update=True)
            if row is None:
                raise WrongUse(f"There is no release {release[:40]!r}.", hint="/release history")
            plan = plan_in(row.plan)
            if source and any(one.source == source for one in plan.edits):
                return next(one for one in plan.edits if one.source == source)
            if row.state not in _OPEN:
                raise Conflict(
                    f"{name_of(row.number)} is {row.state}; its plan was not changed.", hint="/release status"
                )
            done = await self._rewrite(session, row, plan, edit, by=by, seen=seen, source=source)
        self._bell.ring()
        return done

    async def _rewrite(
        self, session: AsyncSession, row: ReleaseRow, plan: Plan, edit: Edit, *, by: Person, seen: int, source: str
    ) -> Edited:
        demand_seen(plan, seen)
        rows, now = await step_rows(session, row.number), self._clock.now()
        new = edited(plan, edit, by=by, at=now, catalogue=self._catalogue, begun=begun(plan, rows), source=source)
        row.plan, row.fingerprint = plan_out(new), new.fingerprint
        lay_out(session, row.number, new, rows, now=now)
        await session.flush()
        await _event(session, row.number, new, new.edits[-1], at=now)
        return new.edits[-1]

    async def draft(
        self, plan: Plan, edit: Edit, *, draft: str, by: Person, seen: int, source: str = ""
    ) -> tuple[str, Plan]:
        """Note an edit of a plan that nobody has started; ``plan`` has the edits of ``draft`` already.

        Returns the draft's id and the plan as it is then. Raises as `edit` does.
        """
        now = self._clock.now()
        if source and any(one.source == source for one in plan.edits):
            return draft, plan
        async with self._store.writing() as session:
            row = await session.get(PlanDraftRow, draft, with_for_update=True) if draft else None
            if draft and row is None:
                raise _unknown()
            if row is not None and len(row.edits) != plan.revision:
                raise Conflict(
                    "Somebody changed this plan meanwhile; nothing was changed.", hint="look at the plan again"
                )
            demand_seen(plan, seen)
            new = edited(plan, edit, by=by, at=now, catalogue=self._catalogue, source=source)
            if row is None:
                mark = source or f"{by.slack} {now.isoformat()}"
                name = f"D{hashlib.sha256(mark.encode()).hexdigest()[:16]}"
                row = PlanDraftRow(id=name, environment=plan.environment, by=by.slack, at=now, edits=[])
                await session.merge(row)
                row = await session.get_one(PlanDraftRow, name)
            row.edits = [*row.edits, _kept(new.edits[-1], by)]
            said = {**_told(new, new.edits[-1]), "draft": row.id, "environment": row.environment}
            await audit.append(
                session, release=None, kind="plan.drafted", at=now, by=by.slack, source=source, data=said
            )
            return row.id, new

    async def drafted(self, plan: Plan, draft: str) -> Plan:
        """Make the edits of a draft again, on a plan that was made afresh; raises `Conflict` where one no longer fits."""
        if not draft:
            return plan
        async with self._store.reading() as session:
            row = await session.get(PlanDraftRow, draft)
            if row is None:
                raise _unknown()
            kept = list(row.edits)
        for one in kept:
            plan = self._again(plan, one)
        return plan

    def _again(self, plan: Plan, one: Mapping[str, Any]) -> Plan:
        by = Person(one["by"], "", frozenset(one["roles"]))
        at = datetime.fromisoformat(one["at"])
        try:
            return edited(plan, edit_in(one["edit"]), by=by, at=at, catalogue=self._catalogue, source=one["source"])
        except (Conflict, WrongUse) as error:
            raise Conflict(
                f"A change of this plan no longer fits it: {error.message}",
                hint="/release start makes a plan without changes",
            ) from error


async def changed_before(session: AsyncSession, number: int, plan: Plan, *, now: datetime) -> None:
    """Write into a release's log what was changed in its plan before it was started."""
    for version, one in enumerate(plan.edits, 1):
        await _event(session, number, plan, one, at=now, version=version)


async def _event(
    session: AsyncSession, number: int, plan: Plan, one: Edited, *, at: datetime, version: int | None = None
) -> None:
    data = {**_told(plan, one), **({"version": version, "before_start": one.at} if version else {})}
    step = concerned(edit_in(one.edit))
    await audit.append(session, release=number, kind=EVENT, at=at, step=step, by=one.by, source=one.source, data=data)


def _told(plan: Plan, one: Edited) -> dict[str, Any]:
    return {"said": one.said, "edit": dict(one.edit), "version": plan.revision, "fingerprint": plan.fingerprint}


def _kept(one: Edited, by: Person) -> dict[str, Any]:
    return {"edit": dict(one.edit), "by": one.by, "roles": sorted(by.roles), "at": one.at, "source": one.source}


def _unknown() -> WrongUse:
    return WrongUse("The changes of that plan are not known; nothing was done.", hint="/release start")
