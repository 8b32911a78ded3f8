"""Processes of the sandbox: started in groups of their own, awaited with deadlines, ended by id, none left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bot.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

MARK = "RELEASEBOT_SANDBOX"
"""Variable in the environment of everything that runs in a world; its value is the world's folder."""

GRACE = 5.0
POLL = 0.05


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on at this moment.

    It lies below those that the kernel gives to outgoing connections: one of them could take it before it is listened on.
    """
    while True:
        port = random.randint(15000, 32000)  # noqa: S311  # only to keep two worlds apart
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether something accepts connections there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


@dataclass
class Child:
    """A process that leads a group of its own, and where its output goes."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.returncode is None

    def last_words(self, lines: int = 8) -> str:
        """Return the end of its output, for messages about its death."""
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    async def stop(self, *, grace: float = GRACE) -> None:
        """End it and its descendants: TERM, then KILL once ``grace`` seconds have passed. Harmless when it has ended."""
        family = descendants(self.pid)
        if self.running:
            signal_group(self.pid, signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), grace)
            except TimeoutError:
                signal_group(self.pid, signal.SIGKILL)
                await self.process.wait()
        await end(family, grace=1.0)


@dataclass
class Processes:
    """All processes of one world. Leaving the context ends them, newest first, and whatever they left behind."""

    root: Path
    children: list[Child] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for child in reversed(self.children):
            await child.stop()
        await end(marked(self.root), grace=2.0)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return our own environment with the world's mark, and with ``extra``."""
        return {**os.environ, MARK: str(self.root), **(extra or {})}

    async def start(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Child:
        """Start a program whose output goes to ``<root>/logs/<name>.log``; `Unavailable` when there is no such program."""
        log = self.root / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with log.open("ab") as output:
                process = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=cwd or self.root,
                    env=self.environment(env),
                    start_new_session=True,
                )
        except OSError as error:
            raise Unavailable(f"{argv[0]} does not start: {error.strerror}.", hint="make setup") from error
        child = Child(name, process, log)
        self.children.append(child)
        return child

    async def stop(self, child: Child, *, grace: float = GRACE) -> None:
        """End one child before the others."""
        await child.stop(grace=grace)
        if child in self.children:
            self.children.remove(child)


async def until(
    ready: Callable[[], Awaitable[bool]], *, what: str, deadline: float = 20.0, child: Child | None = None
) -> None:
    """Poll until ``ready``; `Unavailable` when ``deadline`` seconds pass first, or at once when ``child`` has ended."""
    clock = asyncio.get_running_loop().time
    end_at = clock() + deadline
    while not await ready():
        if child is not None and not child.running:
            words = child.last_words()
            raise Unavailable(f"{what} ended with status {child.process.returncode}: {words}", hint=str(child.log))
        if clock() > end_at:
            raise Unavailable(f"{what} is not ready after {deadline:.0f} s.", hint=str(child.log) if child else "")
        await asyncio.sleep(POLL)


async def output(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    deadline: float = 60.0,
) -> str:
    """Run a program to its end and return its output; `Unavailable` with its last words when it fails or takes too long."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
        env=None if env is None else dict(env),
        start_new_session=True,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), deadline)
    except (TimeoutError, asyncio.CancelledError) as error:
        signal_group(process.pid, signal.SIGKILL)
        await process.wait()
        if isinstance(error, asyncio.CancelledError):
            raise
        raise Unavailable(f"{' '.join(argv[:3])} took more than {deadline:.0f} s.") from error
    if process.returncode:
        words = (err or out).decode(errors="replace").strip()[-2000:]
        raise Unavailable(f"{' '.join(argv[:3])} ended with status {process.returncode}: {words}")
    return out.decode(errors="replace")


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal the group that ``pid`` leads, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


async def end(pids: Iterable[int], *, grace: float) -> None:
    """End these processes: TERM, then KILL those that are left after ``grace`` seconds."""
    left = [pid for pid in pids if pid != os.getpid()]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        waited = 0.0
        while (left := [pid for pid in left if alive(pid)]) and waited < grace:
            await asyncio.sleep(POLL)
            waited += POLL


def alive(pid: int) -> bool:
    """Tell whether the process runs (one that only waits to be reaped does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def descendants(pid: int) -> list[int]:
    """Return the ids of all children of ``pid`` and of theirs."""
    children: dict[int, list[int]] = {}
    for one in _pids():
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{one}/stat").read_text(encoding="utf-8", errors="replace")
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(one)
    found: list[int] = []
    waiting = [pid]
    while waiting:
        mine = children.get(waiting.pop(), [])
        found += mine
        waiting += mine
    return found


def marked(root: Path) -> list[int]:
    """Return the ids of the processes whose environment carries this world's mark: daemons that left their parents.

    sshd writes its title over its environment; it is known by the title, which has its configuration's path.
    """
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            process = Path(f"/proc/{pid}")
            if _carries(root, (process / "environ").read_bytes(), (process / "cmdline").read_bytes()):
                found.append(pid)
    return [pid for pid in found if pid != os.getpid()]


def _carries(root: Path, environment: bytes, title: bytes) -> bool:
    in_title = title.startswith(b"sshd: ") and f"-f {root}/".encode() in title
    return in_title or f"{MARK}={root}".encode() in environment.split(b"\0")


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
