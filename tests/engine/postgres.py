"""A PostgreSQL of the tests' own: a throwaway cluster on a socket in a temporary folder, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Unavailable
from sandbox.postgres import as_server, binaries, give_to_server, initdb

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Cluster:
    """A running server. Every database of it is empty when a test gets it."""

    binaries: Path
    folder: Path
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self, port: int | None = None) -> None:
        """Start it, and return when it answers. Nothing is synchronised: a test's data need not outlive the machine.

        With a port it listens there on 127.0.0.1 too.
        """
        where = f"-c listen_addresses='127.0.0.1' -p {port}" if port else "-c listen_addresses=''"
        options = f"-k {self.folder} {where} -c fsync=off -c shared_buffers=32MB -c max_connections=60"
        self._run("pg_ctl", "-D", str(self.data), "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        """End it at once, whoever is connected."""
        self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def make(self) -> None:
        self._carry_out(initdb(self.binaries, self.data, "bot"))

    def fresh(self, like: str = "template1") -> str:
        """Make an empty database, or a copy of one that nobody is connected to, and return the bot's URL of it."""
        name = f"bot{next(self.numbers)}"
        self._run("createdb", "-h", str(self.folder), "-U", "bot", "-T", like, name)
        return f"postgresql+asyncpg://bot@/{name}?host={self.folder}"

    def execute(self, statement: str, *, port: int) -> None:
        """Carry out one statement as the cluster's owner, over its socket."""
        where = ("-h", str(self.folder), "-p", str(port), "-U", "bot", "-d", "postgres")
        self._run("psql", *where, "-q", "-c", statement)

    def _run(self, program: str, *arguments: str) -> None:
        self._carry_out(as_server([str(self.binaries / program), *arguments]))

    def _carry_out(self, argv: list[str]) -> None:
        done = subprocess.run(  # noqa: PLW1510  # its words matter more than its status
            argv,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")


def _found() -> Path:
    try:
        return binaries()
    except Unavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{error.message} ({error.hint})")


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Run a server of our own while the block runs."""
    programs = _found()
    with tempfile.TemporaryDirectory(prefix="rb-pg-") as made:
        cluster = Cluster(programs, Path(made))
        give_to_server(Path(made))
        cluster.make()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """One server for all tests."""
    with running_cluster() as cluster:
        yield cluster
