"""`integrations.jobs` with its wrapper, in real tmux over real SSH: starting, names, locks (docs/jobs.md)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from typing import TYPE_CHECKING

import psutil
import pytest

from bot.domain.errors import Conflict, HostUnreachable, StepFailed, WrongUse
from bot.domain.world import JobState
from bot.engine.clock import SystemClock
from tests.integrations.helpers import text, until
from tests.integrations.workbench import Bench, waiting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from integrations.ssh import SshHost
    from sandbox.sshd import SshServer
    from tests.integrations.wire import Wire


async def test_a_job_leaves_log_receipt_and_times(bench: Bench) -> None:
    await bench.start("one", "sh", "-c", "echo out; echo err >&2; exit 3", marks={"release": "R1", "commit": "c"})
    report = await bench.ended("one")
    assert (report.state, report.exit_status) == (JobState.FINISHED, 3)
    assert report.marks == {"release": "R1", "commit": "c"}
    assert report.finished_at is not None
    assert report.started_at <= report.heartbeat_at
    assert report.started_at < report.finished_at
    assert abs(SystemClock().now() - report.finished_at).total_seconds() < 20
    assert bench.log("one") == "out\nerr\n"
    assert bench.receipt("one")["stopped"] is False


async def test_a_folder_of_a_job_is_readable_by_its_owner_alone(bench: Bench) -> None:
    await bench.start("one", "true")
    await bench.ended("one")
    modes = {
        path.name: path.stat().st_mode & 0o077 for path in [bench.folder / "one", *(bench.folder / "one").iterdir()]
    }
    assert set(modes.values()) == {0}, modes


async def test_the_work_sees_what_it_was_given_and_what_every_program_needs(bench: Bench, tmp_path: Path) -> None:
    given = {"COLOUR": "dark 'red'", "LANG": "de_DE.UTF-8"}
    await bench.start("one", "sh", "-c", "pwd; umask; env -0 | sort -z | tr '\\0' '\\n'", env=given, cwd=str(tmp_path))
    await bench.ended("one")
    folder, umask, *lines = bench.log("one").splitlines()
    found = dict(line.split("=", 1) for line in lines)
    assert (folder, umask) == (str(tmp_path), "0022")
    assert given.items() <= found.items()
    assert found["RELEASEBOT_EVENTS"] == str(bench.folder / "one" / "events.jsonl")
    allowed = {"PATH", "HOME", "LANG", "USER", "LOGNAME", "SHELL", "TMPDIR", "COLOUR", "RELEASEBOT_EVENTS", "PWD"}
    assert {"PATH", "HOME", "USER", "LOGNAME"} <= set(found) <= allowed | {"_"}


async def test_words_arrive_as_they_were(bench: Bench) -> None:
    words = ["", "a b", "$(id)", "'", '"', "\\", "ä\n", "*", "-n", ";", "#{pane_id}", "%%"]
    await bench.start("one", "printf", "<%s>", *words)
    await bench.ended("one")
    assert bench.log("one") == "".join(f"<{word}>" for word in words)


async def test_a_job_may_be_nice(bench: Bench) -> None:
    await bench.start("one", "nice", nice=True)
    await bench.ended("one")
    assert bench.log("one") == f"{min(19, os.nice(0) + 10)}\n"  # nice(1) adds ten to what we have ourselves


async def test_a_name_runs_once_ever(bench: Bench, tmp_path: Path) -> None:
    work = ("sh", "-c", 'echo once >> "$1"', "sh", str(tmp_path / "done"))
    await bench.start("one", *work)
    before = await bench.ended("one")
    await bench.start("one", *work, marks={"other": "marks"})
    assert await bench.look("one") == before
    assert text(tmp_path / "done") == "once\n"


async def test_a_name_that_is_started_twice_at_the_same_moment_runs_once(
    bench: Bench, shared: SshServer, connect: Callable[..., SshHost], tmp_path: Path
) -> None:
    others = [Bench(connect(shared), bench.folder, shared) for _ in range(3)]
    work = ("sh", "-c", 'echo once >> "$1"', "sh", str(tmp_path / "done"))
    starts = [one.start("one", *work, marks={"by": str(number)}) for number, one in enumerate([bench, *others] * 2)]
    await asyncio.gather(*starts)
    assert (await bench.ended("one")).exit_status == 0
    assert text(tmp_path / "done") == "once\n"


async def test_a_folder_whose_wrapper_never_started_is_started_then(bench: Bench) -> None:
    await bench.start("other", "true")
    spec = {"name": "one", "argv": ["true"], "cwd": "/", "env": {}, "marks": {}, "lock": "", "nice": False, "grace": 1}
    (bench.folder / "one").mkdir()
    (bench.folder / "one" / "spec.json").write_text(json.dumps({**spec, "created": SystemClock().now().timestamp()}))
    assert (await bench.look("one")).state is JobState.RUNNING
    (bench.folder / "one" / "spec.json").write_text(json.dumps({**spec, "created": 0}))
    assert (await bench.look("one")).state is JobState.LOST
    await bench.start("one", "echo", "run")
    assert (await bench.ended("one")).exit_status == 0
    assert bench.log("one") == "run\n"


async def test_a_held_lock_refuses_by_the_holders_name_and_leaves_no_job_behind(bench: Bench, tmp_path: Path) -> None:
    go = tmp_path / "go"
    await bench.start("first", *waiting(go), lock="web")
    with pytest.raises(Conflict, match="first is running on web-1 and must not run beside second") as caught:
        await bench.start("second", "true", lock="web")
    assert "attach -r -t =first" in caught.value.hint
    assert caught.value.changed == "Nothing."
    assert await bench.jobs.look(name="second") is None
    assert [one.name for one in await bench.jobs.find(marks={})] == ["first"]
    await bench.start("beside", "true", lock="another")
    go.touch()
    await bench.ended("first")
    await bench.start("second", "true", lock="web")
    assert (await bench.ended("second")).exit_status == 0


async def test_of_two_jobs_with_one_lock_at_the_same_moment_one_is_refused(bench: Bench, tmp_path: Path) -> None:
    go = tmp_path / "go"
    names = ["a", "b", "c"]
    tried = await asyncio.gather(*(bench.start(n, *waiting(go), lock="web") for n in names), return_exceptions=True)
    assert sorted(type(one).__name__ for one in tried) == ["Conflict", "Conflict", "NoneType"]
    go.touch()
    await bench.ended(names[tried.index(None)])


async def test_the_lock_is_free_as_soon_as_the_receipt_is_there(bench: Bench) -> None:
    for number in range(5):
        await bench.start(f"j{number}", "true", lock="web")
        await bench.ended(f"j{number}")


async def test_what_an_ended_job_left_in_the_background_does_not_hold_its_lock(bench: Bench, tmp_path: Path) -> None:
    await bench.start("one", "sh", "-c", 'sleep 300 & echo $! > "$1"', "sh", str(tmp_path / "pid"), lock="web")
    await bench.ended("one")
    await bench.start("two", "true", lock="web")
    left = psutil.Process(int(text(tmp_path / "pid")))
    assert left.name() == "sleep"
    left.kill()


async def test_a_start_whose_connection_was_cut_may_be_asked_again_and_runs_once(
    far: SshHost, wire: Wire, bench: Bench, shared: SshServer, tmp_path: Path
) -> None:
    cut = Bench(far, bench.folder, shared)
    work = ("sh", "-c", 'echo once >> "$1"', "sh", str(tmp_path / "done"))
    slow = shared.bin / "tmux"
    slow.write_text(f'#!/bin/sh\n{shutil.which("tmux")} "$@"\nwhile [ -e "$0" ]; do sleep 0.02; done\n')
    slow.chmod(0o755)
    try:
        starting = asyncio.create_task(cut.start("one", *work))
        await until(lambda: text(tmp_path / "done") == "once\n")
        wire.cut()
        with pytest.raises(HostUnreachable):
            await starting
    finally:
        slow.unlink()
    await cut.start("one", *work)
    assert (await bench.ended("one")).exit_status == 0
    assert text(tmp_path / "done") == "once\n"


async def test_half_a_spec_starts_nothing(far: SshHost, wire: Wire, bench: Bench, shared: SshServer) -> None:
    cut = Bench(far, bench.folder, shared)
    await cut.jobs.look(name="one")
    await far.offset()
    starting = asyncio.create_task(cut.start("one", "true", env={"BIG": "x" * 60_000_000}))
    await until(lambda: any(bench.folder.glob("one/spec.*.new")))
    wire.cut()
    with pytest.raises(HostUnreachable):
        await starting
    await until(lambda: not any(bench.folder.glob("one/*")))
    assert await bench.jobs.look(name="one") is None


async def test_jobs_are_found_by_their_marks_oldest_first(bench: Bench) -> None:
    for name, marks in (("b", {"r": "1", "c": "x"}), ("a", {"r": "1"}), ("c", {"r": "2"})):
        await bench.start(name, "true", marks=marks)
    assert [one.name for one in await bench.jobs.find(marks={"r": "1"})] == ["b", "a"]
    assert [one.name for one in await bench.jobs.find(marks={"r": "1", "c": "x"})] == ["b"]
    assert await bench.jobs.find(marks={"r": "3"}) == []


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "-".join("x" * 60), "a\n", "ä", "a.b"])
async def test_names_are_checked(bench: Bench, name: str) -> None:
    with pytest.raises(WrongUse, match="is no name for a job or a lock"):
        await bench.start(name, "true")
    with pytest.raises(WrongUse):
        await bench.jobs.look(name=name)
    with pytest.raises(WrongUse):
        await bench.jobs.stop(name=name)
    if name:
        with pytest.raises(WrongUse):
            await bench.start("one", "true", lock=name)
    with pytest.raises(WrongUse, match="A job has no file"):
        await bench.jobs.read(name="one", file="../one/log", offset=0)


async def test_a_server_without_tmux_is_told(server: SshServer, connect: Callable[..., SshHost]) -> None:
    (server.bin / "tmux").write_text("#!/bin/sh\necho no tmux today >&2; exit 127\n")
    (server.bin / "tmux").chmod(0o755)
    (server.bin / "seq").write_text("#!/bin/sh\necho 1\n")  # its patience
    (server.bin / "seq").chmod(0o755)
    bench = Bench(connect(server), server.root / "jobs", server)
    with pytest.raises(StepFailed, match=r"one did not start on web-1: .*no tmux today"):
        await bench.start("one", "true")


async def test_a_wrapper_that_was_removed_is_brought_again(bench: Bench) -> None:
    await bench.start("one", "true")
    for again in ("look", "start", "stop"):
        (bench.folder / ".bin" / "job_wrapper.py").unlink()
        if again == "look":
            await bench.ended("one")
        elif again == "start":
            await bench.start("two", "true")
        else:
            await bench.jobs.stop(name="two")


async def test_the_line_for_people_attaches(bench: Bench, shared: SshServer) -> None:
    line = bench.jobs.attach_line(name="one")
    assert line.startswith(f"ssh -t -p {shared.port} {shared.user}@127.0.0.1 ")
    assert line.endswith(f"'tmux -L {bench.settings.tmux_socket} attach -r -t =one'")
