from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Unavailable
from sandbox.processes import alive, output
from sandbox.sshd import SshServer

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_command_runs_with_the_sandboxs_home_and_path(tmp_path: Path) -> None:
    async with SshServer(tmp_path / "web", environment={"GREETING": "good day"}) as ssh:
        said = await output(ssh.ssh("echo", "$HOME", "$PATH", "$GREETING"))
    assert said.startswith(f"{tmp_path}/web/home {tmp_path}/web/bin:")
    assert said.endswith("good day\n")


async def test_it_can_be_stopped_and_started_on_the_same_port(tmp_path: Path) -> None:
    async with SshServer(tmp_path / "web") as ssh:
        port, first = ssh.port, ssh.pid
        await ssh.stop()
        assert not alive(first)
        with pytest.raises(Unavailable, match="refused"):
            await output(ssh.ssh("true"))
        await ssh.start()
        assert ssh.port == port
        assert await output(ssh.ssh("echo", "back")) == "back\n"


async def test_a_changed_host_key_is_refused_by_the_pinned_one(tmp_path: Path) -> None:
    async with SshServer(tmp_path / "web") as ssh:
        await ssh.change_host_key()
        with pytest.raises(Unavailable, match="verification failed"):
            await output(ssh.ssh("true"))


async def test_stopping_ends_open_sessions(tmp_path: Path) -> None:
    async with SshServer(tmp_path / "web") as ssh:
        pid = ssh.pid
    assert not alive(pid)
    with pytest.raises(Unavailable, match="stopped"):
        _ = ssh.pid
