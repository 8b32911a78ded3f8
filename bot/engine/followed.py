"""Rows of jobs that are followed: announced by a step or a command, ended once, owed by a release until then."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.domain.jobs import Followed, Going, Wanted, debt, ending, left_over, owed
from bot.domain.progress import Run, thinned
from bot.domain.reindexing import Failure, Ledger
from bot.domain.release import FINISHED
from bot.engine import audit
from bot.engine.job_tables import FollowedRow
from bot.engine.readings import name_of
from bot.engine.tables import ReleaseRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

FACT = "follows"  # what a step reports, or proves: a job that goes on, as `Wanted`'s fields, or a list of such
ENDED = "job.ended"
_KEPT, _LISTED, _RUNS = 300, 50, 20  # points of a history, failures listed, earlier jobs compared with


async def follow(
    session: AsyncSession,
    job: Wanted,
    *,
    environment: str,
    now: datetime,
    release: int | None = None,
    step: str = "",
    by: str = "",
) -> bool:
    """Have a job followed from now on; False where it is already. It need not be there yet."""
    values: dict[str, Any] = {
        "environment": environment, "host": job.host, "name": job.name, "kind": job.kind, "title": job.title,
        "release": release, "owner": release, "step": step, "by": by, "made_at": now, "state": Going.AWAITED,
        "milestone": 0, "showed": {}, "stop_by": "", "stop_reason": "", "ask_by": "", "problem": "", "due_at": now,
    }  # fmt: skip
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    new = insert(FollowedRow).values(**values)
    made: Any = await session.execute(new.on_conflict_do_nothing(index_elements=["environment", "host", "name"]))
    return bool(made.rowcount)


async def note(
    session: AsyncSession, row: ReleaseRow, step: str, facts: Mapping[str, object], *, now: datetime
) -> None:
    """Follow the jobs that a step names in what it reports or proves; the release owes them until they have ended."""
    for job in _wanted(facts):
        if await follow(session, job, environment=row.environment, now=now, release=row.number, step=step):
            row.debts = [*row.debts, {"owes": {debt(job.name): owed(job)}}]


def _wanted(facts: Mapping[str, object]) -> Iterator[Wanted]:
    found = facts.get(FACT)
    for one in found if isinstance(found, list | tuple) else [found]:
        if isinstance(one, dict):
            yield Wanted(**{name: str(one[name]) for name in ("host", "name", "kind", "title")})


async def hand_on(session: AsyncSession, old: int, new: int) -> None:
    """Let a rollback owe what goes on of the release that it takes back; its thread stays where it is."""
    going = update(FollowedRow).where(FollowedRow.owner == old, FollowedRow.ended_at.is_(None))
    await session.execute(going.values(owner=new).execution_options(synchronize_session=False))


async def end(session: AsyncSession, row: FollowedRow, *, now: datetime) -> None:
    """Note that a job has ended, as its state says, and settle what the release owes, or say what is left to be looked at.

    While the release goes on, its step deals with the job's failures.
    """
    one, owner = followed(row), await _owner(session, row)
    row.ended_at = row.ended_at or now
    if owner is not None:
        left = left_over(one) if owner.state in FINISHED else ""
        key = debt(row.name)
        owner.debts = [*owner.debts, {"owes": {key: left}} if left else {"settles": [key]}]
    data = {"job": row.name, "state": row.state, "said": ending(one), "environment": row.environment}
    number = owner.number if owner is not None else None
    await audit.append(session, release=number, kind=ENDED, at=now, step=row.step, by=row.stop_by, data=data)


async def _owner(session: AsyncSession, row: FollowedRow) -> ReleaseRow | None:
    if row.owner is None:
        return None
    return await session.get(ReleaseRow, row.owner, with_for_update=True)


async def needed(session: AsyncSession, row: FollowedRow) -> bool:
    """Tell whether the release that announced a job may still start it."""
    release = await session.get(ReleaseRow, row.release) if row.release else None
    return release is not None and release.state not in FINISHED


async def earlier(session: AsyncSession, environment: str, kind: str) -> tuple[Run, ...]:
    """Return the last jobs of a kind that ended whole, or with failures, for their speed."""
    query = (
        select(FollowedRow)
        .where(
            FollowedRow.environment == environment,
            FollowedRow.kind == kind,
            FollowedRow.state.in_((Going.WHOLE, Going.FAILURES)),
        )
        .order_by(FollowedRow.ended_at.desc())
        .limit(_RUNS)
    )
    found = [followed(row) for row in await session.scalars(query)]
    return tuple(Run(one.ledger.done, one.seconds) for one in found if one.ledger and one.seconds)


def followed(row: FollowedRow) -> Followed:
    """Read one."""
    return Followed(
        id=row.id,
        environment=row.environment,
        job=Wanted(row.host, row.name, row.kind, row.title),
        state=Going(row.state),
        made_at=row.made_at,
        release=name_of(row.release) if row.release else "",
        step=row.step,
        by=row.by,
        ledger=ledger_in(row.seen),
        failed=int((row.seen or {}).get("failed_count", 0)),
        seen_at=row.seen_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        exit_status=row.exit_status,
        stop_by=row.stop_by,
        stop_reason=row.stop_reason,
        ask_workers=row.ask_workers,
        ask_by=row.ask_by,
        problem=row.problem,
    )


def ledger_out(ledger: Ledger) -> dict[str, Any]:
    """Write what is kept of a ledger: the first failures, and a thinner history."""
    return {
        "total": ledger.total,
        "done": ledger.done,
        "failed": [[one.dataset, one.tries, one.said[:500]] for one in ledger.failed[:_LISTED]],
        "failed_count": len(ledger.failed),
        "in_work": list(ledger.in_work[:_LISTED]),
        "workers": ledger.workers,
        "wanted_workers": ledger.wanted_workers,
        "slowed": ledger.slowed,
        "awaits_probe": ledger.awaits_probe,
        "ended": ledger.ended,
        "history": [[at.isoformat(), done] for at, done in thinned(ledger.history, _KEPT)],
    }


def ledger_in(raw: Mapping[str, Any] | None) -> Ledger | None:
    """Read what `ledger_out` wrote."""
    if raw is None:
        return None
    plain = {name: raw[name] for name in raw if name not in {"failed", "failed_count", "in_work", "history"}}
    return Ledger(
        **plain,
        failed=tuple(Failure(*one) for one in raw["failed"]),
        in_work=tuple(raw["in_work"]),
        history=tuple((datetime.fromisoformat(at), done) for at, done in raw["history"]),
    )
