"""How the bot follows a job: a log against `tail -F` over OpenSSH, its message against the job's ledger, and Slack calls in an hour."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import yaml

from bench.hour import following, hour
from bench.measure import Figure, ratio, show
from bot.composition import SOON
from bot.domain.world import JobSpec
from bot.engine.clock import SystemClock
from bot.settings import EnvironmentSettings, HostSettings, parse
from bot.settings_example import EXAMPLE
from integrations.jobs import TmuxJobs
from integrations.reindexing import ServerReindexing
from integrations.ssh import SshHost
from sandbox.sshd import SshServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.reindexing import Ledger

SECONDS, GAP = 60.0, 0.1  # of following, and between two lines or datasets
LOG = "import sys, time\nwhile True:\n  print(time.time(), flush=True)\n  time.sleep(float(sys.argv[1]))"
# Stands for the driver on the server, which writes such a ledger whenever a dataset is done.
LEDGER = """
import json, os, pathlib, sys, time
folder, done = pathlib.Path(sys.argv[1]), 0
folder.mkdir(parents=True)
(folder / "order.json").write_text("{}")
at = time.time()
ledger = {"total": 10000, "failed": [], "in_work": [], "workers": 2, "wanted_workers": 2, "slowed": "", "awaits_probe": False}
while True:
  now = {"done": done, "at": time.time(), "history": [[at, 0], [time.time(), done]], "gone": [], "ended": False}
  (folder / "new").write_text(json.dumps(ledger | now))
  os.rename(folder / "new", folder / "ledger.json")
  time.sleep(float(sys.argv[2]))
  done += 1
"""


async def run() -> None:
    """Follow logs and ledgers on a real server, then an hour of a job on a clock that is moved."""
    with tempfile.TemporaryDirectory(prefix="rb-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        async with SshServer(Path(folder) / "ssh") as server:
            settings = _settings(server, Path(folder))
            host = SshHost("bench", settings.web, SystemClock())
            jobs = TmuxJobs(host, settings.web, SystemClock())
            try:
                await logs(server, jobs, settings.poll)
                print()
                await messages(server, jobs, ServerReindexing(host, jobs, settings, SystemClock()), Path(folder))
            finally:
                await host.run(["tmux", "-L", settings.web.tmux_socket, "kill-server"], check=False)
                await host.close()
    print()
    await hour()


def _settings(server: SshServer, folder: Path) -> EnvironmentSettings:
    _, example = parse(yaml.safe_load(EXAMPLE)).environment()
    where = {"host": server.host, "port": server.port, "user": server.user, "known_hosts": server.known_hosts}
    mine = {"key": server.client_key, "jobs": str(folder / "jobs"), "tmux_socket": f"b-{folder.name}"}
    reindexing = example.reindexing.model_copy(update={"workspace": str(folder / "work")})
    return example.model_copy(update={"web": HostSettings.model_validate({**where, **mine}), "reindexing": reindexing})


# a log


async def logs(server: SshServer, jobs: TmuxJobs, poll: float) -> None:
    """Follow one job's log both ways, one after the other."""
    await jobs.start(spec=JobSpec("log", (sys.executable, "-c", LOG, str(GAP)), "/"))
    polled = await _followed(server, _polling(jobs, poll))
    tailed = await _followed(server, _tailing(server, str(server.root.parent / "jobs/log/log")))
    await jobs.stop(name="log")
    print(f"A job's log, {1 / GAP:g} lines a second, followed for {SECONDS:g} s; the bot looks each {poll:g} s:")
    show([Figure(f"{name}, lag", found.lags) for name, found in (("ours", polled), ("tail -F", tailed))])
    for name, found in (("ours", polled), ("tail -F over OpenSSH", tailed)):
        print(f"  {name:44} CPU {found.here:6.2f} s here, {found.there:6.2f} s on the server, in {SECONDS:g} s")
    ratio("ours to tail -F, lag, median", Figure("", polled.lags).median, Figure("", tailed.lags).median)
    ratio("ours to tail -F, CPU", polled.here + polled.there, tailed.here + tailed.there)


@dataclass
class Found:
    """Lags of the lines, and CPU seconds of both ends."""

    lags: list[float]
    here: float = 0.0
    there: float = 0.0


async def _followed(server: SshServer, lines: AsyncIterator[str]) -> Found:
    """Take lines for a while; those that were there before do not count."""
    found, began, here, there = Found([]), time.time(), _ours(), _theirs(server)
    try:
        async with asyncio.timeout(SECONDS):
            async for line in lines:
                if float(line) > began:
                    found.lags.append(time.time() - float(line))
    except TimeoutError:
        found.there = _theirs(server) - there
    await lines.aclose()  # type: ignore[attr-defined]  # it is a generator
    found.here = _ours() - here
    return found


async def _polling(jobs: TmuxJobs, poll: float) -> AsyncIterator[str]:
    """Look at the job and read what is new, as steps do."""
    offset = 0
    while True:
        await jobs.look(name="log")
        while (chunk := await jobs.read(name="log", file="log", offset=offset)).next_offset != offset:
            offset = chunk.next_offset
            for line in chunk.text.splitlines():
                yield line
        await asyncio.sleep(poll)


async def _tailing(server: SshServer, file: str) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        *server.ssh("tail", "-n", "+1", "-F", file), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    if process.stdout is None:
        raise RuntimeError("no pipe")
    try:
        while line := await process.stdout.readline():
            yield line.decode()
    finally:
        process.terminate()
        await process.wait()


def _ours() -> float:
    """Return the CPU seconds of this process and of the children that it has buried (the SSH client)."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _theirs(server: SshServer) -> float:
    """Return the CPU seconds of the SSH server, of its sessions and of what they ran; a job is nobody's child there."""
    top = psutil.Process(server.pid)
    burnt = 0.0
    for one in (top, *top.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # ended just now: its parent has its time
            burnt += sum(one.cpu_times()[:4])
    return burnt


# a ledger, and the message that shows it


async def messages(server: SshServer, jobs: TmuxJobs, reindexing: ServerReindexing, folder: Path) -> None:
    """Follow one job's ledger with the bot's own timer, database, outbox and a Slack that takes everything."""
    looks: list[tuple[float, float]] = []  # when one was answered, and when what it saw was written
    written: dict[int, float] = {}

    class Heard:
        """The real thing, and when it answered."""

        async def ledger(self, *, name: str) -> Ledger | None:
            found = await reindexing.ledger(name=name)
            if found is not None and found.at is not None:
                written[found.done] = found.at.timestamp()
                looks.append((time.time(), found.at.timestamp()))
            return found

    argv = (sys.executable, "-c", LEDGER, str(folder / "work/orders/led"), str(GAP))
    await jobs.start(spec=JobSpec("led", argv, "/", marks={"order": "led"}))
    async with following(SystemClock(), jobs, Heard()) as (one, slack, _):
        here, there = _ours(), _theirs(server)
        until = time.time() + SECONDS
        while time.time() < until:
            await one.turn()
            await asyncio.sleep(SOON)
        here, there = _ours() - here, _theirs(server) - there
    await jobs.stop(name="led")
    shown = [(at, written[done]) for at, done in slack.shown if done in written]
    print(f"A job's ledger, {1 / GAP:g} datasets a second, followed for {SECONDS:g} s, {len(looks)} looks:")
    show([Figure("until the bot knows", _lags(looks), "s"), Figure("until its message shows it", _lags(shown), "s")])
    print(f"  {'CPU':44} {here:6.2f} s here, {there:6.2f} s on the server; Slack calls: {dict(slack.calls)}")


def _lags(seen: list[tuple[float, float]]) -> list[float]:
    """Return how old each dataset was when it was first seen: one was done each `GAP` seconds."""
    lags = []
    for (_, before), (at, upto) in pairwise(seen):
        lags += [at - (before + (n + 1) * GAP) for n in range(round((upto - before) / GAP))]
    return lags
