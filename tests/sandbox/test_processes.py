from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Unavailable
from sandbox.processes import Processes, alive, answers, descendants, free_port, marked, output, until

if TYPE_CHECKING:
    from pathlib import Path

FOREVER = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
DAEMON = "import os, time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  time.sleep(600)\n os._exit(0)"


async def test_leaving_the_context_ends_every_child(tmp_path: Path) -> None:
    async with Processes(tmp_path) as world:
        child = await world.start("one", FOREVER)
        assert child.running
    assert not child.running
    assert not alive(child.pid)


async def test_a_child_that_ignores_term_is_killed(tmp_path: Path) -> None:
    async with Processes(tmp_path) as world:
        child = await world.start("deaf", [sys.executable, "-c", DEAF])

        async def speaks() -> bool:
            return "deaf" in child.last_words()

        await until(speaks, what="deaf", child=child)
        await child.stop(grace=0.1)
    assert child.process.returncode == -9


async def test_a_daemon_that_left_its_parent_is_found_by_its_mark_and_ended(tmp_path: Path) -> None:
    async with Processes(tmp_path) as world:
        child = await world.start("daemon", [sys.executable, "-c", DAEMON])
        await child.process.wait()

        async def left() -> bool:
            return bool(marked(tmp_path))

        await until(left, what="the daemon")
    assert marked(tmp_path) == []


async def test_an_error_inside_the_context_leaves_nothing_behind(tmp_path: Path) -> None:
    async def fails() -> None:
        async with Processes(tmp_path) as world:
            await world.start("one", FOREVER)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert marked(tmp_path) == []


async def test_a_program_that_dies_is_reported_at_once_with_its_last_words(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async with Processes(tmp_path) as world:
        child = await world.start("dies", [sys.executable, "-c", "raise SystemExit('no disk')"])
        with pytest.raises(Unavailable, match="no disk"):
            await until(never, what="dies", child=child, deadline=30)


async def test_a_missing_program_is_named(tmp_path: Path) -> None:
    async with Processes(tmp_path) as world:
        with pytest.raises(Unavailable, match="no-such-program"):
            await world.start("x", ["no-such-program"])


async def test_output_raises_with_the_programs_own_words() -> None:
    assert await output(["git", "--version"])
    with pytest.raises(Unavailable, match="frobnicate"):
        await output(["git", "frobnicate"])


async def test_a_free_port_is_not_answered() -> None:
    assert not await answers(free_port())


def test_our_own_descendants_do_not_include_ourselves() -> None:
    assert os.getpid() not in descendants(os.getpid())
