"""What commands ask about jobs on servers: a list, a log, a picture; and what people ask of a job, written down and carried out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from bot.domain import jobs as domain
from bot.domain.errors import Conflict, Unavailable, WrongUse
from bot.domain.jobs import JobLog, Picture
from bot.engine import audit, followed
from bot.engine.job_tables import FollowedRow
from bot.pictures import progress
from bot.telemetry import scrub

if TYPE_CHECKING:
    from bot.domain.jobs import Followed, JobView, Wanted
    from bot.domain.readmodel import Person
    from bot.engine.following import Following, Workshop
    from bot.ports import Jobs

ENDED_SHOWN = 20
LINES, MOST_LINES = 20, 100
WHOLE = 1_000_000  # bytes of a log that are sent as a file
_PIECE, _NEAR = 65536, 4096
_LOG = "log"


@dataclass(slots=True)
class JobOffice:
    """The front of `bot.engine.following.Following`."""

    following: Following

    async def follow(self, job: Wanted, *, environment: str, by: str = "", release: str = "") -> Followed:
        """Have a job followed that a command starts; see `bot.engine.following.Following.follow`."""
        return await self.following.follow(job, environment=environment, by=by, release=release)

    async def listed(self, environment: str) -> tuple[JobView, ...]:
        """Return the jobs of an environment: those that go on, oldest first, then the last that ended, the newest first."""
        mine = select(FollowedRow).where(FollowedRow.environment == environment)
        going = mine.where(FollowedRow.ended_at.is_(None)).order_by(FollowedRow.id)
        over = mine.where(FollowedRow.ended_at.is_not(None)).order_by(FollowedRow.ended_at.desc()).limit(ENDED_SHOWN)
        async with self.following.store.reading() as session:
            rows = [*(await session.scalars(going)), *(await session.scalars(over))]
            found = [followed.followed(row) for row in rows]
        return tuple([await self.following.view(one) for one in found])

    async def one(self, environment: str, name: str) -> JobView:
        """Return a job by its name; raises `WrongUse` for one that is not known."""
        async with self.following.store.reading() as session:
            row = await _row(session, environment, name)
            found = followed.followed(row)
        return await self.following.view(found)

    async def log(self, environment: str, name: str, *, lines: int = LINES) -> JobLog:
        """Return the end of a job's log without secrets, and as much of it as goes into a file.

        Raises `WrongUse` for a job that is not known, `Unavailable` where its server does not answer.
        """
        if not 1 <= lines <= MOST_LINES:
            raise WrongUse(
                f"{lines} lines are not shown at once.", hint=f"--lines from 1 to {MOST_LINES}; the file has more"
            )
        view = await self.one(environment, name)
        text, cut = await _tail(self._host(view.one), view.one.job.name)
        clean = scrub(text)
        return JobLog(tuple(clean.splitlines()[-lines:]), clean, cut)

    async def picture(self, environment: str, name: str) -> Picture:
        """Draw a job's progress over time; raises `Conflict` while there is nothing to draw."""
        view = await self.one(environment, name)
        one, reindexing = view.one, self._workshop(view.one).reindexing
        ledger = one.ledger
        try:
            report = await self._host(one).look(name=one.job.name) if reindexing else None
            ledger = (await reindexing.ledger(name=report.order) if reindexing and report else None) or ledger
        except Unavailable:  # what was seen last is drawn
            if ledger is None:
                raise
        if ledger is None or len(ledger.history) < 2:  # noqa: PLR2004  # a line has two ends
            raise Conflict(f"{one.job.name} has done too little to draw; nothing was drawn.", hint="/release jobs")
        now = one.ended_at or self.following.clock.now()
        drawing = progress.Drawing(
            one.job.title, ledger.total, ledger.history, now, view.estimate, failed=len(ledger.failed)
        )
        return Picture(await asyncio.to_thread(progress.draw, drawing), progress.words(drawing))

    async def stop(
        self, environment: str, name: str, *, by: Person, typed: str, reason: str = "", source: str = ""
    ) -> JobView:
        """Have a job stopped: written down, then done at once where its server answers, else as soon as it does.

        Raises `NotAllowed` for who may not, `WrongUse` unless its name was typed, `Conflict` for one that has ended.
        """
        view = await self.one(environment, name)
        domain.demand_stop(view, by=by, typed=typed)
        said = {"stop_by": by.slack, "stop_reason": reason}
        return await self._ask(view, "job.stop_asked", by=by, source=source, data={"reason": reason}, values=said)

    async def workers(self, environment: str, name: str, workers: int, *, by: Person, source: str = "") -> JobView:
        """Have so many workers share a job's work; 0 pauses it. Raises as `stop` does."""
        view = await self.one(environment, name)
        domain.demand_workers(view.one, workers, most=self._workshop(view.one).most_workers)
        said = {"ask_workers": workers, "ask_by": by.slack}
        return await self._ask(view, "job.workers_asked", by=by, source=source, data={"workers": workers}, values=said)

    def most_workers(self, view: JobView) -> int:
        """Return how many workers a job may have."""
        return self._workshop(view.one).most_workers

    async def _ask(
        self, view: JobView, kind: str, *, by: Person, source: str, data: dict[str, object], values: dict[str, Any]
    ) -> JobView:
        one, following = view.one, self.following
        async with following.store.writing() as session:
            row = await session.get_one(FollowedRow, one.id, with_for_update=True)
            domain.demand_going(followed.followed(row))
            for field, value in values.items():
                setattr(row, field, value)
            said = {"job": one.job.name, "environment": one.environment, **data}
            release, now = row.owner, following.clock.now()
            await audit.append(
                session, release=release, kind=kind, at=now, step=row.step, by=by.slack, source=source, data=said
            )
        await self._at_once(one.id)
        return await self.one(one.environment, one.job.name)

    async def _at_once(self, number: int) -> None:
        """Have it looked after now, unless somebody does at this moment."""
        following = self.following
        now = following.clock.now()
        idle = FollowedRow.due_at <= now + 5 * following.pause  # a hold reaches further
        async with following.store.writing() as session:
            await session.execute(update(FollowedRow).where(FollowedRow.id == number, idle).values(due_at=now))
        await following.look_after(number)

    def _host(self, one: Followed) -> Jobs:
        return self.following.place(one)[1]

    def _workshop(self, one: Followed) -> Workshop:
        return self.following.place(one)[0]


async def _row(session: Any, environment: str, name: str) -> FollowedRow:
    query = select(FollowedRow).where(FollowedRow.environment == environment, FollowedRow.name == name[:100])
    row: FollowedRow | None = await session.scalar(query.order_by(FollowedRow.id.desc()).limit(1))
    if row is None:
        raise WrongUse(f"There is no job {name[:40]!r} in {environment}; nothing was done.", hint="/release jobs")
    return row


async def _tail(host: Jobs, name: str) -> tuple[str, bool]:
    """Read the last part of a job's log, whole lines; and whether something stands before it."""
    begin = max(0, await _almost_the_end(host, name) + _NEAR - WHOLE)
    pieces: list[str] = []
    offset = begin
    while len(pieces) * _PIECE <= WHOLE + _PIECE:
        chunk = await host.read(name=name, file=_LOG, offset=offset, limit=_PIECE)
        if chunk.next_offset == offset:
            break
        pieces.append(chunk.text)
        offset = chunk.next_offset
    text = "".join(pieces)
    return (text.partition("\n")[2] if begin else text), begin > 0


async def _almost_the_end(host: Jobs, name: str) -> int:
    """Find a place that is at most a few kilobytes before the end of a log, however long that is, in a few looks."""

    async def there(offset: int) -> bool:
        return (await host.read(name=name, file=_LOG, offset=offset, limit=1)).next_offset > offset

    low, step = 0, _PIECE
    while await there(low + step):
        low, step = low + step, 2 * step
    while step > _NEAR:
        step //= 2
        low = low + step if await there(low + step) else low
    return low
