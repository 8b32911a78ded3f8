from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from bot.domain.errors import Unavailable
from bot.engine.clock import SystemClock
from bot.settings_search import ElasticsearchSettings
from integrations.elasticsearch import ElasticIndices
from integrations.ssh import SshHost
from sandbox.main import demand_programs
from sandbox.processes import Processes
from sandbox.sshd import SshServer
from tests.elastic import elastic, elastic_server
from tests.integrations.helpers import configure, settings_of
from tests.integrations.metaspace import metaspace_in
from tests.integrations.wire import Wire
from tests.integrations.workbench import Bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from sandbox.elasticsearch import Elasticsearch
    from tests.integrations.metaspace import Metaspace

__all__ = ["elastic", "elastic_server"]


@pytest.fixture(scope="session")
def programs() -> None:
    """sshd, tmux and Git. Where those are missing the test is skipped, but never in CI."""
    try:
        demand_programs()
    except Unavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{error.message} ({error.hint})")


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    """A short path: sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="rb-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@asynccontextmanager
async def running(root: Path) -> AsyncIterator[SshServer]:
    """A server, whose sessions' processes end with it, also those that were left in the background."""
    (root / "tmp").mkdir(parents=True)
    session = {"LANG": "C.UTF-8", "TMPDIR": str(root / "tmp"), "TMUX_TMPDIR": str(root / "tmp")}
    async with Processes(root), SshServer(root / "ssh", environment=session, mark=root) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(programs: None, root: Path) -> AsyncIterator[SshServer]:
    """The server of all tests that leave it as it is."""
    async with running(root / "shared") as server:
        yield server


@pytest.fixture
async def server(programs: None, root: Path) -> AsyncIterator[SshServer]:
    """A server of the test's own, to stop, to exchange and to configure."""
    async with running(root / uuid.uuid4().hex[:8]) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def metaspace(programs: None, root: Path) -> AsyncIterator[Metaspace]:
    """A web server to release to; a test gives back what it changed."""
    async with metaspace_in(root / "metaspace") as made:
        yield made


@pytest.fixture
def bench(host: SshHost, shared: SshServer, root: Path) -> Bench:
    return Bench(host, root / f"j{uuid.uuid4().hex[:6]}", shared)


@pytest.fixture
def hasty(host: SshHost, shared: SshServer, root: Path) -> Bench:
    """Half a second between TERM and KILL."""
    return Bench(host, root / f"j{uuid.uuid4().hex[:6]}", shared, grace=0.5)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., SshHost]]:
    """Make hosts of a server, with other settings where a test names them; they are closed at its end."""
    made: list[SshHost] = []

    def one(server: SshServer, **changes: object) -> SshHost:
        made.append(SshHost("web-1", settings_of(server, **changes), SystemClock()))
        return made[-1]

    yield one
    for host in made:
        await host.close()


@pytest.fixture
def host(shared: SshServer, connect: Callable[..., SshHost]) -> SshHost:
    return connect(shared)


@pytest.fixture
async def wire(shared: SshServer) -> AsyncIterator[Wire]:
    """The network between the bot and the shared server, which a test can cut."""
    async with Wire(shared.port) as between:
        between.known_hosts = shared.root / f"known_hosts.{between.port}"
        key = shared.known_hosts.read_text().split(" ", 1)[1]
        between.known_hosts.write_text(f"[127.0.0.1]:{between.port} {key}")
        yield between


@pytest.fixture
def far(shared: SshServer, wire: Wire, connect: Callable[..., SshHost]) -> SshHost:
    """The shared server, reached over `wire`."""
    return connect(shared, port=wire.port, known_hosts=wire.known_hosts)


@pytest.fixture(scope="session")
def poor() -> Iterator[str]:
    """A user who is not root and has no word in sudoers; only root can make one."""
    if os.geteuid() != 0 or shutil.which("sudo") is None:
        if os.environ.get("CI"):
            pytest.fail("needs root and sudo")
        pytest.skip("needs root, to make a user without sudo rights, and sudo")
    name = f"rb-poor-{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/sh", "--password", "*", name], check=True)
    try:
        yield name
    finally:
        subprocess.run(["userdel", name], check=True, capture_output=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def open_to_poor(programs: None, root: Path, poor: str) -> AsyncIterator[SshServer]:
    async with running(root / "poor") as server:
        for folder in (root, server.root.parent, server.root):
            folder.chmod(0o711)
        (server.root / "authorized_keys").chmod(0o644)
        await configure(server, f"AllowUsers {server.user}", f"AllowUsers {poor}")
        yield server


@pytest.fixture
def plain(open_to_poor: SshServer, poor: str, connect: Callable[..., SshHost]) -> SshHost:
    """A host where we are that user."""
    return connect(open_to_poor, user=poor)


@pytest.fixture
async def indices(host: SshHost, elastic: Elasticsearch) -> AsyncIterator[ElasticIndices]:
    """Elasticsearch as the bot reaches it: over SSH, a real one, empty."""
    where = {"host": elastic.host, "port": elastic.port, "user": elastic.user, "password": elastic.password}
    made = ElasticIndices(host, ElasticsearchSettings.model_validate(where), SystemClock())
    yield made
    await made.close()
