"""Small things that tests on real servers share."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING

import psutil

import sandbox.processes
from bot.settings import HostSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.sshd import SshServer


def settings_of(server: SshServer, **changes: object) -> HostSettings:
    where = {"host": server.host, "port": server.port, "user": server.user, "known_hosts": server.known_hosts}
    return HostSettings.model_validate({**where, "key": server.client_key, **changes})


async def configure(server: SshServer, old: str, new: str) -> None:
    """Start a server again with one line of its configuration exchanged."""
    file = server.root / "sshd_config"
    before = file.read_text()
    assert old in before
    file.write_text(before.replace(old, new))
    await server.stop()
    await server.start()


async def until(true: Callable[[], bool], *, deadline: float = 60.0) -> None:
    """Poll for what another process does; fail when it does not come."""

    async def ready() -> bool:
        return true()

    await sandbox.processes.until(ready, what=inspect.getsource(true).strip(), deadline=deadline)


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def text(path: Path) -> str:
    """What the file holds now; nothing while it is not there."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    return ""


def alive(process: psutil.Process) -> bool:
    """Whether it runs, and does not only wait to be buried."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
