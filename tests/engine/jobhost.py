"""A server with jobs, in memory: what its wrapper and its ledger would say, and what was asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot.domain.errors import HostUnreachable
from bot.domain.jobs import Wanted
from bot.domain.reindexing import Failure, Ledger
from bot.domain.world import Chunk, JobReport, JobState
from bot.engine.following import Following, Workshop
from tests.engine.clock import BEGIN

if TYPE_CHECKING:
    from bot.engine.bell import Bell
    from bot.engine.store import Store
    from bot.ports import Clock
    from tests.engine.test_narrator import Outbox

NAME = "r1-es_update-1"
JOB = Wanted("web", NAME, "es_update", "Elasticsearch update")


@dataclass
class JobHost:
    """Both of `bot.ports.Jobs` and `bot.ports.Reindexing`, as far as following needs them."""

    reports: dict[str, JobReport] = field(default_factory=dict)
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    log: bytes = b""
    looks: int = 0
    reads: int = 0
    stopped: list[str] = field(default_factory=list)
    away: bool = False

    def begin(self, name: str = NAME, *, total: int = 100) -> None:
        self.reports[name] = JobReport(name, JobState.RUNNING, BEGIN, BEGIN, {})
        self.ledgers[name] = Ledger(total, 0, workers=2, wanted_workers=2, history=((BEGIN, 0),))

    def at(self, clock: Clock, done: int, *, failed: int = 0, name: str = NAME) -> None:
        old = self.ledgers[name]
        failures = tuple(Failure(f"2016-0{n}", 3, "KeyError: 'ms_acquisition'") for n in range(failed))
        history = (*old.history, (clock.now(), done))
        self.ledgers[name] = replace(old, done=done, failed=failures, history=history, ended=done + failed >= old.total)

    def end(self, clock: Clock, status: int | None, name: str = NAME) -> None:
        state = JobState.LOST if status is None else JobState.FINISHED
        ended = None if status is None else clock.now()
        self.reports[name] = replace(self.reports[name], state=state, exit_status=status, finished_at=ended)

    async def look(self, *, name: str) -> JobReport | None:
        self.looks += 1
        if self.away:
            raise HostUnreachable("web does not answer.", hint="wait")
        return self.reports.get(name)

    async def ledger(self, *, name: str) -> Ledger | None:
        return self.ledgers.get(name)

    async def stop(self, *, name: str) -> None:
        self.stopped.append(name)
        self.reports[name] = replace(
            self.reports[name], state=JobState.FINISHED, exit_status=143, finished_at=self.reports[name].heartbeat_at
        )

    async def set_workers(self, *, name: str, workers: int) -> None:
        self.ledgers[name] = replace(self.ledgers[name], workers=workers, wanted_workers=workers)

    async def read(self, *, name: str, file: str, offset: int, limit: int = 65536) -> Chunk:
        """Whole lines, as `integrations.jobs.TmuxJobs.read` gives them."""
        assert file == "log"
        self.reads += 1
        data = self.log[offset : offset + limit]
        whole = data.rfind(b"\n") + 1 or (len(data) if len(data) >= limit else 0)
        return Chunk(data[:whole].decode(), offset + whole)

    def attach_line(self, *, name: str) -> str:
        return f"ssh -t ubuntu@web 'tmux -L releasebot attach -r -t ={name}'"


def following(store: Store, clock: Clock, bell: Bell, host: JobHost, outbox: Outbox) -> Following:
    workshop = Workshop({"web": host}, host, most_workers=8)  # type: ignore[dict-item,arg-type]  # what following needs of them
    return Following(store, outbox, clock, bell, {"prod": workshop})
