"""A PostgreSQL of the tests' own: a throwaway cluster on a socket in a temporary folder, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVER = "postgres"  # the account that Debian's package makes; the server refuses to run as root


@dataclass
class Cluster:
    """A running server. Every database of it is empty when a test gets it."""

    binaries: Path
    folder: Path
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Start it, and return when it answers. Nothing is synchronised: a test's data need not outlive the machine."""
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c shared_buffers=32MB -c max_connections=60"
        self._run("pg_ctl", "-D", str(self.data), "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        """End it at once, whoever is connected."""
        self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def make(self) -> None:
        self._run("initdb", "-D", str(self.data), "-U", "bot", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")

    def fresh(self, like: str = "template1") -> str:
        """Make an empty database, or a copy of one that nobody is connected to, and return the bot's URL of it."""
        name = f"bot{next(self.numbers)}"
        self._run("createdb", "-h", str(self.folder), "-U", "bot", "-T", like, name)
        return f"postgresql+asyncpg://bot@/{name}?host={self.folder}"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: PLW1510  # its words matter more than its status
            [str(self.binaries / program), *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **_account(),
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}")


def _account() -> dict[str, Any]:
    return {"user": _SERVER, "group": _SERVER, "extra_groups": []} if os.geteuid() == 0 else {}


def _binaries() -> Path:
    """Find the newest server; Debian keeps them outside of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL's initdb is missing: scripts/system-packages test")
        pytest.skip("PostgreSQL's initdb is missing: apt-get install postgresql")
    return Path(initdb).resolve().parent


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Run a server of our own while the block runs."""
    binaries = _binaries()
    with tempfile.TemporaryDirectory(prefix="rb-pg-") as made:
        cluster = Cluster(binaries, Path(made))
        if os.geteuid() == 0:
            shutil.chown(made, _SERVER, _SERVER)
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
