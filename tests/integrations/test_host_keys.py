"""A server that shows another key than the pinned one, or one that nobody pinned, is given no command: real OpenSSH."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import HostKeyChanged, Unavailable
from bot.engine.clock import SystemClock
from bot.settings import HostSettings
from integrations.ssh import SshHost
from sandbox.main import demand_programs
from sandbox.sshd import SshServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SshServer]:
    try:
        demand_programs()
    except Unavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(error.message)
    async with SshServer(tmp_path_factory.mktemp("ssh")) as running:
        yield running


def host(server: SshServer, known_hosts: Path | None = None) -> SshHost:
    pinned = known_hosts or server.known_hosts
    where = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "key": server.client_key,
        "known_hosts": pinned,
    }
    return SshHost("web", HostSettings.model_validate(where), SystemClock())


async def ask(asked: SshHost, mark: Path) -> None:
    try:
        await asked.run(["touch", str(mark)])
    finally:
        await asked.close()


async def test_the_pinned_key_is_accepted_and_another_is_not(server: SshServer, tmp_path: Path) -> None:
    await ask(host(server), tmp_path / "first")
    assert (tmp_path / "first").exists()
    await server.change_host_key()
    with pytest.raises(HostKeyChanged, match="not the pinned one"):
        await ask(host(server), tmp_path / "second")
    assert not (tmp_path / "second").exists()


async def test_a_key_that_nobody_pinned_is_refused(server: SshServer, tmp_path: Path) -> None:
    nobody = tmp_path / "known_hosts"
    nobody.write_text("")
    with pytest.raises(HostKeyChanged):
        await ask(host(server, nobody), tmp_path / "mark")
    assert not await asyncio.to_thread((tmp_path / "mark").exists)
