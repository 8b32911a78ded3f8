"""Reindexing on the web server: workplaces outside of the checkout, and jobs that run METASPACE's scripts for days.

What does the work there is `integrations/reindex_host`, packed into one file that bears the hash of its content: another bot's
version lies beside it, and a job goes on with what it was started with. See docs/reindexing.md.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Conflict, StepFailed, Unavailable, WrongUse
from bot.domain.indices import Definition, Definitions
from bot.domain.reindexing import Failure, Ledger, Target
from bot.domain.world import JobSpec, JobState
from bot.telemetry import scrub
from integrations.reindex_workplace import Workplaces
from integrations.sshcommand import EXCERPT, CommandFailed, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.indices import Pair
    from bot.domain.reindexing import Order, Workplace
    from bot.ports import Clock
    from bot.settings import EnvironmentSettings
    from integrations.jobs import TmuxJobs
    from integrations.ssh import SshHost

_HOST = Path(__file__).resolve().with_name("reindex_host")
_MAIN = "import sys\nfrom reindex_host.main import main\nsys.exit(main())\n"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,90}")
_CONFLICT, _CUT, _BUSY = 17, 65, 75
_REST, _PATIENCE, _AIM = 30.0, 1800.0, 20.0  # seconds: see docs/reindexing.md


@cache
def packed() -> bytes:
    """Return the program for the server: the same bytes for the same sources."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        sources = {f"reindex_host/{one.name}": one.read_text("utf-8") for one in sorted(_HOST.glob("*.py"))}
        for name, text in {**sources, "__main__.py": _MAIN}.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return data.getvalue()


class ServerReindexing:
    """Implements `bot.search_ports.Reindexing` for one web server."""

    def __init__(self, ssh: SshHost, jobs: TmuxJobs, settings: EnvironmentSettings, clock: Clock) -> None:
        """``jobs`` are those of the web server."""
        self._ssh, self._jobs, self._settings = ssh, jobs, settings.reindexing
        self._program = f"{self._settings.workspace}/.bin/reindex-{hashlib.sha256(packed()).hexdigest()[:12]}.pyz"
        self._installed = False
        self._live = f"{settings.server.checkout}/{self._settings.engine}"
        self._workplaces = Workplaces(ssh, settings, clock, self.host)

    async def workplace(self, *, release: str) -> Workplace | None:
        """Return the release's workplace, or None where there is none, or only half of one."""
        return await self._workplaces.read(release)

    async def workplaces(self) -> Sequence[Workplace]:
        """Return all that there are, oldest first."""
        return await self._workplaces.all()

    async def make_workplace(self, *, release: str, commit: str, pair: Pair) -> Workplace:
        """Make it, or return it; `Conflict` when it is there for another commit or pair, `StepFailed` with what is missing."""
        return await self._workplaces.make(release, commit, pair)

    async def remove_workplace(self, *, release: str) -> None:
        """Remove it, also half of one; `Conflict` while a job works with it."""
        code = self._workplaces.code(release)
        for job in await self._jobs.find(marks={"code": code}):
            if job.state is JobState.RUNNING or (job.state is JobState.LOST and await self._workplaces.busy()):
                raise Conflict(
                    f"{job.name} works with the workplace of {release}.",
                    hint=f"/release jobs stop {job.name}, or look at it: {self._jobs.attach_line(name=job.name)}",
                    changed="Nothing.",
                )
        await self._workplaces.remove(release)

    async def definitions(self, *, workplace: Workplace) -> Definitions:
        """Return what the code would create; raises `StepFailed` with its words when it cannot be asked."""
        source = (_HOST / "definitions.py").read_bytes()
        argv = [*self._settings.python, "-"]
        try:
            done = await self._ssh.run(argv, stdin=source, cwd=workplace.code, timeout=120)
            said: Any = json.loads(done.stdout.strip().splitlines()[-1])
            made = {kind: Definition(said[kind]["mappings"], said[kind]["settings"]) for kind in said}
            return Definitions(made["dataset"], made["annotation"])
        except (CommandFailed, ValueError, LookupError, TypeError) as error:
            why = error.stderr if isinstance(error, CommandFailed) else "it said nothing that can be read"
            raise StepFailed(
                f"The code of {workplace.commit:.8} does not say which indices it creates: {why[-EXCERPT:]}",
                hint=f"in {workplace.code} on {self._ssh.name}: does reindexing.python import sm.engine.es_export?",
                changed="Nothing.",
            ) from error

    async def order(self, *, name: str, order: Order) -> JobSpec:
        """Write the order, and return the job that is to run: the one at work, or a new one to go on where the last ended.

        The job bears the order's name, with a number from the second one on, and the mark ``order``. Raises `Conflict` when an
        order of that name writes elsewhere, or is at work on other datasets; `StepFailed` when the configuration does not name
        the pair.
        """
        done = await self.host("order", self._folder(name), stdin=json.dumps(self._told(order)).encode())
        if done.status == _CUT:
            raise Unavailable(f"{self._ssh.name} did not get all of the order.", hint="retry", changed="Nothing.")
        if done.status == _CONFLICT:
            raise Conflict(
                f"{name} cannot be ordered on {self._ssh.name}: {_words(done)}.",
                hint="/release jobs",
                changed="Nothing.",
            )
        if done.status:
            raise StepFailed(f"{name} cannot be ordered on {self._ssh.name}: {_words(done)}.", changed="Nothing.")
        code, _ = self._places(order)
        return JobSpec(
            name=await self._attempt(name, left=int(done.stdout)),
            argv=("python3", self._program, "run", self._folder(name)),
            cwd=self._folder(name),
            env={"PYTHONUNBUFFERED": "1"},
            marks={**order.marks, "kind": "reindex", "order": name, "code": code, "target": str(order.target)},
            lock=f"reindex-{order.target}-" + re.sub(r"[^A-Za-z0-9]+", "-", self._settings.workspace).strip("-")[-60:],
            nice=True,
        )

    async def _attempt(self, name: str, *, left: int) -> str:
        found = await self._jobs.find(marks={"order": name})
        if not found:
            return name
        last = found[-1]
        ended = last.state is not JobState.RUNNING and (left or last.exit_status)
        return f"{name}-{len(found) + 1}" if ended else last.name

    async def ledger(self, *, name: str) -> Ledger | None:
        """Return how far the order has come, whichever of its jobs wrote it; None before anything was written."""
        done = await self.host("show", self._folder(name))
        try:
            said: Any = json.loads(done.stdout)
            return None if said is None else await self._ledger(said)
        except (ValueError, LookupError, TypeError) as error:
            raise Unavailable(f"How far {name} has come cannot be read on {self._ssh.name}: {_words(done)}") from error

    async def _ledger(self, said: Any) -> Ledger:
        return Ledger(
            total=said["total"],
            done=said["done"],
            failed=tuple(Failure(one["dataset"], one["tries"], scrub(one["said"])) for one in said["failed"]),
            in_work=tuple(said["in_work"]),
            workers=said["workers"],
            wanted_workers=said["wanted_workers"],
            slowed=scrub(said["slowed"]),
            awaits_probe=said["awaits_probe"],
            ended=said["ended"],
            history=tuple([(await self._ssh.to_bot_time(at), done) for at, done in said["history"]]),
            gone=tuple(said["gone"]),
            at=await self._ssh.to_bot_time(said["at"]),
        )

    async def set_workers(self, *, name: str, workers: int) -> None:
        """Let so many workers share the work from now on; 0 pauses."""
        if not 0 <= workers <= self._settings.most_workers:
            raise WrongUse(f"{workers} workers are too many or too few.", hint=f"0 to {self._settings.most_workers}")
        await self._say(name, "workers", str(workers))

    async def throttle(self, *, name: str, allowed: int | None, why: str) -> None:
        """Let no more than so many run, whatever is wanted; None takes it back. Lapses after a quarter of an hour."""
        await self._say(name, "allow", str(-1 if allowed is None else max(0, allowed)), why[:200])

    async def let_go_on(self, *, name: str) -> None:
        """Say that the first dataset landed in the right pair."""
        await self._say(name, "go")

    def commands(self, *, order: Order) -> tuple[str, ...]:
        """Return the argument list, for the folder of the code, with the ids in a file ``ids.txt``, one a line."""
        fields = ("--update-fields", ",".join(order.fields)) if order.fields else ()
        script = (*self._settings.python, "-m", "scripts.update_es_index")
        return ("nice", *script, "--config", self._places(order)[1], "--ds-file", "ids.txt", *fields)

    async def _say(self, name: str, command: str, *words: str) -> None:
        done = await self.host(command, "--", self._folder(name), *words)
        if done.status:
            raise StepFailed(f"{name} could not be told: {_words(done)}", hint="/release jobs", changed="Nothing.")

    def _told(self, order: Order) -> dict[str, Any]:
        ours, (code, configuration) = self._settings, self._places(order)
        what = {
            "target": str(order.target),
            "datasets": list(dict.fromkeys(order.datasets)),
            "fields": list(order.fields),
        }
        where = {"code": code, "configuration": configuration, "python": list(ours.python)}
        how = {"workers": order.workers, "probe": order.probe, "tries": ours.tries}
        pace = {"rest": _REST, "patience": _PATIENCE, "aim": _AIM}
        pair = {"dataset": order.pair.dataset, "annotation": order.pair.annotation}
        guard = f"{ours.workspace}/.{order.target}.lock"
        return {**what, **where, **how, **pace, "pair": pair, "guard": guard}

    def _places(self, order: Order) -> tuple[str, str]:
        """Return folder and configuration of the code: for live data always those of the checkout."""
        if order.target is Target.LIVE:
            return self._live, f"{self._live}/{self._settings.configuration}"
        return order.code, order.configuration

    def _folder(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise WrongUse(f"{name[:60]!r} is no name for an order.", hint="letters, digits, - and _")
        return f"{self._settings.workspace}/orders/{name}"

    async def host(self, *words: str, stdin: bytes | None = None) -> Result:
        """Run a command of our program on the server, and bring the program there if it is not."""
        argv = ["python3", self._program, *words]
        done = await self._ssh.run(argv, stdin=stdin, check=False) if self._installed else None
        if done is None or (done.status == 2 and "can't open file" in done.stderr):  # noqa: PLR2004  # Python's own
            await self._ssh.run(["sh", "-c", 'umask 077; mkdir -p "$1"', "sh", str(Path(self._program).parent)])
            await self._ssh.put(self._program, packed(), 0o700)
            self._installed = True
            done = await self._ssh.run(argv, stdin=stdin, check=False)
        return done


def _words(done: Result) -> str:
    return scrub(done.stderr.strip())[-EXCERPT:] or f"status {done.status}"
