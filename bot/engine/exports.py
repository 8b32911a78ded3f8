"""Plans as issues on GitHub: opened once, kept in step with the release, and read for boxes that people ticked.

What the issue is to say follows from the release alone. So nothing is queued: whoever looks after an export reads the issue, and
writes what differs. A bot that was down, or a GitHub that was, catches up at the next look. Nothing here holds a release up.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import select, update

from bot import permit
from bot.domain import issue
from bot.domain.errors import Conflict, ReleaseError, Unavailable
from bot.domain.release import FINISHED
from bot.engine import audit, failpoints
from bot.engine.edit_tables import IssueExportRow
from bot.engine.readings import name_of, number_of
from bot.engine.store import StoreUnavailable
from bot.engine.tables import ReleaseRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.readmodel import Person, ReleaseView
    from bot.engine.desk import Desk
    from bot.engine.store import Store
    from bot.engine.ticks import Ticks
    from bot.ports import Clock, CodeHost

_log = structlog.get_logger()
HOLD = timedelta(seconds=150)  # for which one replica looks after an export; every request of it ends long before
SETTLED = timedelta(seconds=60)  # after which an issue that may have been opened would be seen
_SKEW = timedelta(minutes=5)  # by which GitHub's clock may be behind ours
WHERE = "issue"  # of the failpoints


class Exports:
    """Every replica has one; of an export that is due, one of them takes the turn."""

    def __init__(
        self,
        store: Store,
        *,
        desk: Desk,
        hosts: Mapping[str, CodeHost],
        ticks: Ticks,
        clock: Clock,
        interval: float,
        settled: timedelta = SETTLED,
    ) -> None:
        """``hosts`` by environment; ``interval``: seconds between two looks at an issue."""
        self._store, self._desk, self._hosts, self._ticks, self._clock = store, desk, hosts, ticks, clock
        self._interval, self._settled = timedelta(seconds=interval), settled

    async def ask(self, release: str, *, by: Person, source: str = "") -> str:
        """Have a release's plan made an issue, and say what became of it; asking again makes no second one."""
        number, now = number_of(release), self._clock.now()
        async with self._store.writing() as session:
            row = await session.get(ReleaseRow, number, with_for_update=True)
            known = await session.get(IssueExportRow, number)
            if known is not None and known.issue is not None:
                return f"{name_of(number)} is issue #{known.issue} already: {known.url}"
            if row is None or row.state in FINISHED:
                raise Conflict(f"{release[:20]} is over; no issue was made of it.", hint="/release runbook shows it")
            if known is None:
                session.add(_wanted(number, by, now=now))
                asked = {"to": "GitHub"}
                await audit.append(
                    session, release=number, kind="plan.export_asked", at=now, by=by.slack, source=source, data=asked
                )
        await self._look_after(number)
        async with self._store.reading() as session:
            made = await session.get_one(IssueExportRow, number)
            if made.issue is not None:
                return f"{name_of(number)} is issue #{made.issue} now: {made.url}"
            why = f" {made.problem}" if made.problem else ""
            return f"There is no issue of {name_of(number)} yet; it is made as soon as it can be.{why}"

    async def free_all(self) -> None:
        """End every hold: only a process that has the database to itself knows that nobody else looks after an issue."""
        query = update(IssueExportRow).where(IssueExportRow.closed_at.is_(None))
        async with self._store.writing() as session:
            await session.execute(query.values(due_at=self._clock.now()))

    async def turn(self) -> int:
        """Look after every export that is due; returns how many there were."""
        query = select(IssueExportRow.release).where(
            IssueExportRow.due_at <= self._clock.now(), IssueExportRow.closed_at.is_(None)
        )
        async with self._store.reading() as session:
            due = (await session.scalars(query.order_by(IssueExportRow.due_at))).all()
        return sum([await self._look_after(number) for number in due])

    async def _look_after(self, number: int) -> bool:
        """Take the turn, if nobody else has it; what goes wrong is kept as a sentence, and tried again later."""
        begun, now = self._clock.monotonic(), self._clock.now()
        row = await self._claimed(number)
        if row is None:
            return False

        def in_time(outliving: float = 0.0, /) -> None:
            if self._clock.monotonic() + outliving > begun + HOLD.total_seconds():
                raise Unavailable("Somebody else looks after this issue now.", hint="wait")

        values: dict[str, Any] = {"problem": ""}
        wait = self._interval
        try:
            with permit.under(in_time):
                values |= await self._kept(row)
        except StoreUnavailable:
            raise
        except ReleaseError as error:
            _log.info("issue_waits", release=name_of(number), why=error.message)
            values, wait = {"problem": error.message}, 2 * self._interval
        await self._note(number, due_at=now + wait, **values)
        return True

    async def _claimed(self, number: int) -> IssueExportRow | None:
        now = self._clock.now()
        async with self._store.writing() as session:
            row = await session.get(IssueExportRow, number, with_for_update=True)
            if row is None or row.closed_at is not None or row.due_at > now:
                return None
            row.due_at = now + HOLD
            return row

    async def _kept(self, row: IssueExportRow) -> dict[str, Any]:
        """Open the issue if there is none; judge what people ticked; write what differs. Returns what is to be noted."""
        release = await self._desk.release(name_of(row.release))
        host = self._hosts[release.environment]
        number = row.issue or await self._opened(row, release, host)
        found = await host.read_issue(number=number)
        if found is None:
            await self._lost(release, number)
            return {"closed_at": self._clock.now(), "problem": f"Issue #{number} is gone."}
        release, remarks = await self._judged(release, issue.ticked(found.body), dict(row.remarks), number)
        if remarks != row.remarks:
            await self._note(row.release, remarks=remarks)
        wanted = issue.body(release, remarks, found.body)
        if wanted != found.body.replace("\r\n", "\n"):
            await host.edit_issue(number=number, body=wanted)
        return {"closed_at": self._clock.now() if release.state in FINISHED else None}

    async def _opened(self, row: IssueExportRow, release: ReleaseView, host: CodeHost) -> int:
        """Look for the issue by its mark; open one where there is none, and none can be on its way."""
        found = await host.find_issue(mark=issue.mark(release), since=row.asked_at - _SKEW)
        now = self._clock.now()
        if found is None:
            if row.tried_at is not None and now - row.tried_at < self._settled:
                raise Unavailable("It is not known yet whether GitHub opened the issue; I look again.", hint="wait")
            await self._note(row.release, tried_at=now)
            failpoints.reach("before_effect", WHERE)
            found = await host.open_issue(title=issue.title(release), body=issue.body(release, {}))
            failpoints.reach("after_effect", WHERE)
        async with self._store.writing() as session:
            await _set(session, row.release, issue=found.number, url=found.url)
            said = {"issue": found.number, "url": found.url}
            await audit.append(session, release=row.release, kind="plan.exported", at=now, data=said)
        failpoints.reach("after_write", WHERE)
        self._desk.bell.ring()
        return found.number

    async def _judged(
        self, release: ReleaseView, boxes: frozenset[str], remarks: dict[str, str], number: int
    ) -> tuple[ReleaseView, dict[str, str]]:
        """Go through what people ticked, step by step from the one in work on; each has an outcome."""
        while wrong := issue.by_hand(release, boxes):
            step = release.current
            if step is None or step.key not in wrong:
                first = f"its turn has not come: “{step.title if step else ''}” comes first"
                return release, remarks | dict.fromkeys(wrong, first)
            verdict = await self._ticks.judge(release, step, issue=number)
            if not verdict.counted:
                if verdict.ask:
                    await self._ticks.ask(release, step, issue=number)
                later = f"its turn has not come: “{step.title}” is not done"
                return release, remarks | dict.fromkeys(wrong, later) | {step.key: verdict.why}
            release = await self._desk.release(release.id)
        return release, remarks

    async def _lost(self, release: ReleaseView, number: int) -> None:
        async with self._store.writing() as session:
            now, at = self._clock.now(), number_of(release.id)
            await audit.append(session, release=at, kind="plan.export_lost", at=now, data={"issue": number})
        self._desk.bell.ring()

    async def _note(self, number: int, **values: Any) -> None:
        async with self._store.writing() as session:
            await _set(session, number, **values)


def _wanted(number: int, by: Person, *, now: Any) -> IssueExportRow:
    return IssueExportRow(release=number, asked_by=by.slack, asked_at=now, url="", remarks={}, problem="", due_at=now)


async def _set(session: AsyncSession, number: int, **values: Any) -> None:
    await session.execute(update(IssueExportRow).where(IssueExportRow.release == number).values(**values))
