"""supervisord with METASPACE's programs, run as they are on the web server: same names, groups and log folders."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from signal import SIGKILL
from typing import TYPE_CHECKING, Self

from sandbox.processes import Child, Processes, answers, descendants, end, free_port, output, signal_group, until
from sandbox.programs.datasets import Datasets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the server's programs live, in seconds.

    ``lithops`` is after how long sm-lithops-daemon's programs end by themselves, ``start`` how long a program must run to count
    as started (supervisor's startsecs), ``annotate`` what one dataset takes.
    """

    lithops: float = 3600.0
    start: int = 1
    annotate: float = 5.0


class Supervisor:
    """One supervisord. ``bin_folder`` is where a ``supervisorctl`` is put that knows it; the rest is below ``root``.

    With ``search``, sm-update-daemon and sm-graphql work on the search indices that the checkout's configuration names.
    """

    def __init__(
        self,
        processes: Processes,
        root: Path,
        *,
        checkout: Path,
        www: Path,
        bin_folder: Path,
        pace: Pace | None = None,
        search: bool = False,
    ) -> None:
        self.root = root
        self.checkout = checkout
        self.www = www
        self.bin = bin_folder
        self.pace = pace or Pace()
        self.search = search
        self.site_port = free_port()
        self.api_port = free_port()
        self.datasets = Datasets(root / "datasets.json")
        self.configuration = root / "supervisord.conf"
        self._processes = processes
        self._child: Child | None = None

    @property
    def site_url(self) -> str:
        """Where the front page is."""
        return f"http://127.0.0.1:{self.site_port}/"

    @property
    def graphql_url(self) -> str:
        """Where GraphQL is."""
        return f"http://127.0.0.1:{self.site_port}/graphql"

    async def __aenter__(self) -> Self:
        self.prepare()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def prepare(self) -> None:
        """Write the configuration and the command for it."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.datasets.fill()
        self.configuration.write_text(self._configuration(), encoding="utf-8")
        self.bin.mkdir(parents=True, exist_ok=True)
        command = self.bin / "supervisorctl"
        program = f"'{sys.executable}' -m supervisor.supervisorctl -c '{self.configuration}'"
        command.write_text(f'#!/bin/sh\nexec {program} "$@"\n', encoding="utf-8")
        command.chmod(0o755)

    async def start(self) -> None:
        """Start supervisord and wait until all programs run and the site answers."""
        argv = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(self.configuration)]
        self._child = await self._processes.start("supervisord", argv)
        await until(self._up, what="supervisord with its programs", deadline=60, child=self._child)

    async def stop(self) -> None:
        """End supervisord and its programs: itself first, at once, because it would take a second over each of them."""
        child, self._child = self._child, None
        if child is not None:
            family = descendants(child.pid)
            signal_group(child.pid, SIGKILL)
            await end(family, grace=5)
            await self._processes.stop(child)

    async def ctl(self, *arguments: str) -> str:
        """Run supervisorctl and return what it printed, whatever its exit status (``status`` has one that tells states)."""
        script = '"$@" || true'
        return await output(["sh", "-c", script, "sh", str(self.bin / "supervisorctl"), *arguments])

    async def restart(self, name: str) -> None:
        """Restart and wait until all programs run and the site answers: RUNNING alone means only "for a second"."""
        await self.ctl("restart", name)
        await until(self._up, what=name, deadline=60)

    async def states(self) -> Mapping[str, str]:
        """Return each program's state in supervisor's words, by its full name (``group:name`` in a group)."""
        lines = [line.split() for line in (await self.ctl("status")).splitlines()]
        return {words[0]: words[1] for words in lines if len(words) > 1 and words[1].isupper()}

    async def _up(self) -> bool:
        if not (self.root / "supervisor.sock").exists() or not await answers(self.site_port):
            return False
        states = await self.states()
        return bool(states) and set(states.values()) == {"RUNNING"}

    def _configuration(self) -> str:
        user = "user=root\n" if os.geteuid() == 0 else ""  # else it warns of running as root
        head = (
            f"[unix_http_server]\nfile={self.root}/supervisor.sock\nchmod=0700\n\n"
            f"[supervisord]\nlogfile={self.root}/supervisord.log\npidfile={self.root}/supervisord.pid\n"
            f"childlogdir={self.root}\n{user}\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n"
            f"[supervisorctl]\nserverurl=unix://{self.root}/supervisor.sock\n\n"
        )
        return head + "\n".join(self._program(name, *rest) for name, rest in self._programs().items())

    def _programs(self) -> Mapping[str, tuple[str, str, int]]:
        """Return what runs: module with arguments, part of METASPACE that holds its log, and how many of it."""
        site = f"--www '{self.www}' --datasets '{self.datasets.file}'"
        daemon = "sandbox.programs.daemon --name"
        pace = f"--exit-after {self.pace.lithops} --annotate-seconds {self.pace.annotate}"
        updates = f"sandbox.programs.updates --checkout '{self.checkout}'"
        site += " --search" if self.search else ""
        lithops = f"sandbox.programs.lithops --number %(process_num)s --datasets '{self.datasets.file}' {pace}"
        return {
            "sm-api": (f"sandbox.programs.api --checkout '{self.checkout}' --port {self.api_port}", "engine", 1),
            "sm-graphql": (
                f"sandbox.programs.graphql --checkout '{self.checkout}' --port {self.site_port} {site}",
                "graphql",
                1,
            ),
            "sm-update-daemon": (updates if self.search else f"{daemon} sm-update-daemon", "engine", 1),
            "sm-cluster-autostart": (f"{daemon} sm-cluster-autostart", "engine", 1),
            "sm-lithops-daemon": (lithops, "engine", 2),
        }

    def _program(self, name: str, module: str, part: str, count: int) -> str:
        numbered = f"{name}-%(process_num)s" if count > 1 else name
        return (
            f"[program:{name}]\nprocess_name={numbered}\nnumprocs={count}\ncommand={sys.executable} -m {module}\n"
            f"redirect_stderr=true\nstdout_logfile={self.checkout}/metaspace/{part}/logs/{numbered}.log\n"
            f"startsecs={self.pace.start}\nstartretries=1\nautorestart=true\nstopwaitsecs=5\nstopasgroup=true\nkillasgroup=true\n"
        )
