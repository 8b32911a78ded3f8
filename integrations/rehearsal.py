"""Rehearsals in a child process: an embedded world with a bot of its own, which gets nothing of production's.

The child is given an environment of a few variables (`ENVIRONMENT`), no home folder but its world's, and the order on standard input.
While its standard input is open it works; when this process dies, the kernel closes it, and the child ends its world.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from bot.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Tell = Callable[[Mapping[str, object]], Awaitable[None]]

_log = structlog.get_logger()
MODULE = "sandbox.rehearsal"
NOWHERE = "/nonexistent"
ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "PYTHONPATH")
"""What the child gets of this process's environment; everything else stays here, secrets first of all."""
_LINE = 2**20  # bytes of one line; a longer one ends the rehearsal
_CHECK = 30.0  # seconds for the child to say what is missing
_TIDY = 20.0  # seconds for the child to end its world
_LATE = 60.0  # seconds beyond the order's deadline after which the child is taken to hang


class ChildRehearser:
    """Starts ``python -m sandbox.rehearsal`` (`bot.engine.rehearsing.Rehearser`)."""

    async def demand_parts(self) -> None:
        """Raise `Unavailable` naming what this machine lacks for an embedded world."""
        if find_spec("sandbox") is None:
            raise Unavailable("This bot was installed without its sandbox.", hint="install the whole package")
        child = await self._start("--check")
        try:
            said, _ = await asyncio.wait_for(child.communicate(), _CHECK)
        except TimeoutError as error:
            raise Unavailable("The sandbox did not say what it needs.", hint="try again") from error
        finally:
            await _ended(child)
        if child.returncode:
            lacking = _read(said.splitlines()[-1] if said.strip() else b"")
            message = str(lacking.get("message") or "The sandbox does not start here.")
            raise Unavailable(f"{message} Nothing was rehearsed.", hint=str(lacking.get("hint") or "make setup"))

    async def carry_out(self, order: Mapping[str, Any], *, tell: Tell) -> None:
        """Play the order in a world, and tell every line; cancelled, or when the child hangs, nothing is left running.

        Raises `Unavailable` when the child ends before it has said how it went.
        """
        child, hearing = await self._start(), _Hearing(tell)
        try:
            async with asyncio.timeout(float(order["deadline"]) + _LATE):
                await _give(child, order)
                await hearing.listen(child)
                status = await child.wait()
        except TimeoutError as error:
            raise Unavailable("The embedded world hung and was ended.", hint="/release rehearse") from error
        finally:
            await self._tidied(child, hearing.world)
        if not hearing.over:
            _log.warning("rehearsal_died", status=status, words=hearing.words)
            raise Unavailable(f"The embedded world ended by itself (status {status}).", hint="/release rehearse")

    async def sweep(self, world: str) -> None:
        """End what a killed child left of its world."""
        child = await self._start("--sweep", world)
        try:
            await asyncio.wait_for(child.communicate(), _TIDY)
        except TimeoutError as error:
            raise Unavailable(f"{world} could not be swept.") from error
        finally:
            await _ended(child)

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing is imported from where it runs
            "-m",
            MODULE,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=scrubbed(os.environ),
            cwd="/",
            start_new_session=True,
            limit=_LINE,
        )

    async def _tidied(self, child: asyncio.subprocess.Process, world: str) -> None:
        """Let the child end its world; one that does not, or that was killed, is ended and swept."""
        await asyncio.shield(asyncio.ensure_future(self._tidy(child, world)))

    async def _tidy(self, child: asyncio.subprocess.Process, world: str) -> None:
        await _ended(child)
        left: bool = await asyncio.to_thread(os.path.exists, world)
        if left:
            with contextlib.suppress(Unavailable):
                await self.sweep(world)


class _Hearing:
    """Reads what the child says. ``over``: it has said how it ended."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self.world, self.over, self.words = tell, "", False, ""

    async def listen(self, child: asyncio.subprocess.Process) -> None:
        """Tell line after line until there is none."""
        if child.stdout is None:
            raise Unavailable("The embedded world has no voice.")
        while raw := await _line(child.stdout):
            line = _read(raw)
            if not line:
                self.words = raw.decode(errors="replace")[:500]
                continue
            self.over = self.over or line.get("is") == "end"
            if line.get("is") == "world":
                self.world = str(line.get("root", ""))
            await self._tell(line)


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the few variables that a child may have. It has no home, so no keys, credentials or agent: its world gives it one.

    The cache of the user is named, for there lies the local Slack that was installed once.
    """
    kept = {name: environment[name] for name in ENVIRONMENT if name in environment}
    cache = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME", NOWHERE)) / ".cache")
    git = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    return {**kept, **git, "HOME": NOWHERE, "XDG_CACHE_HOME": cache}


async def _give(child: asyncio.subprocess.Process, order: Mapping[str, Any]) -> None:
    if child.stdin is None:
        raise Unavailable("The embedded world takes no order.")
    child.stdin.write(json.dumps(order).encode() + b"\n")
    with contextlib.suppress(ConnectionError):
        await child.stdin.drain()


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError as error:
        raise Unavailable("The embedded world said more than I can take.", hint="/release rehearse") from error


def _read(raw: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def _ended(child: asyncio.subprocess.Process) -> None:
    """Close its standard input, which asks it to end; then TERM, then KILL."""
    if child.stdin is not None:
        child.stdin.close()
    for number, patience in ((None, _TIDY), (signal.SIGTERM, _TIDY / 2), (signal.SIGKILL, _TIDY)):
        if child.returncode is None and number is not None:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), patience)
            return
