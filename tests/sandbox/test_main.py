from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Unavailable, WrongUse
from sandbox import main
from sandbox.main import Options, demand_programs, run
from sandbox.processes import MARK, marked, until

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
import asyncio, pathlib, sys
from sandbox.main import Options, run
sys.exit(asyncio.run(run(Options(bot=False, state=pathlib.Path(sys.argv[1])))))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for temporary files that is not deep: sockets are made in it."""
    with tempfile.TemporaryDirectory(prefix="t-") as name:
        yield Path(name)


async def start(folder: Path) -> asyncio.subprocess.Process:
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    environment.pop(MARK, None)
    (folder / "tmp").mkdir()
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, str(folder / "state.json")),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )


async def test_ctrl_c_leaves_no_process_and_no_file(folder: Path) -> None:
    process = await start(folder)
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    assert line.startswith(b"Ready: open http://127.0.0.1:")
    state = json.loads((folder / "state.json").read_text())
    assert marked(Path(state["root"]))
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 30) == 0
    assert marked(Path(state["root"])) == []
    assert list((folder / "tmp").iterdir()) == []
    assert not (folder / "state.json").exists()


async def test_ctrl_c_while_the_world_comes_up_leaves_nothing_either(folder: Path) -> None:
    process = await start(folder)

    async def begun() -> bool:
        return any((root / "logs").exists() for root in (folder / "tmp").iterdir())

    await until(begun, what="the world's beginning")
    root = next((folder / "tmp").iterdir())
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 30) == 0
    assert marked(root) == []
    assert list((folder / "tmp").iterdir()) == []


async def test_an_unknown_scenario_is_refused_before_anything_starts() -> None:
    with pytest.raises(WrongUse, match="no scenario 'x'"):
        await run(Options(scenario="x"))


def test_what_the_machine_lacks_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(main.PROGRAMS, "no-such-program", "no-such-package")
    with pytest.raises(Unavailable, match="not installed here: no-such-package") as caught:
        demand_programs()
    assert caught.value.hint == "apt install no-such-package"
