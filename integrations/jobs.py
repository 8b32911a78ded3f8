"""Long processes on a server: in tmux, under a wrapper (`integrations/job_wrapper.py`) that the bot only reads from.

What is on the server decides: a job's folder is made by ``mkdir``, which one starter alone can do, and its receipt is a
file that the wrapper renames into place. Nothing is kept here but the wrapper's own text.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Conflict, StepFailed, Unavailable, WrongUse
from bot.domain.world import Chunk, JobReport, JobState
from integrations.ssh import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.domain.world import JobSpec
    from bot.ports import Clock
    from bot.settings import HostSettings
    from integrations.ssh import SshHost

_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_FILES = frozenset({"log", "events.jsonl"})
_HERE = Path(__file__).resolve().parent
_BORN = 20.0  # seconds that a job may take from its folder to its wrapper
_HELD, _THERE = 75, 17
# $1 the job's folder, $2 the lock file or nothing, $3 tmux's socket name, $4 the job's name, $5 the wrapper; spec on stdin.
_START = """
set -eu
umask 077
mkdir -p "$(dirname "$1")" "$(dirname "$5")"
if [ -n "$2" ] && [ ! -e "$1/wrapper.json" ]; then
  mkdir -p "$(dirname "$2")"; touch "$2"
  flock -n "$2" true || { cat "$2"; exit 75; }
fi
if mkdir "$1" 2>/dev/null || [ ! -e "$1/spec.json" ]; then cat > "$1/spec.json.new"; mv "$1/spec.json.new" "$1/spec.json"; fi
[ ! -e "$1/wrapper.json" ] || exit 17
tmux -L "$3" new-session -d -s "$4" -x 200 -y 50 "exec python3 '$5' '$1'" || tmux -L "$3" has-session -t "=$4"
"""


class TmuxJobs:
    """Implements `bot.ports.Jobs` for one host."""

    def __init__(self, ssh: SshHost, settings: HostSettings, clock: Clock) -> None:
        """Jobs live below ``settings.jobs`` on the host."""
        self._ssh, self._settings, self._clock = ssh, settings, clock
        self._programs: dict[str, str] = {}

    async def start(self, *, spec: JobSpec) -> None:
        """Start it; harmless when a job of that name exists; raises `Conflict` when its lock is held by another."""
        folder, wrapper = self._folder(spec.name), await self._program("job_wrapper.py")
        lock = f"{self._settings.jobs}/.locks/{_checked(spec.lock)}" if spec.lock else ""
        written = {
            "name": spec.name,
            "argv": list(spec.argv),
            "cwd": spec.cwd,
            "env": dict(spec.env),
            "marks": dict(spec.marks),
            "lock": lock,
            "nice": spec.nice,
            "created": self._clock.now().timestamp() + await self._ssh.offset(),
        }
        argv = ["sh", "-c", _START, "start", folder, lock, self._settings.tmux_socket, spec.name, wrapper]
        done = await self._ssh.run(argv, stdin=json.dumps(written).encode(), check=False)
        if done.status == _HELD:
            holder = done.stdout.strip() or "another job"
            raise Conflict(
                f"{holder} is running on {self._ssh.name} and must not run beside {spec.name}.",
                hint=f"wait for it, or look at it: {self.attach_line(name=holder)}"
                if _NAME.fullmatch(holder)
                else "wait for it",
                changed="Nothing.",
            )
        if done.status not in (0, _THERE):
            raise CommandFailed(self._ssh.name, ["tmux", "new-session", "-s", spec.name], done.status, done.stderr)
        await self._until_born(spec.name)

    async def _until_born(self, name: str) -> None:
        """Wait for the wrapper's first sign: only then is it certain that the job was started."""
        waited = 0.0
        while waited < _BORN:
            if (found := await self._facts([name])) and (found[0]["wrapper"] or found[0]["receipt"]):
                return
            await self._clock.sleep(seconds=0.2)
            waited += 0.2
        raise StepFailed(
            f"{name} did not start on {self._ssh.name} within {_BORN:.0f} s.",
            hint=f"look at it: {self.attach_line(name=name)}; python3 and tmux must be there",
        )

    async def look(self, *, name: str) -> JobReport | None:
        """Return what is known of the job, or None if it was never started."""
        found = await self._facts([_checked(name)])
        return await self._report(found[0]) if found else None

    async def find(self, *, marks: Mapping[str, str]) -> Sequence[JobReport]:
        """Return every job whose marks include these, oldest first."""
        wanted = set(marks.items())
        found = [one for one in await self._facts([]) if wanted <= set(one["marks"].items())]
        return [await self._report(one) for one in sorted(found, key=lambda one: (one["created"], one["name"]))]

    async def read(self, *, name: str, file: str, offset: int, limit: int = 65536) -> Chunk:
        """Return whole lines of the job's ``log`` or ``events.jsonl``, from a byte offset; a line longer than ``limit`` is cut."""
        if file not in _FILES:
            raise WrongUse(f"A job has no file {file!r}.", hint=", ".join(sorted(_FILES)))
        try:
            data = await self._ssh.read(f"{self._folder(name)}/{file}", offset, limit)
        except CommandFailed:
            return Chunk("", offset)  # nothing was written yet
        whole = data.rfind(b"\n") + 1 or (len(data) if len(data) >= limit else 0)
        return Chunk(data[:whole].decode("utf-8", "replace"), offset + whole)

    async def stop(self, *, name: str) -> None:
        """End the job: its wrapper sends TERM, later KILL, and writes the receipt. Harmless when it has ended."""
        found = await self._facts([_checked(name)])
        if found and found[0]["lives"]:
            await self._ssh.run(["kill", "-TERM", str(int(found[0]["wrapper"]["pid"]))], check=False)

    def attach_line(self, *, name: str) -> str:
        """Return the line that a person types to look at the job by hand."""
        where, socket = self._settings, self._settings.tmux_socket
        port = [] if where.port == 22 else ["-p", str(where.port)]  # noqa: PLR2004  # SSH's own port
        remote = shlex.join(["tmux", "-L", socket, "attach", "-r", "-t", f"={_checked(name)}"])
        return shlex.join(["ssh", "-t", *port, f"{where.user}@{where.host}", remote])

    async def _program(self, file: str) -> str:
        """Copy one of our programs to the host, once for this process; return its path there."""
        if file not in self._programs:
            target = f"{self._settings.jobs}/.bin/{file}"
            await self._ssh.run(["mkdir", "-p", f"{self._settings.jobs}/.bin"])
            await self._ssh.put(target, (_HERE / file).read_bytes(), 0o700)
            self._programs[file] = target
        return self._programs[file]

    async def _facts(self, names: Sequence[str]) -> list[dict[str, Any]]:
        probe = await self._program("job_probe.py")
        done = await self._ssh.run(["python3", probe, self._settings.jobs, *names], check=False)
        if done.status == 2:  # noqa: PLR2004  # python3 cannot open the program: the host was made anew
            self._programs.clear()
            done = await self._ssh.run(["python3", await self._program("job_probe.py"), self._settings.jobs, *names])
        try:
            found: list[dict[str, Any]] = json.loads(done.stdout)
        except ValueError as error:
            raise Unavailable(
                f"The jobs on {self._ssh.name} cannot be read: {done.stderr[:200]}", hint="is python3 there?"
            ) from error
        return found

    async def _report(self, facts: Mapping[str, Any]) -> JobReport:
        receipt, wrapper = facts["receipt"], facts["wrapper"]
        started = (receipt or wrapper or {}).get("started", facts["created"])
        young = wrapper is None and self._clock.now().timestamp() + await self._ssh.offset() - facts["created"] < _BORN
        state = JobState.FINISHED if receipt else JobState.RUNNING if facts["lives"] or young else JobState.LOST
        return JobReport(
            name=facts["name"],
            state=state,
            started_at=await self._ssh.to_bot_time(started),
            heartbeat_at=await self._ssh.to_bot_time(facts["heartbeat"] or started),
            marks=facts["marks"],
            finished_at=await self._ssh.to_bot_time(receipt["finished"]) if receipt else None,
            exit_status=receipt["exit_status"] if receipt else None,
        )

    def _folder(self, name: str) -> str:
        return f"{self._settings.jobs}/{_checked(name)}"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise WrongUse(f"{name[:60]!r} is no name for a job or a lock.", hint="letters, digits, - and _")
    return name
