"""A real PostgreSQL on 127.0.0.1, in a cluster of its own. Nothing is synchronised: its data need not outlive the machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bot.domain.errors import Unavailable
from sandbox.processes import Child, Processes, answers, free_port, output, until

if TYPE_CHECKING:
    from collections.abc import Sequence

ACCOUNT = "postgres"  # the account that Debian's package makes; the server refuses to run as root
OWNER = "postgres"  # superuser of the cluster, who is let in over the socket alone
USER, DATABASE = "sm", "sm"
PASSWORD = "sandbox-postgres-password"  # noqa: S105  # of a world that lives for minutes
_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=80")


def binaries() -> Path:
    """Return the folder of the newest server's programs, which Debian keeps outside of PATH; `Unavailable` when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        raise Unavailable("PostgreSQL's server is missing.", hint="apt install postgresql")
    return Path(initdb).resolve().parent


def as_server(argv: Sequence[str]) -> list[str]:
    """Return the arguments that run a program of the server under an account that it accepts."""
    switch = ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"]
    return [*switch, *argv] if os.geteuid() == 0 else list(argv)


def give_to_server(folder: Path) -> None:
    """Let the server's account own a folder."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(ACCOUNT)
        os.chown(folder, account.pw_uid, account.pw_gid)


def initdb(programs: Path, data: Path, owner: str) -> list[str]:
    """Return the arguments that make a cluster whose sockets let everybody in, and whose ports only with a password."""
    argv = [str(programs / "initdb"), "-D", str(data), "-U", owner, "--auth-local=trust", "--auth-host=scram-sha-256"]
    return as_server([*argv, "--no-sync", "-E", "UTF8", "--locale=C"])


class Postgres:
    """One server below ``root``, with the database `sm` of the user of that name."""

    def __init__(self, processes: Processes, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.host = "127.0.0.1"
        self.port = free_port()
        self._processes = processes
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """The database as libpq and asyncpg take it."""
        return f"postgresql://{USER}:{PASSWORD}@{self.host}:{self.port}/{DATABASE}"

    async def __aenter__(self) -> Self:
        self.root.mkdir(mode=0o700, parents=True)
        give_to_server(self.root)
        programs = binaries()
        await output(initdb(programs, self.data, OWNER), cwd=Path("/"))
        await self.start()
        await self.run("-d", "postgres", "-c", f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        await self.run("-d", "postgres", "-c", f"CREATE DATABASE {DATABASE} OWNER {USER} TEMPLATE template0")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it (again, on the same port) and return when it answers."""
        options = [f"listen_addresses={self.host}", f"unix_socket_directories={self.root}", *_SETTINGS]
        flags = [part for one in options for part in ("-c", one)]
        argv = [str(binaries() / "postgres"), "-D", str(self.data), "-p", str(self.port), *flags]
        self._child = await self._processes.start("postgres", as_server(argv), cwd=Path("/"))
        await until(self._ready, what="PostgreSQL", deadline=60, child=self._child)

    async def stop(self) -> None:
        """End it at once, whoever is connected."""
        child, self._child = self._child, None
        if child is not None and child.running:
            os.kill(child.pid, signal.SIGQUIT)
        if child is not None:
            await self._processes.stop(child)

    async def run(self, *arguments: str, script: str = "") -> str:
        """Run psql over the socket, as the cluster's owner unless ``arguments`` say otherwise; return what it printed."""
        options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.root), "-p", str(self.port)]
        argv = [str(binaries() / "psql"), *options, "-U", OWNER, *arguments]
        return (await output(as_server(argv), cwd=Path("/"), stdin=script.encode(), deadline=300)).strip()

    async def _ready(self) -> bool:
        return await answers(self.port) and (self.root / f".s.PGSQL.{self.port}").is_socket() and await self._lets_in()

    async def _lets_in(self) -> bool:
        """Tell whether it has recovered: it listens before."""
        try:
            return await self.run("-d", "postgres", "-c", "SELECT 1") == "1"
        except Unavailable:
            return False
