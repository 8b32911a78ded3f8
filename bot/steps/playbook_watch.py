"""Watching a playbook that runs as a job on the control host: attach at any time, read its events, say how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.errors import StepFailed, Unavailable
from bot.domain.world import JobState
from bot.steps.words import spoken

if TYPE_CHECKING:
    from bot.domain.world import JobReport, PlaybookEvent
    from bot.engine.step import StepContext

EVENTS = "events.jsonl"
BAD = frozenset({"failed", "unreachable"})
BLIND_LIMIT = 600.0  # seconds without any view of the control host; the playbook runs on there all the while
MESSAGE_LIMIT = 500


@dataclass(slots=True)
class Progress:
    """What the events said so far."""

    offset: int = 0
    tasks: int = 0
    now: PlaybookEvent | None = None
    bad: list[PlaybookEvent] = field(default_factory=list)


async def follow(ctx: StepContext, name: str) -> JobReport:
    """Report the playbook's tasks as they come until the job has ended, and return its last report.

    A control host that is out of sight for a while is waited for: the job does not need us. Raises `Unavailable` after
    `BLIND_LIMIT`, `StepFailed` when the job is unknown there.
    """
    progress, seen_at = Progress(), ctx.ports.clock.monotonic()
    while True:
        try:
            report = await _look(ctx, name, progress)
        except Unavailable as error:
            blind = ctx.ports.clock.monotonic() - seen_at
            if blind > BLIND_LIMIT:
                raise
            await ctx.report(f"The playbook is out of sight for {spoken(blind)}: {error.message}", {"job": name})
        else:
            seen_at = ctx.ports.clock.monotonic()
            if report.state is not JobState.RUNNING:
                return report
        await ctx.ports.clock.sleep(seconds=ctx.environment.poll)


async def _look(ctx: StepContext, name: str, progress: Progress) -> JobReport:
    """Look at the job first and read its events after, so that none of an ended job is missed."""
    report = await ctx.ports.control_jobs.look(name=name)
    if report is None:
        raise StepFailed(f"The control host knows no job {name}.", hint="retry: the playbook is then run anew")
    if await read_events(ctx, name, progress) and progress.now:
        await _tell(ctx, name, progress, progress.now)
    return report


async def read_events(ctx: StepContext, name: str, progress: Progress) -> bool:
    """Read what is new in the job's events into ``progress``; tell whether there was anything."""
    before = progress.offset
    while True:
        chunk = await ctx.ports.control_jobs.read(name=name, file=EVENTS, offset=progress.offset)
        if chunk.next_offset == progress.offset:
            return progress.offset != before
        progress.offset = chunk.next_offset
        for event in ctx.ports.playbooks.parse(lines=chunk.text):
            _take(progress, event)


def _take(progress: Progress, event: PlaybookEvent) -> None:
    if event.status == "started":
        progress.tasks += 1
    if event.status in BAD:
        progress.bad.append(event)
    if event.task:
        progress.now = event


async def _tell(ctx: StepContext, name: str, progress: Progress, event: PlaybookEvent) -> None:
    facts = {
        "job": name,
        "attach": ctx.ports.control_jobs.attach_line(name=name),
        "task": progress.tasks,
        "role": event.role,
        "name": event.task,
        "status": event.status,
    }
    await ctx.report(f"Task {progress.tasks}: {event.role + ' · ' if event.role else ''}{event.task}", facts)


async def why_ended(ctx: StepContext, report: JobReport) -> str:
    """Say how a playbook that did not succeed ended, with the tasks that failed."""
    progress = Progress()
    await read_events(ctx, report.name, progress)
    if report.state is JobState.LOST:
        at = f" during {_named(progress.now)}" if progress.now else ""
        return f"The playbook died{at}: it left no exit status."
    failed = [f"{_named(event)} on {event.host}: {event.message[:MESSAGE_LIMIT]}" for event in progress.bad[-3:]]
    return "\n".join([f"The playbook ended with exit status {report.exit_status}.", *failed])


def _named(event: PlaybookEvent) -> str:
    return f"{event.role} · {event.task}" if event.role else event.task
