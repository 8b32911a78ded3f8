"""A port that a server reaches, brought to the bot through the SSH connection that it keeps."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh

from bot.domain.errors import HostUnreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from integrations.ssh import SshHost


@asynccontextmanager
async def forwarded(ssh: SshHost, host: str, port: int) -> AsyncIterator[Path]:
    """Give a Unix socket that leads to a port as the server reaches it, named as PostgreSQL's clients look for one.

    It lies in a folder of its own that nobody else may enter: no other user of this machine reaches through it.
    """
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        local = Path(folder) / f".s.PGSQL.{port}"
        connection = await ssh.connection()
        try:
            listener = await connection.forward_local_path_to_port(str(local), host, port)
        except (OSError, asyncssh.Error) as error:
            raise HostUnreachable(
                f"{ssh.name} forwards no connection to {host}:{port}: {error}", hint="AllowTcpForwarding in its sshd_config"
            ) from error
        async with listener:
            yield local
