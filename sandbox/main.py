"""``releasebot sandbox``: the world in the foreground, until Ctrl-C or until a scripted release has ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

from bot.domain.errors import Unavailable
from sandbox.metaspace_data import demand_servers
from sandbox.options import Options
from sandbox.play import play
from sandbox.scenarios import scenario
from sandbox.sshd import SYSTEM_PATH
from sandbox.world import World

if TYPE_CHECKING:
    from sandbox.processes import Child

__all__ = ["Options", "run"]

PROGRAMS = {"sshd": "openssh-server", "ssh": "openssh-client", "tmux": "tmux", "git": "git"}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def run(options: Options) -> int:
    """Bring the world up, and end it on a signal without leaving a process or a file; 0 when all went as asked.

    Raises the errors of `bot.domain.errors` when the world cannot be brought up.
    """
    demand_programs()
    if scenario(options.scenario).search and options.repo is None:
        demand_servers()
    task = asyncio.ensure_future(_played(options) if options.play else _shown(options))
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, _interrupt, loop, task)
    try:
        return await task
    except asyncio.CancelledError:
        return 128 + signal.SIGINT if options.play else 0
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def demand_programs() -> None:
    """Name in one line what the machine lacks; raises `Unavailable`."""
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program, path=path) is None]
    if missing:
        names = " ".join(missing)
        raise Unavailable(f"The sandbox needs what is not installed here: {names}.", hint=f"apt install {names}")


async def _played(options: Options) -> int:
    async with World(options) as world:
        await world.start_bot()
        return await play(world)


async def _shown(options: Options) -> int:
    async with World(options) as world:
        if options.bot:
            await world.start_bot()
        print(f"Ready: open {world.slack.url} and type /release review in #metaspace_dev. Ctrl-C ends it.", flush=True)
        if world.bot is not None:
            await world.bot.process.wait()
            _report(world.bot)
        await asyncio.Event().wait()
    return 0


def _report(bot: Child) -> None:
    """Say that the bot is gone. It is not started again: whoever killed it wants to see what then happens."""
    print(f"The bot ended with status {bot.process.returncode}; its last words:", file=sys.stderr)
    print(bot.last_words(20), file=sys.stderr, flush=True)


def _interrupt(loop: asyncio.AbstractEventLoop, task: asyncio.Future[int]) -> None:
    """End the world. A second Ctrl-C does not cut the tidying up short."""
    for number in SIGNALS:
        loop.add_signal_handler(number, _already)
    task.cancel()


def _already() -> None:
    print("Ending …", file=sys.stderr, flush=True)
