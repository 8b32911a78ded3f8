"""A port of this machine that leads, over a host's kept SSH connection, to one that only that host can reach."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncssh

from bot.domain.errors import HostUnreachable
from bot.telemetry import scrub

if TYPE_CHECKING:
    from integrations.ssh import SshHost

LOOPBACK = "127.0.0.1"


class Tunnel:
    """Forwards ``port()`` on 127.0.0.1 to ``host``:``port`` as the server sees them.

    Opened at the first use, and anew where the SSH connection was lost: then under another port, so ask for it each time. What goes
    through while the connection is lost ends with an error at both ends. Needs ``AllowTcpForwarding`` on the server (sshd_config(5)).
    """

    def __init__(self, ssh: SshHost, host: str, port: int) -> None:
        self.where = f"{host}:{port}"
        self._ssh, self._host, self._port = ssh, host, port
        self._opening = asyncio.Lock()
        self._over: asyncssh.SSHClientConnection | None = None
        self._listener: asyncssh.SSHListener | None = None

    async def port(self) -> int:
        """Return the port to connect to on 127.0.0.1; raises `HostUnreachable`, `HostKeyChanged`, `BadSettings`."""
        async with self._opening:
            connection = await self._ssh.connection()
            if self._listener is None or self._over is not connection:
                self._shut()
                try:
                    self._listener = await connection.forward_local_port(LOOPBACK, 0, self._host, self._port)
                except (OSError, asyncssh.Error) as error:
                    raise HostUnreachable(
                        f"No tunnel to {self.where} over {self._ssh.name}: {scrub(str(error))}",
                        hint="releasebot doctor --only ssh",
                    ) from error
                self._over = connection
            return self._listener.get_port()

    async def close(self) -> None:
        """Listen no more. The SSH connection stays: others use it."""
        async with self._opening:
            self._shut()

    def _shut(self) -> None:
        listener, self._listener, self._over = self._listener, None, None
        if listener is not None:
            listener.close()
