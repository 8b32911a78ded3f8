"""The web server that is released to: its checkout, its programs, its webapp. Read over SSH, each in one round trip."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain import reflog
from bot.domain.errors import StepFailed
from bot.domain.world import Checkout, Program, ReflogEntry
from bot.telemetry import scrub
from integrations.sshcommand import EXCERPT, CommandFailed
from integrations.supervisor import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bot.settings import ServerSettings
    from integrations.ssh import SshHost
    from integrations.sshcommand import Result

_CHECKOUT = """
cd "$1" && git rev-parse HEAD && { git symbolic-ref --quiet --short HEAD || echo; } || exit 1
git status --porcelain --untracked-files=no | head -n 1
"""
# The kernel's own times: seconds since boot, the clock, ticks a second, and each process's start in ticks since boot.
# Not btime: it is cut to whole seconds.
_STARTS = """
cut -d ' ' -f 1 /proc/uptime; date +%s.%N; getconf CLK_TCK
for pid in "$@"; do sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | awk -v pid="$pid" '{print pid, $20}'; done; true
"""
# A line without a time of its own (a stack, say) belongs to the one before it. The log's times are the server's local ones.
_COUNT = """
test -r "$1" || exit 3
awk -v words="$2" -v since="$(date -d "@$3" '+%Y-%m-%d %H:%M:%S')" '
  /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]/ { at = substr($0, 1, 19) }
  at >= since && index($0, words) { n++ }
  END { print n + 0 }' "$1"
"""
_NO_LOG = 3


class WebServer:
    """Implements `bot.ports.Server`."""

    def __init__(self, ssh: SshHost, settings: ServerSettings, log: str = "") -> None:
        """The server's times are corrected by the connection. ``log`` is sm-graphql's, relative to the checkout."""
        self._ssh, self._settings, self._log = ssh, settings, log

    async def checkout(self) -> Checkout:
        """Return commit and branch; raises `CommandFailed` when there is no checkout."""
        said = (await self._ssh.run(["sh", "-c", _CHECKOUT, "checkout", self._settings.checkout])).stdout.split("\n")
        return Checkout(commit=said[0], branch=said[1], dirty=bool(said[2].strip()) if len(said) > 2 else False)  # noqa: PLR2004

    async def reflog(self) -> Sequence[ReflogEntry]:
        """Return where HEAD has been, newest first; nothing where Git has kept nothing or there is no checkout."""
        argv = ["git", "-C", self._settings.checkout, *reflog.COMMAND]
        done = await self._ssh.run(argv, check=False)
        entries = reflog.parse(done.stdout) if done.status == 0 else ()
        return [replace(one, at=await self._ssh.to_bot_time(one.at.timestamp())) for one in entries]

    async def webapp_built_at(self) -> datetime | None:
        """Return when the file that every build writes anew was written, or None when it is not there."""
        done = await self._ssh.run(["stat", "-L", "-c", "%.Y", "--", self._settings.webapp_index], check=False)
        return await self._ssh.to_bot_time(float(done.stdout)) if done.status == 0 else None

    async def programs(self) -> Sequence[Program]:
        """Return every program of supervisor, with the start time that the kernel gives its process."""
        done = await self._supervisorctl("status")
        found = parse(f"{done.stdout}\n{done.stderr}")
        starts = await self._starts([one.pid for one in found if one.pid])
        plain = [Program(one.name, one.group, one.state, one.pid, None, one.detail) for one in found]
        return [replace(one, started_at=starts.get(one.pid)) if one.pid else one for one in plain]

    async def count_in_log(self, *, words: str, since: datetime) -> int | None:
        """Count the lines of sm-graphql's log as it is at the moment; what was rotated away is not read."""
        if not self._log:
            return None
        path = f"{self._settings.checkout}/{self._log}"
        argv = ["sh", "-c", _COUNT, "count", path, words, str(int(since.timestamp()))]
        done = await self._ssh.run(argv, check=False)
        if done.status == _NO_LOG:
            return None
        if done.status:
            raise CommandFailed(self._ssh.name, argv[:1], done.status, done.stderr)
        return int(done.stdout)

    async def restart(self, *, program: str) -> None:
        """Restart a program, or a whole group named ``group:*``; one that does not run is started.

        Raises `StepFailed` with supervisor's words, `Unavailable` when supervisord does not answer.
        """
        done = await self._supervisorctl("restart", program, deadline=120)
        said = f"{done.stdout}\n{done.stderr}".strip()
        wrong = [line for line in said.splitlines() if "ERROR" in line and not line.endswith("ERROR (not running)")]
        if wrong:
            raise StepFailed(
                f"{program} was not restarted: {scrub('; '.join(wrong))[:EXCERPT]}",
                hint=f"on {self._ssh.name}: supervisorctl tail {program}",
            )
        if ": started" not in said:
            parse(said)
            raise StepFailed(f"{program} was not restarted: {scrub(said)[:EXCERPT] or 'supervisorctl said nothing'}")

    async def _supervisorctl(self, *words: str, deadline: float = 30) -> Result:
        argv = [*self._settings.supervisorctl, *words]
        done = await self._ssh.run(argv, sudo=self._settings.sudo, check=False, timeout=deadline)
        if done.status in (126, 127):
            raise CommandFailed(self._ssh.name, argv, done.status, done.stderr)
        return done

    async def _starts(self, pids: Sequence[int]) -> Mapping[int, datetime]:
        if not pids:
            return {}
        said = (await self._ssh.run(["sh", "-c", _STARTS, "starts", *map(str, pids)])).stdout.splitlines()
        up, now, ticks = (float(line) for line in said[:3])
        pairs = [line.split() for line in said[3:]]
        return {int(pid): await self._ssh.to_bot_time(now - up + float(start) / ticks) for pid, start in pairs}
