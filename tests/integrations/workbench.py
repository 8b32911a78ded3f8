"""Jobs on a real server, and what may be read of them on its disk."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import psutil

from bot.domain.world import JobSpec, JobState
from bot.engine.clock import SystemClock
from integrations.jobs import TmuxJobs
from tests.integrations.helpers import settings_of, text

if TYPE_CHECKING:
    from pathlib import Path

    from bot.domain.world import JobReport
    from integrations.ssh import SshHost
    from sandbox.sshd import SshServer


class Bench:
    """Jobs of a folder of the test's own, and what may be read of them on the server's disk."""

    def __init__(self, host: SshHost, folder: Path, server: SshServer, *, grace: float = 10.0) -> None:
        self.host, self.folder = host, folder
        self.settings = settings_of(server, jobs=str(folder), tmux_socket=f"t-{folder.name}")
        self.jobs = TmuxJobs(host, self.settings, SystemClock(), grace=grace)

    async def start(self, name: str, *argv: str, **rest: Any) -> None:
        await self.jobs.start(spec=JobSpec(name, argv, **{"cwd": "/", **rest}))

    async def look(self, name: str) -> JobReport:
        report = await self.jobs.look(name=name)
        assert report is not None
        return report

    async def ended(self, name: str) -> JobReport:
        """Wait until the job is no longer running."""
        async with asyncio.timeout(20):
            while (report := await self.look(name)).state is JobState.RUNNING:
                await self.host.run(["true"])
            return report

    async def tmux(self, *words: str) -> str:
        return (await self.host.run(["tmux", "-L", self.settings.tmux_socket, *words], check=False)).stdout

    def log(self, name: str) -> str:
        return text(self.folder / name / "log")

    def receipt(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(text(self.folder / name / "status.json"))
        return found

    def process(self, name: str, who: str) -> psutil.Process:
        """The wrapper's or the child's process."""
        return psutil.Process(json.loads(text(self.folder / name / f"{who}.json"))["pid"])


def waiting(go: Path, say: str = "") -> tuple[str, ...]:
    """Work that lasts until the file is there."""
    return ("sh", "-c", f'echo {say}; while [ ! -e "$1" ]; do sleep 0.02; done', "sh", str(go))
