"""`integrations.jobs` with its wrapper, in real tmux over real SSH: logs, ends and receipts (docs/jobs.md)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import psutil
import pytest

from bot.domain.errors import Conflict
from bot.domain.world import Chunk, JobState
from integrations import job_wrapper
from sandbox import processes
from tests.integrations.helpers import alive, text, until
from tests.integrations.workbench import Bench, waiting

if TYPE_CHECKING:
    from pathlib import Path


async def test_work_that_a_signal_ends_has_a_receipt(bench: Bench) -> None:
    await bench.start("one", "sh", "-c", "kill -KILL $$")
    assert (await bench.ended("one")).exit_status == 128 + signal.SIGKILL


@pytest.mark.parametrize(("argv", "cwd"), [("/no/such/program", "/"), ("true", "/no/such/folder")])
async def test_work_that_cannot_start_has_a_receipt_and_its_reason_in_the_log(
    bench: Bench, argv: str, cwd: str
) -> None:
    await bench.start("one", argv, cwd=cwd)
    assert (await bench.ended("one")).exit_status == 127
    assert bench.log("one").startswith(f"cannot start {argv} in {cwd}: ")
    assert "No such file" in bench.receipt("one")["said"]


async def test_the_pane_shows_the_log_and_keys_there_do_not_reach_the_work(bench: Bench, tmp_path: Path) -> None:
    go = tmp_path / "go"
    await bench.start("one", *waiting(go, "at work"))

    async def shown() -> bool:
        return "at work" in await bench.tmux("capture-pane", "-p", "-t", "=one:")

    await processes.until(shown, what="the log in the pane")
    await bench.tmux("send-keys", "-t", "=one:", "C-z", "C-c", "C-\\")
    assert (await bench.look("one")).state is JobState.RUNNING
    go.touch()
    assert (await bench.ended("one")).exit_status == 0


async def test_a_killed_tmux_does_not_end_it(bench: Bench, tmp_path: Path) -> None:
    go = tmp_path / "go"
    await bench.start("one", *waiting(go, "at work"))
    await bench.tmux("kill-server")
    assert (await bench.look("one")).state is JobState.RUNNING
    go.touch()
    assert (await bench.ended("one")).exit_status == 0
    assert bench.log("one") == "at work\n"


async def test_a_killed_wrapper_is_lost_its_work_keeps_the_lock_and_stopping_ends_it(
    hasty: Bench, tmp_path: Path
) -> None:
    await hasty.start("one", *waiting(tmp_path / "go"), lock="web", marks={"release": "R1"})
    await until(lambda: bool(text(hasty.folder / "one" / "child.json")))
    work = hasty.process("one", "child")
    hasty.process("one", "wrapper").kill()
    report = await hasty.ended("one")
    assert (report.state, report.exit_status) == (JobState.LOST, None)
    assert work.is_running()
    await hasty.start("one", "echo", "never again")
    assert (await hasty.look("one")).state is JobState.LOST
    with pytest.raises(Conflict, match="one is running"):
        await hasty.start("two", "true", lock="web")
    await hasty.jobs.stop(name="one")
    report = await hasty.look("one")
    assert (report.state, report.exit_status, report.marks) == (JobState.FINISHED, 143, {"release": "R1"})
    assert not alive(work)
    await hasty.start("two", "true", lock="web")
    await hasty.ended("two")


async def test_a_process_that_got_the_number_is_not_the_wrapper(bench: Bench, tmp_path: Path) -> None:
    await bench.start("one", *waiting(tmp_path / "go"))
    file = bench.folder / "one" / "wrapper.json"
    facts = json.loads(text(file))
    file.write_text(json.dumps({**facts, "ticks": "1"}))
    assert (await bench.look("one")).state is JobState.LOST
    file.write_text(json.dumps({**facts, "boot": "another"}))
    assert (await bench.look("one")).state is JobState.LOST
    file.write_text(json.dumps(facts))
    await bench.jobs.stop(name="one")


def test_a_process_that_has_ended_and_that_nobody_has_buried_does_not_live() -> None:
    process = subprocess.Popen(["sleep", "300"])
    known = job_wrapper.identity(process.pid)
    assert job_wrapper.lives(known)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is left as it is
    assert not job_wrapper.lives(known)
    process.wait()
    assert not job_wrapper.lives(known)


async def test_stopping_ends_the_whole_group_gently(bench: Bench, tmp_path: Path) -> None:
    script = 'trap "echo bye; exit 5" TERM; sleep 300 & echo $! > "$1"; wait'
    await bench.start("one", "sh", "-c", script, "sh", str(tmp_path / "pid"))
    await until(lambda: bool(text(tmp_path / "pid")))
    started = psutil.Process(int(text(tmp_path / "pid")))
    await bench.jobs.stop(name="one")
    report = await bench.look("one")
    assert (report.state, report.exit_status) == (JobState.FINISHED, 5)
    assert bench.receipt("one")["stopped"] is True
    assert bench.log("one") == "bye\n"
    assert not alive(started)


async def test_what_takes_no_notice_of_term_is_killed(hasty: Bench, tmp_path: Path) -> None:
    script = 'trap "" TERM; echo ready > "$1"; while :; do sleep 0.1; done'
    await hasty.start("one", "sh", "-c", script, "sh", str(tmp_path / "ready"))
    await until(lambda: bool(text(tmp_path / "ready")))
    await hasty.jobs.stop(name="one")
    assert (await hasty.look("one")).exit_status == 128 + signal.SIGKILL


async def test_a_member_of_the_group_that_takes_no_notice_is_killed(hasty: Bench, tmp_path: Path) -> None:
    script = '(trap "" TERM; sh -c "echo \\$PPID" > "$1"; while :; do sleep 0.1; done) & wait'
    await hasty.start("one", "sh", "-c", script, "sh", str(tmp_path / "pid"))
    await until(lambda: bool(text(tmp_path / "pid")))
    stubborn = psutil.Process(int(text(tmp_path / "pid")))
    await hasty.jobs.stop(name="one")
    assert (await hasty.look("one")).exit_status == 143
    assert not alive(stubborn)


async def test_stopping_what_has_ended_or_never_was_changes_nothing(bench: Bench) -> None:
    await bench.start("one", "true")
    before = await bench.ended("one")
    await bench.jobs.stop(name="one")
    await bench.jobs.stop(name="never")
    assert await bench.look("one") == before
    assert await bench.jobs.look(name="never") is None


async def test_the_heart_beats_while_it_runs(bench: Bench, tmp_path: Path) -> None:
    await bench.start("one", *waiting(tmp_path / "go"))
    first = text(bench.folder / "one" / "heartbeat")
    await until(lambda: text(bench.folder / "one" / "heartbeat") != first, deadline=6)
    (tmp_path / "go").touch()
    await bench.ended("one")


async def test_a_receipt_that_cannot_be_written_is_tried_until_it_can(bench: Bench, tmp_path: Path) -> None:
    await bench.start("one", *waiting(tmp_path / "go"))
    in_the_way = bench.folder / "one" / "status.json"
    in_the_way.mkdir()
    (tmp_path / "go").touch()
    await until(lambda: any(bench.folder.glob("one/status.json.*.new")))
    assert (await bench.look("one")).state is JobState.RUNNING
    in_the_way.rmdir()
    assert (await bench.ended("one")).exit_status == 0


async def test_a_log_is_followed_by_offset_in_whole_lines(bench: Bench, tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = 'printf "one\\nzwölf\\nhal"; while [ ! -e "$1" ]; do sleep 0.02; done; printf "f\\nend"'
    assert await bench.jobs.read(name="one", file="log", offset=0) == Chunk("", 0)
    await bench.start("one", "sh", "-c", script, "sh", str(go))
    await until(lambda: bench.log("one").endswith("hal"))
    first = await bench.jobs.read(name="one", file="log", offset=0)
    assert first == Chunk("one\nzwölf\n", 11)
    assert await bench.jobs.read(name="one", file="log", offset=11) == Chunk("", 11)
    go.touch()
    await bench.ended("one")
    assert await bench.jobs.read(name="one", file="log", offset=11) == Chunk("half\n", 16)


async def test_a_long_line_comes_in_parts_of_whole_characters(bench: Bench) -> None:
    await bench.start("one", "printf", "%s\n", "ä" * 20 + "十" * 20)
    await bench.ended("one")
    found, offset = "", 0
    while (chunk := await bench.jobs.read(name="one", file="log", offset=offset, limit=7)).next_offset > offset:
        found, offset = found + chunk.text, chunk.next_offset
    assert found == "ä" * 20 + "十" * 20 + "\n"


async def test_events_are_a_file_like_the_log(bench: Bench) -> None:
    await bench.start("one", "sh", "-c", 'echo "{}" >> "$RELEASEBOT_EVENTS"')
    await bench.ended("one")
    assert await bench.jobs.read(name="one", file="events.jsonl", offset=0) == Chunk("{}\n", 3)
