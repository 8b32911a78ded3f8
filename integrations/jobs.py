"""Long processes on a server: in tmux, under a wrapper (`integrations/job_wrapper.py`) that the bot only reads from.

What is on the server decides: of all wrappers started for a job's folder one alone gets its claim, and the receipt is a file
that it renames into place. Nothing is kept here. See docs/jobs.md.
"""

from __future__ import annotations

import codecs
import json
import re
import shlex
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from bot import permit
from bot.domain.errors import Conflict, StepFailed, Unavailable, WrongUse
from bot.domain.world import Chunk, JobReport, JobState
from bot.telemetry import scrub
from integrations.sshcommand import EXCERPT, CommandFailed, NoSuchFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.domain.world import JobSpec
    from bot.ports import Clock
    from bot.settings import HostSettings
    from integrations.ssh import SshHost
    from integrations.sshcommand import Result

_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,100}")
_WRAPPER = Path(__file__).resolve().with_name("job_wrapper.py")
_BORN = 20.0  # seconds that a job may take from its folder to its wrapper
_START_DEADLINE = 60.0  # seconds
_GRACE = 10.0  # seconds between TERM and KILL
_CUT, _GONE, _THERE, _HELD = 65, 66, 17, 75
# $1 the job's folder, $2 the wrapper, $3 tmux's socket name, $4 the job's name, $5 the size of the spec on stdin.
# Whoever starts a second wrapper for a folder does no harm: it finds the first one's claim and goes away. tmux is asked three
# times, because its server ends with its last session and may be about to.
_START = """
umask 077
[ -e "$2" ] || exit 66
[ ! -e "$1/wrapper.json" ] || exit 17
mkdir -p "$1" || exit
cat > "$1/spec.$$.new"
[ "$(wc -c < "$1/spec.$$.new")" -eq "$5" ] || { rm -f "$1/spec.$$.new"; exit 65; }
rm -f "$1/refused"
mv -f "$1/spec.$$.new" "$1/spec.json" || exit
for try in 1 2 3; do
  tmux -L "$3" -f /dev/null new-session -d -s "$4" -x 200 -y 50 \
    env PATH="$PATH" HOME="$HOME" LANG="${LANG:-C.UTF-8}" python3 "$2" run "$1" && break
  tmux -L "$3" has-session -t "=$4" && break
  [ ! -e "$1/wrapper.json" ] || break
  sleep 0.3
done
for try in $(seq 400); do
  [ ! -e "$1/wrapper.json" ] || exit 0
  [ ! -e "$1/refused" ] || { cat "$1/refused"; exit 75; }
  sleep 0.05
done
exit 1
"""


class TmuxJobs:
    """Implements `bot.ports.Jobs` for one host."""

    def __init__(self, ssh: SshHost, settings: HostSettings, clock: Clock, *, grace: float = _GRACE) -> None:
        """Jobs live below ``settings.jobs`` on the host; ``grace`` is the seconds between TERM and KILL when one is stopped."""
        self._ssh, self._settings, self._clock, self._grace = ssh, settings, clock, grace
        self._wrapper = f"{settings.jobs}/.bin/job_wrapper.py"
        self._installed = False

    async def start(self, *, spec: JobSpec) -> None:
        """Start it, and return once its wrapper has written who it is; harmless when it was started before.

        Raises `Conflict` naming the holder when another job holds the lock (nothing is kept of this one then), `StepFailed`
        when it cannot be started within 20 s.
        """
        folder = self._folder(spec.name)
        data = json.dumps(await self._written(spec)).encode()
        argv = [
            "sh",
            "-c",
            _START,
            "start",
            folder,
            self._wrapper,
            self._settings.tmux_socket,
            spec.name,
            str(len(data)),
        ]
        permit.demand(outliving=_START_DEADLINE)
        done = await self._with_wrapper(argv, missing=_GONE, stdin=data, timeout=_START_DEADLINE)
        if done.status == _HELD:
            raise self._conflict(spec, done.stdout)
        if done.status == _CUT:
            raise Unavailable(f"{self._ssh.name} did not get all of {spec.name}.", hint="retry", changed="Nothing.")
        if done.status not in (0, _THERE):
            raise StepFailed(
                f"{spec.name} did not start on {self._ssh.name}: {scrub(done.stderr.strip())[-EXCERPT:] or 'no sign of it'}",
                hint=f"python3 and tmux must be there, and {self._settings.jobs} writable; then retry",
            )

    async def _written(self, spec: JobSpec) -> dict[str, object]:
        lock = f"{self._settings.jobs}/.locks/{_checked(spec.lock)}" if spec.lock else ""
        created = self._clock.now().timestamp() + await self._ssh.offset()
        told = {"name": spec.name, "argv": spec.argv, "cwd": spec.cwd, "env": dict(spec.env), "marks": dict(spec.marks)}
        return {**told, "lock": lock, "nice": spec.nice, "created": created, "grace": self._grace}

    def _conflict(self, spec: JobSpec, said: str) -> Conflict:
        try:
            holder = str(json.loads(said))
        except ValueError:
            holder = ""
        known = _NAME.fullmatch(holder)
        return Conflict(
            f"{holder if known else 'Another job'} is running on {self._ssh.name} and must not run beside {spec.name}.",
            hint=f"wait for it, or look at it: {self.attach_line(name=holder)}" if known else "wait for it",
            changed="Nothing.",
        )

    async def look(self, *, name: str) -> JobReport | None:
        """Return what is known of the job, or None if it was never started, or only refused for its lock."""
        found = await self._facts([_checked(name)])
        return await self._report(found[0]) if found else None

    async def find(self, *, marks: Mapping[str, str]) -> Sequence[JobReport]:
        """Return every job whose marks include these, oldest first."""
        wanted = set(marks.items())
        found = [one for one in await self._facts([]) if wanted <= set(one["marks"].items())]
        return [await self._report(one) for one in sorted(found, key=lambda one: (one["created"], one["name"]))]

    async def read(self, *, name: str, file: str, offset: int, limit: int = 65536) -> Chunk:
        """Return whole lines of a file in the job's folder, from a byte offset; nothing while it is not there.

        A line longer than ``limit`` bytes comes in parts, never cut within a character.
        """
        if not _FILE.fullmatch(file):
            raise WrongUse(f"A job has no file {file[:60]!r}.", hint="log, events.jsonl")
        try:
            data = await self._ssh.read(f"{self._folder(name)}/{file}", offset, limit)
        except NoSuchFile:
            return Chunk("", offset)
        whole = data.rfind(b"\n") + 1 or (_characters(data) if len(data) >= limit else 0)
        return Chunk(data[:whole].decode("utf-8", "replace"), offset + whole)

    async def stop(self, *, name: str) -> None:
        """End the job's processes, TERM first, KILL later, and wait until its receipt says so. Harmless when it has ended."""
        argv = ["python3", self._wrapper, "stop", self._folder(name)]
        done = await self._with_wrapper(argv, missing=2, timeout=self._grace * 2 + 30)
        if done.status:
            raise CommandFailed(self._ssh.name, argv, done.status, done.stderr)

    def attach_line(self, *, name: str) -> str:
        """Return the line that a person types to look at the job by hand."""
        where, socket = self._settings, self._settings.tmux_socket
        port = [] if where.port == 22 else ["-p", str(where.port)]  # noqa: PLR2004  # SSH's own port
        remote = shlex.join(["tmux", "-L", socket, "attach", "-r", "-t", f"={_checked(name)}"])
        return shlex.join(["ssh", "-t", *port, f"{where.user}@{where.host}", remote])

    async def _with_wrapper(
        self,
        argv: Sequence[str],
        *,
        missing: int,
        stdin: bytes | None = None,
        timeout: float = 60.0,  # noqa: ASYNC109
    ) -> Result:
        """Run a command that needs our program on the host; status ``missing`` says that it is not there (any more)."""
        if not self._installed:
            await self._install()
        done = await self._ssh.run(argv, stdin=stdin, check=False, timeout=timeout)
        if done.status == missing:
            await self._install()
            done = await self._ssh.run(argv, stdin=stdin, check=False, timeout=timeout)
        return done

    async def _install(self) -> None:
        await self._ssh.run(["mkdir", "-p", str(PurePosixPath(self._wrapper).parent)])
        await self._ssh.put(self._wrapper, _WRAPPER.read_bytes(), 0o700)
        self._installed = True

    async def _facts(self, names: Sequence[str]) -> list[dict[str, Any]]:
        argv = ["python3", self._wrapper, "look", self._settings.jobs, *names]
        done = await self._with_wrapper(argv, missing=2)
        try:
            found: list[dict[str, Any]] = json.loads(done.stdout)
        except ValueError as error:
            raise Unavailable(
                f"The jobs on {self._ssh.name} cannot be read: {scrub(done.stderr.strip())[-EXCERPT:]}",
                hint="is python3 there?",
            ) from error
        return found

    async def _report(self, facts: Mapping[str, Any]) -> JobReport:
        receipt, started = facts["receipt"], facts["started"] or facts["created"]
        state = JobState.FINISHED if receipt else JobState.RUNNING if await self._goes_on(facts) else JobState.LOST
        return JobReport(
            name=facts["name"],
            state=state,
            started_at=await self._ssh.to_bot_time(started),
            heartbeat_at=await self._ssh.to_bot_time(facts["heartbeat"] or started),
            marks=facts["marks"],
            finished_at=await self._ssh.to_bot_time(receipt["finished"]) if receipt else None,
            exit_status=receipt["exit_status"] if receipt else None,
        )

    async def _goes_on(self, facts: Mapping[str, Any]) -> bool:
        """Its wrapper lives, or may be about to: somebody made the folder a moment ago."""
        if facts["started"]:
            return bool(facts["lives"])
        return bool(self._clock.now().timestamp() + await self._ssh.offset() - facts["created"] < _BORN)

    def _folder(self, name: str) -> str:
        return f"{self._settings.jobs}/{_checked(name)}"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise WrongUse(f"{name[:60]!r} is no name for a job or a lock.", hint="letters, digits, - and _")
    return name


def _characters(data: bytes) -> int:
    """Return how many of the bytes are whole characters: the last one may have been cut."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data)
    return len(data) - len(decoder.getstate()[0]) or len(data)
