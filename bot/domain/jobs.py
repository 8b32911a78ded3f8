"""Jobs on servers that are followed: where each stands, and how it ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.errors import Conflict, NotAllowed, WrongUse
from bot.domain.world import JobState

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.progress import Estimate
    from bot.domain.readmodel import Person
    from bot.domain.reindexing import Ledger
    from bot.domain.world import JobReport

_BIRTH = timedelta(minutes=15)  # within which a job that was announced must be there
_KILLED = {128 + 15, 128 + 9}  # exit statuses of what TERM or KILL ended


class Going(StrEnum):
    """Where a followed job stands."""

    AWAITED = "awaited"  # announced, and not on the server yet
    RUNNING = "running"
    WHOLE = "whole"  # ended, and all is done
    FAILURES = "failures"  # ended, and some of it could not be done
    FAILED = "failed"  # ended before its work was done
    STOPPED = "stopped"
    LOST = "lost"  # nobody knows how it ended: its tmux was killed, or the server was started anew

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self not in {Going.AWAITED, Going.RUNNING}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job to be followed. ``kind`` is shared by jobs whose speed may be compared; ``title`` completes "… 40 of 100"."""

    host: str
    name: str
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Followed:
    """A job as it was last looked at. ``failed``: how many could not be done; the ledger lists the first of them."""

    id: int
    environment: str
    job: Wanted
    state: Going
    made_at: datetime
    release: str = ""  # "R7", in whose thread it is told
    step: str = ""
    by: str = ""  # Slack id of who started it, where no release did
    ledger: Ledger | None = None
    failed: int = 0
    seen_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_status: int | None = None
    stop_by: str = ""
    stop_reason: str = ""
    ask_workers: int | None = None
    ask_by: str = ""
    problem: str = ""  # why it could not be looked at last time

    @property
    def key(self) -> str:
        """The key of its message."""
        return f"{self.release}:job:{self.job.name}" if self.release else f"job:{self.job.name}"

    @property
    def seconds(self) -> float | None:
        """How long it has run, as far as that is known."""
        until = self.ended_at or self.seen_at
        return (until - self.started_at).total_seconds() if self.started_at and until else None


@dataclass(frozen=True, slots=True)
class JobView:
    """A job for people: with its speed, and the line that a person types to look at it."""

    one: Followed
    attach: str = ""
    estimate: Estimate | None = None
    stalled: datetime | None = None
    starter: str = ""  # Slack id of who started it or its release


@dataclass(frozen=True, slots=True)
class JobLog:
    """The end of a job's log, and all of it that is sent as a file. ``cut``: the file begins in the middle."""

    lines: tuple[str, ...]
    whole: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing for a message: PNG, and what it shows in words."""

    png: bytes = field(repr=False)
    alt: str


def standing(
    report: JobReport | None,
    ledger: Ledger | None,
    *,
    stop_by: str,
    made_at: datetime,
    now: datetime,
    needed: bool = True,
) -> Going:
    """Judge where a job stands by its receipt and its own ledger: exit status 0 alone proves nothing.

    ``needed``: whoever announced it may still start it; one that nobody needs any more, and that never began, is lost.
    """
    if report is None:
        return Going.AWAITED if needed or now - made_at < _BIRTH else Going.LOST
    match report.state:
        case JobState.RUNNING:
            return Going.RUNNING
        case JobState.LOST:
            return Going.LOST
        case JobState.FINISHED:
            return _ended(report.exit_status, ledger, stopped=bool(stop_by))


def _ended(status: int | None, ledger: Ledger | None, *, stopped: bool) -> Going:
    whole = status == 0 if ledger is None else ledger.ended
    if whole and not (ledger and ledger.failed):
        return Going.WHOLE
    if whole:
        return Going.FAILURES
    return Going.STOPPED if stopped or status in _KILLED else Going.FAILED


def ending(one: Followed) -> str:
    """Say in a sentence how a job ended, without its title."""
    done = f"{one.ledger.done:,} of {one.ledger.total:,} done" if one.ledger else ""
    so_far = f", with {done}" if done else ""
    lost = f"is lost{so_far}: its tmux was killed or the server started anew, and nobody knows how it ended"
    words = {
        Going.WHOLE: f"finished, {done}" if done else "finished",
        Going.FAILURES: f"ended, {done}, and {one.failed:,} failed",
        Going.FAILED: f"ended with exit status {one.exit_status} before its work was done{so_far}",
        Going.STOPPED: f"was stopped {f'by <@{one.stop_by}>' if one.stop_by else 'on the server'}{so_far}",
        Going.LOST: lost if one.started_at else "never began on the server",
    }
    return words.get(one.state, f"goes on{so_far}")


def owed(job: Wanted) -> str:
    """Say what a release owes while its job goes on."""
    return f"{job.title}: goes on by itself as {job.name} (/release jobs)"


def left_over(one: Followed) -> str:
    """Say what somebody has to look at after a job has ended; empty where nothing is."""
    if one.state in {Going.WHOLE, Going.STOPPED} or not one.state.over:
        return ""
    return f"{one.job.title}: {ending(one)} (/release jobs log {one.job.name})"


def debt(job: str) -> str:
    """Return the name under which a release owes a job."""
    return f"job:{job}"


def demand_stop(view: JobView, *, by: Person, typed: str) -> None:
    """Raise unless somebody may stop a job: an approver, or who started it or its release; and has typed its name."""
    one = view.one
    if not (by.roles & {"approver", "admin"} or (by.roles and by.slack in {view.starter, one.by})):
        raise NotAllowed(
            "Only an approver, or whoever started it, stops a job; nothing was done.", hint="/release whoami"
        )
    demand_going(one)
    if typed.strip() != one.job.name:
        raise WrongUse(f"The name typed is not {one.job.name}; nothing was stopped.", hint="type it exactly")


def demand_workers(one: Followed, workers: int, *, most: int) -> None:
    """Raise unless so many workers may share the job's work; none pauses it."""
    demand_going(one)
    if one.ledger is None:
        raise Conflict(f"{one.job.name} has no workers to count; nothing was changed.", hint="/release jobs")
    if not 0 <= workers <= most:
        raise WrongUse(
            f"{workers} workers are not possible here; nothing was changed.", hint=f"from 0, which pauses, to {most}"
        )


def demand_going(one: Followed) -> None:
    """Raise `Conflict` for a job that has ended."""
    if one.state.over:
        raise Conflict(f"{one.job.name} {ending(one)}; nothing was done.", hint="/release jobs")
