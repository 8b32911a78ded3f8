"""A real OpenSSH server on 127.0.0.1, with keys, home folder and PATH of its own."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bot.domain.errors import Unavailable
from sandbox.processes import MARK, Child, Processes, answers, free_port, output, until

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class SshServer:
    """One server. Everything that it needs or writes is below ``root``; sessions have ``root/home`` as their HOME.

    ``environment`` is given to every session (sshd's SetEnv); ``bin`` comes first on the PATH of sessions. ``mark`` is the
    folder that every process of the world is marked with, by default ``root``.
    """

    def __init__(self, root: Path, *, environment: Mapping[str, str] | None = None, mark: Path | None = None) -> None:
        self.root = root
        self.mark = mark or root
        self.host = "127.0.0.1"
        self.port = free_port()
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.client_key = root / "client_key"
        self.known_hosts = root / "known_hosts"
        self.bin = root / "bin"
        self.home = root / "home"
        self._environment = dict(environment or {})
        self._processes = Processes(self.mark)
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        """The listening server's id; `Unavailable` while it is stopped."""
        if self._child is None:
            raise Unavailable("The SSH server is stopped.", hint="start()")
        return self._child.pid

    async def __aenter__(self) -> Self:
        try:
            await self._prepare()
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen (again, on the same port)."""
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")
        if program is None:
            raise Unavailable("There is no OpenSSH server here.", hint="apt install openssh-server")
        _privilege_separation()
        # A session of the server before may hold its port for a moment yet, and would be taken for the new one.
        await until(self._silent, what=f"port {self.port}")
        argv = [program, "-D", "-e", "-f", str(self.root / "sshd_config")]
        self._child = await self._processes.start(f"sshd-{self.root.name}", argv)
        await until(self._listens, what="sshd", child=self._child)

    async def stop(self) -> None:
        """End the server and its sessions. What sessions left behind in the background goes on, as on a real server."""
        child, self._child = self._child, None
        if child is not None:
            await self._processes.stop(child)

    async def change_host_key(self) -> None:
        """Start again with another host key, as a machine that was exchanged (or impersonated); ``known_hosts`` stays."""
        await self.stop()
        await self._new_host_key()
        await self.start()

    def ssh(self, *command: str) -> list[str]:
        """Return the arguments that run ``command`` on this server with OpenSSH's client."""
        options = [f"UserKnownHostsFile={self.known_hosts}", "StrictHostKeyChecking=yes", "BatchMode=yes"]
        flags = [part for option in options for part in ("-o", option)]
        target = ["-i", str(self.client_key), "-p", str(self.port), f"{self.user}@{self.host}"]
        return ["ssh", "-F", "none", *flags, *target, "--", *command]

    async def _listens(self) -> bool:
        return await answers(self.port)

    async def _silent(self) -> bool:
        return not await self._listens()

    async def _prepare(self) -> None:
        for folder in (self.root, self.home, self.bin):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await _keygen(self.client_key)
        shutil.copy(self.client_key.with_suffix(".pub"), self.root / "authorized_keys")
        await self._new_host_key()
        public = (self.root / "host_key.pub").read_text(encoding="ascii").split()
        self.known_hosts.write_text(f"[{self.host}]:{self.port} {public[0]} {public[1]}\n", encoding="ascii")
        (self.root / "sshd_config").write_text(self._configuration(), encoding="utf-8")

    async def _new_host_key(self) -> None:
        for name in ("host_key", "host_key.pub"):
            (self.root / name).unlink(missing_ok=True)
        await _keygen(self.root / "host_key")

    def _configuration(self) -> str:
        environment = {
            "PATH": f"{self.bin}:{SYSTEM_PATH}",
            "HOME": str(self.home),
            MARK: str(self.mark),
            **self._environment,
        }
        lines = {
            "Port": str(self.port),
            "ListenAddress": self.host,
            "HostKey": str(self.root / "host_key"),
            "AuthorizedKeysFile": str(self.root / "authorized_keys"),
            "PidFile": "none",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "StrictModes": "no",  # the keys are below a folder for temporary files, which all may write to
            "UsePAM": "yes" if _locked(self.user) else "no",  # a locked account gets in by PAM only
            "AllowUsers": self.user,
            "MaxStartups": "100",
            "MaxSessions": "100",
            "PrintMotd": "no",
            "LogLevel": "INFO",
            "Subsystem": "sftp internal-sftp",
            "SetEnv": " ".join(f'"{name}={value}"' for name, value in environment.items()),
        }
        return "".join(f"{key} {value}\n" for key, value in lines.items())


async def _keygen(path: Path) -> None:
    await output(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "releasebot-sandbox", "-f", str(path)])


def _privilege_separation() -> None:
    """Make the folder that sshd insists on when root starts it; a machine where sshd never ran lacks it."""
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)


def _locked(user: str) -> bool:
    """Tell whether the account's password is locked, as far as we may know (only root reads the file)."""
    try:
        lines = Path("/etc/shadow").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.startswith(f"{user}:!") for line in lines)
