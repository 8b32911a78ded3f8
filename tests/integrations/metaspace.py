"""A METASPACE to release to: web server with programs, code and configuration repositories, and what Ansible needs."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.gitworld import GitWorld
from sandbox.processes import Processes
from sandbox.sshd import SshServer
from sandbox.supervisor import Pace, Supervisor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Metaspace:
    root: Path
    web: SshServer
    git: GitWorld
    supervisor: Supervisor
    supervisorctl: tuple[str, ...] = (sys.executable, "-m", "supervisor.supervisorctl")


@asynccontextmanager
async def metaspace_in(root: Path) -> AsyncIterator[Metaspace]:
    web, git = SshServer(root / "ssh", environment={"LANG": "C.UTF-8"}, mark=root), GitWorld(root)
    await git.build_code()
    async with Processes(root) as processes, web:
        supervisor = Supervisor(
            processes,
            root / "supervisor",
            checkout=git.checkout,
            www=git.www,
            bin_folder=web.bin,
            pace=Pace(lithops=600),
        )
        async with supervisor:
            await git.build_configuration(web, build_seconds=0)
            yield Metaspace(root, web, git, supervisor)
