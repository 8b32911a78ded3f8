"""Looks after jobs on servers until they have ended, whoever began them and whether their release goes on or not.

Level-triggered: what a message is to say follows from the job's own ledger and receipt, so nothing is queued, and a bot that was
away catches up at its next look. What a person asks of a job is written into its row first; whoever looks after it carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import select, update

from bot import permit
from bot.domain import jobs as domain
from bot.domain.errors import Conflict, ReleaseError, Unavailable
from bot.domain.progress import estimate, may_edit, passed, stalled_since
from bot.domain.world import JobState
from bot.engine import followed
from bot.engine.job_tables import FollowedRow
from bot.engine.readings import number_of
from bot.engine.store import StoreUnavailable
from bot.engine.tables import ReleaseRow
from bot.views import jobs as views

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.domain.jobs import Followed, JobView, Wanted
    from bot.domain.reindexing import Ledger
    from bot.domain.world import JobReport
    from bot.engine.bell import Bell
    from bot.engine.narrator import Outbox
    from bot.engine.store import Store
    from bot.ports import Clock, Jobs, Reindexing
    from bot.views.kit import Message

_log = structlog.get_logger()
HOLD = timedelta(seconds=180)  # for which one replica looks after a job; stopping one takes no longer
_EDITS = 4  # whose times are kept


@dataclass(frozen=True, slots=True)
class Workshop:
    """One environment's servers by name, as far as jobs run there."""

    hosts: Mapping[str, Jobs]
    reindexing: Reindexing | None = None
    most_workers: int = 8


@dataclass(slots=True)
class Following:
    """Every replica has one; of a job that is due, one of them takes the turn. ``interval``: seconds between two looks."""

    store: Store
    outbox: Outbox
    clock: Clock
    bell: Bell
    workshops: Mapping[str, Workshop]
    interval: float = 5.0
    pause: timedelta = field(init=False)

    def __post_init__(self) -> None:
        self.pause = timedelta(seconds=self.interval)

    async def follow(self, job: Wanted, *, environment: str, by: str = "", release: str = "") -> Followed:
        """Have a job followed; a step does so by what it reports (`bot.engine.followed.FACT`). Harmless when it is already."""
        number = number_of(release) if release else None
        async with self.store.writing() as session:
            now = self.clock.now()
            if await followed.follow(session, job, environment=environment, now=now, release=number, by=by) and number:
                row = await session.get_one(ReleaseRow, number, with_for_update=True)
                row.debts = [*row.debts, {"owes": {domain.debt(job.name): domain.owed(job)}}]
            query = select(FollowedRow).where(FollowedRow.environment == environment, FollowedRow.name == job.name)
            return followed.followed((await session.scalars(query)).one())

    async def free_all(self) -> None:
        """End every hold: only a process that has the database to itself knows that nobody else looks after a job."""
        query = update(FollowedRow).where(FollowedRow.closed_at.is_(None)).values(due_at=self.clock.now())
        async with self.store.writing() as session:
            await session.execute(query)

    async def turn(self) -> int:
        """Look after every job that is due; returns how many there were."""
        query = select(FollowedRow.id).where(FollowedRow.due_at <= self.clock.now(), FollowedRow.closed_at.is_(None))
        async with self.store.reading() as session:
            due = (await session.scalars(query.order_by(FollowedRow.due_at))).all()
        return sum([await self.look_after(number) for number in due])

    async def watch(self) -> int:
        """Take a turn; says 0, for it comes every few seconds and is not worth a line of the log."""
        await self.turn()
        return 0

    async def look_after(self, number: int) -> bool:
        """Take the turn, if nobody else has it; what goes wrong is kept as a sentence, and tried again later."""
        begun = self.clock.monotonic()
        one = await self._claimed(number)
        if one is None:
            return False

        def in_time(outliving: float = 0.0, /) -> None:
            if self.clock.monotonic() + outliving > begun + HOLD.total_seconds():
                raise Unavailable("Somebody else looks after this job now.", hint="wait")

        values: dict[str, Any] = {}
        wait = self.pause
        try:
            with permit.under(in_time):
                one = await self._looked(one)
        except StoreUnavailable:
            raise
        except ReleaseError as error:
            _log.info("job_not_seen", job=one.job.name, why=error.message)
            one, wait = await self._unseen(one, error.message), 4 * self.pause
        view = await self.view(one)
        values |= await self._told(view, await self._showed(number))
        if one.state.over:
            values["closed_at"] = self.clock.now()
        await self._note(number, due_at=self.clock.now() + wait, **values)
        return True

    async def view(self, one: Followed) -> JobView:
        """Return a job for people."""
        async with self.store.reading() as session:
            runs = await followed.earlier(session, one.environment, one.job.kind)
            release = await session.get(ReleaseRow, number_of(one.release)) if one.release else None
        host = self.workshops[one.environment].hosts.get(one.job.host) if one.environment in self.workshops else None
        ledger, now = one.ledger, self.clock.now()
        going = ledger is not None and not one.state.over and ledger.workers > 0
        return domain.JobView(
            one,
            attach=host.attach_line(name=one.job.name) if host else "",
            estimate=estimate(_left(one, ledger), _points(one, ledger), now, runs) if ledger and going else None,
            stalled=stalled_since(_points(one, ledger), now) if ledger and going else None,
            starter=release.started_by if release else one.by,
        )

    async def _claimed(self, number: int) -> Followed | None:
        now = self.clock.now()
        async with self.store.writing() as session:
            row = await session.get(FollowedRow, number, with_for_update=True)
            if row is None or row.closed_at is not None or row.due_at > now:
                return None
            row.due_at = now + HOLD
            return followed.followed(row)

    async def _looked(self, one: Followed) -> Followed:
        """Look at the job, carry out what was asked of it, and write down how it stands; an ended one is not looked at again."""
        if one.state.over:
            return one
        report, ledger = await self._seen(one)
        if report is not None and report.state is JobState.RUNNING and await self._carried_out(one, report, ledger):
            report, ledger = await self._seen(one)
        return await self._written(one, report, ledger)

    async def _seen(self, one: Followed) -> tuple[JobReport | None, Ledger | None]:
        workshop, host = self.place(one)
        report = await host.look(name=one.job.name)
        ledger = await workshop.reindexing.ledger(name=report.order) if workshop.reindexing and report else None
        return report, ledger or one.ledger

    def place(self, one: Followed) -> tuple[Workshop, Jobs]:
        """Return where a job runs; raises `Conflict` where the settings know no such server (any more)."""
        workshop = self.workshops.get(one.environment)
        host = workshop.hosts.get(one.job.host) if workshop else None
        if workshop is None or host is None:
            raise Conflict(
                f"The settings name no server {one.job.host} of {one.environment}.", hint="releasebot config"
            )
        return workshop, host

    async def _carried_out(self, one: Followed, report: JobReport, ledger: Ledger | None) -> bool:
        """Stop the job, or change its workers, where somebody asked for it; True when something was done."""
        workshop, host = self.place(one)
        if one.stop_by:
            await host.stop(name=one.job.name)
            return True
        asked = one.ask_workers
        if asked is None or ledger is None or workshop.reindexing is None:
            return False
        if ledger.wanted_workers != asked:
            await workshop.reindexing.set_workers(name=report.order, workers=asked)
        async with self.store.writing() as session:  # unless somebody asked for another number meanwhile
            mine = update(FollowedRow).where(FollowedRow.id == one.id, FollowedRow.ask_workers == asked)
            await session.execute(mine.values(ask_workers=None).execution_options(synchronize_session=False))
        return True

    async def _written(self, one: Followed, report: JobReport | None, ledger: Ledger | None) -> Followed:
        now = self.clock.now()
        async with self.store.writing() as session:
            row = await session.get_one(FollowedRow, one.id, with_for_update=True)
            if domain.Going(row.state).over:
                return followed.followed(row)
            needed = await followed.needed(session, row)
            going = domain.standing(report, ledger, stop_by=row.stop_by, made_at=row.made_at, now=now, needed=needed)
            row.state, row.seen_at, row.problem = going, now, ""
            row.seen = followed.ledger_out(ledger) if ledger else None
            if report is not None:
                row.started_at, row.ended_at, row.exit_status = (
                    report.started_at,
                    report.finished_at,
                    report.exit_status,
                )
            if going.over:
                await followed.end(session, row, now=now)
            seen = followed.followed(row)
        if seen.state.over:
            self.bell.ring()
        return seen

    async def _unseen(self, one: Followed, why: str) -> Followed:
        async with self.store.writing() as session:
            row = await session.get_one(FollowedRow, one.id, with_for_update=True)
            row.problem = why
            return followed.followed(row)

    async def _showed(self, number: int) -> dict[str, Any]:
        async with self.store.reading() as session:
            row = await session.get_one(FollowedRow, number)
            return {"milestone": row.milestone, **row.showed}

    async def _told(self, view: JobView, showed: Mapping[str, Any]) -> dict[str, Any]:
        """Put what is to be seen in Slack into the outbox, no more often than its rates allow; returns what is to be noted."""
        one, now = view.one, self.clock.now()
        if one.state is domain.Going.AWAITED:
            return {}
        edits = [datetime.fromisoformat(at) for at in showed.get("edits", ())]
        face, count = views.face(view), one.ledger.done if one.ledger else 0
        matters = face != showed.get("face")
        noted: dict[str, Any] = {}
        if one.state.over or ((matters or count != showed.get("count")) and may_edit(edits, now, matters=matters)):
            await self._put(one.key, views.progress(view), under=one.release, final=one.state.over)
            kept = [at.isoformat() for at in [*edits, now][-_EDITS:]]
            noted["showed"] = {"edits": kept, "face": face, "count": count}
        if one.ledger and (reached := passed(showed["milestone"], one.ledger.done, one.ledger.total)):
            await self._put(f"{one.key}:{reached}", views.milestone(view, reached), under=one.release or one.key)
            noted["milestone"] = reached
        if one.state.over:
            broadcast = bool(one.release)
            await self._put(
                f"{one.key}:end", views.ended(view), under=one.release or one.key, broadcast=broadcast, final=True
            )
        return noted

    async def _put(
        self, key: str, message: Message, *, under: str, broadcast: bool = False, final: bool = False
    ) -> None:
        await self.outbox.put(
            key, text=message.text, blocks=message.blocks, thread_key=under, broadcast=broadcast, final=final
        )

    async def _note(self, number: int, **values: Any) -> None:
        async with self.store.writing() as session:
            await session.execute(update(FollowedRow).where(FollowedRow.id == number).values(**values))


def _points(one: Followed, ledger: Ledger) -> Sequence[tuple[datetime, int]]:
    """Return the history up to the last look: the ledger's own is some seconds old."""
    new = one.seen_at is not None and (not ledger.history or ledger.done > ledger.history[-1][1])
    return (*ledger.history, (one.seen_at, ledger.done)) if new and one.seen_at else ledger.history


def _left(one: Followed, ledger: Ledger) -> int:
    return max(ledger.total - ledger.done - one.failed, 0)
