"""SSH: the latency of a command and the throughput of a stream, against OpenSSH with ControlMaster."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Figure, ratio, show
from bot.engine.clock import SystemClock
from bot.settings import HostSettings
from integrations.ssh import SshHost
from integrations.sshcommand import Lines
from sandbox.sshd import SshServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

COMMANDS, STREAMS = 100, 21
PIECE = 1 << 18  # bytes
LINES = ["seq", "1", "3000000"]  # 23 MB in short lines, as logs are


async def run() -> None:
    with tempfile.TemporaryDirectory(prefix="rb-", dir="/tmp") as folder:
        async with SshServer(Path(folder) / "ssh") as server:
            await measured(server, Path(folder))


async def measured(server: SshServer, folder: Path) -> None:
    settings = HostSettings(
        host=server.host, port=server.port, user=server.user, key=server.client_key, known_hosts=server.known_hosts
    )
    host = SshHost("bench", settings, SystemClock())
    master = openssh(server, folder)
    commands: dict[str, list[float]] = {"ours": [], "OpenSSH": []}
    streams: dict[str, list[float]] = {"ours": [], "OpenSSH": []}
    for turn in range(COMMANDS + 5):
        for name, took in (
            ("ours", await timed(host.run(["true"]))),
            ("OpenSSH", await timed(output([*master, "true"]))),
        ):
            if turn >= 5:
                commands[name].append(took)
    for _ in range(STREAMS):
        streams["ours"].append(await timed(lines(host)))
        streams["OpenSSH"].append(await timed(output([*master, *LINES])))
    await host.close()
    await output([*master[:1], *master[1:-1], "-O", "exit", master[-1]])
    for title, found in (("A command over SSH", commands), ("3,000,000 lines (23 MB) over SSH", streams)):
        figures = {name: Figure(name, samples) for name, samples in found.items()}
        print(f"{title}:")
        show(list(figures.values()))
        ratio("ours to OpenSSH with ControlMaster, median", figures["ours"].median, figures["OpenSSH"].median, goal=1.1)


def openssh(server: SshServer, folder: Path) -> list[str]:
    options = (
        "ControlMaster=auto",
        f"ControlPath={folder}/cm",
        "ControlPersist=60",
        "BatchMode=yes",
        "IdentitiesOnly=yes",
    )
    chosen = [part for one in (*options, f"UserKnownHostsFile={server.known_hosts}") for part in ("-o", one)]
    return [
        "ssh",
        "-F",
        "none",
        *chosen,
        "-i",
        str(server.client_key),
        "-p",
        str(server.port),
        f"{server.user}@{server.host}",
    ]


async def output(argv: list[str]) -> None:
    """Run and take what it prints line by line, cut as ours cuts it: what differs is how it got here."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=PIECE
    )
    async for _ in cut(process):
        pass
    await process.wait()


async def cut(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    if process.stdout is None:
        raise RuntimeError("no pipe")
    lines = Lines()
    while piece := await process.stdout.read(PIECE):
        for one in lines.take(piece):
            yield one


async def lines(host: SshHost) -> None:
    async for _ in host.stream(LINES):
        pass


async def timed(work: object) -> float:
    began = time.perf_counter()
    await work  # type: ignore[misc]
    return time.perf_counter() - began
