"""`integrations.ssh` against a real OpenSSH server: commands, files, words, clocks."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.errors import HostUnreachable, Refused, Unavailable, WrongUse
from bot.engine.clock import SystemClock
from integrations.ssh import SshHost
from integrations.sshcommand import CommandFailed, NoSuchFile
from tests.integrations.helpers import names, settings_of, text, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.sshd import SshServer
    from tests.integrations.wire import Wire

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


async def test_a_command_says_what_it_printed_and_how_it_ended(host: SshHost) -> None:
    done = await host.run(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (done.stdout, done.stderr, done.status) == ("out\n", "err\n", 3)


async def test_a_failed_command_is_told_with_its_words_and_how_to_try_it_by_hand(host: SshHost) -> None:
    with pytest.raises(CommandFailed, match=r"ls on web-1 ended with status 2: .*cannot access '/no such'") as caught:
        await host.run(["ls", "/no such"])
    assert caught.value.hint == "ssh web-1, then: ls '/no such'"
    assert caught.value.status == 2


async def test_secrets_in_the_words_of_a_failed_command_are_hidden(host: SshHost) -> None:
    with pytest.raises(CommandFailed) as caught:
        await host.run(["sh", "-c", "echo password=hunter2hunter2 >&2; exit 1"])
    assert "hunter2" not in str(caught.value)


async def test_a_signal_is_a_negative_status(host: SshHost) -> None:
    assert (await host.run(["sh", "-c", "kill -KILL $$"], check=False)).status == -9


async def test_what_a_program_lacks_is_told_as_127(host: SshHost) -> None:
    assert (await host.run(["no-such-program"], check=False)).status == 127


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORDS, max_size=20), value=WORDS)
async def test_words_and_variables_arrive_as_they_were(shared: SshServer, words: list[str], value: str) -> None:
    host = SshHost("web-1", settings_of(shared), SystemClock())  # an example has a loop of its own
    script = 'printf "%s\\0" "$V" "$@"'
    try:
        said = await host.run(["sh", "-c", script, "sh", *words], env={"V": value}, cwd="/")
    finally:
        await host.close()
    assert said.stdout.split("\0")[:-1] == [value, *words]


@pytest.mark.parametrize("word", ["cut\0here", "half \ud800"])
async def test_a_word_that_cannot_be_sent_whole_is_refused(host: SshHost, word: str) -> None:
    with pytest.raises(WrongUse, match="cannot be sent"):
        await host.run(["echo", word])


async def test_a_command_runs_in_the_folder_and_with_the_variables_it_was_given(host: SshHost, tmp_path: Path) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    said = await host.run(["sh", "-c", "pwd; echo $COLOUR"], cwd=str(folder), env={"COLOUR": "dark red"})
    assert said.stdout == f"{folder}\ndark red\n"
    with pytest.raises(CommandFailed, match="/nowhere"):
        await host.run(["true"], cwd="/nowhere")


async def test_big_output_and_input_arrive_whole(host: SshHost) -> None:
    said = await host.run(["seq", "1", "500000"])
    assert said.stdout == "".join(f"{n}\n" for n in range(1, 500001))
    data = os.urandom(5_000_000)
    assert (await host.run(["sha256sum"], stdin=data)).stdout.split()[0] == hashlib.sha256(data).hexdigest()


async def test_a_command_that_reads_no_input_is_judged_by_its_status(host: SshHost) -> None:
    assert (await host.run(["sh", "-c", "exit 4"], stdin=bytes(8_000_000), check=False)).status == 4


async def test_input_that_nobody_gave_is_at_its_end(host: SshHost) -> None:
    assert (await host.run(["cat"], timeout=10)).stdout == ""


async def test_a_file_is_put_with_its_mode_in_place_of_the_old_one(host: SshHost, tmp_path: Path) -> None:
    place, data = tmp_path / "a file's name", os.urandom(100_000)
    place.write_text("old")
    await host.put(str(place), data, 0o750)
    assert place.read_bytes() == data
    assert place.stat().st_mode & 0o777 == 0o750
    assert names(tmp_path) == [place.name]


@pytest.mark.parametrize("name", ["missing/file", "folder"])
async def test_a_file_that_cannot_be_put_leaves_nothing(host: SshHost, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(CommandFailed):
        await host.put(str(tmp_path / name), b"data")
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == []


async def test_a_put_that_loses_its_connection_leaves_the_old_file_alone(
    far: SshHost, wire: Wire, tmp_path: Path
) -> None:
    place = tmp_path / "file"
    place.write_text("old")
    putting = asyncio.create_task(far.put(str(place), bytes(50_000_000)))
    await until(lambda: any(path.stat().st_size > 0 for path in tmp_path.glob("file.*.new")))
    wire.cut()
    with pytest.raises(HostUnreachable):
        await putting
    await until(lambda: names(tmp_path) == ["file"])
    assert place.read_text() == "old"


async def test_a_put_that_is_ended_on_the_server_leaves_the_old_file_alone(far: SshHost, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("old")
    putting = asyncio.create_task(far.put(str(place), bytes(50_000_000)))
    await until(lambda: any(path.stat().st_size > 0 for path in tmp_path.glob("file.*.new")))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "sh" and any(word.startswith(f"{tmp_path}/file.") for word in process.cmdline()):
                process.terminate()
    with pytest.raises(CommandFailed):
        await putting
    assert names(tmp_path) == ["file"]
    assert place.read_text() == "old"


@pytest.mark.parametrize(
    ("offset", "limit", "found"), [(0, 4, b"0123"), (3, 4, b"3456"), (8, 4, b"89"), (10, 4, b""), (99, 4, b"")]
)
async def test_a_file_is_read_from_an_offset(
    host: SshHost, tmp_path: Path, offset: int, limit: int, found: bytes
) -> None:
    (tmp_path / "-f").write_bytes(b"0123456789")
    assert await host.read(str(tmp_path / "-f"), offset, limit) == found


async def test_bytes_of_a_file_are_read_as_they_are(host: SshHost, tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    (tmp_path / "f").write_bytes(data)
    assert await host.read(str(tmp_path / "f"), limit=len(data)) == data


async def test_what_cannot_be_read_is_told_apart_from_what_is_not_there(host: SshHost, tmp_path: Path) -> None:
    with pytest.raises(NoSuchFile):
        await host.read(str(tmp_path / "missing"))
    with pytest.raises(CommandFailed) as caught:
        await host.read(str(tmp_path))
    assert not isinstance(caught.value, NoSuchFile)


class Ahead(SystemClock):
    """A bot whose clock is an hour ahead of the server's."""

    later = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)

    def monotonic(self) -> float:
        return super().monotonic() + self.later


async def test_the_hosts_times_are_told_on_the_bots_clock(shared: SshServer) -> None:
    host = SshHost("web-1", settings_of(shared), Ahead())
    try:
        assert await host.offset() == pytest.approx(-3600, abs=1)
        noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        assert abs(await host.to_bot_time(noon.timestamp()) - noon - timedelta(hours=1)) < timedelta(seconds=1)
    finally:
        await host.close()


async def test_the_hosts_clock_is_asked_again_after_ten_minutes(shared: SshServer) -> None:
    clock = Ahead()
    host = SshHost("web-1", settings_of(shared), clock)
    try:
        first = await host.offset()
        assert await host.offset() == first
        clock.later = 601
        assert await host.offset() != first
    finally:
        await host.close()


async def test_a_clock_that_took_long_to_be_told_is_asked_again(
    server: SshServer, connect: Callable[..., SshHost]
) -> None:
    held = server.bin / "held-up-once"
    (server.bin / "date").write_text(f'#!/bin/sh\n[ -e {held} ] || {{ touch {held}; sleep 4; }}\nexec /bin/date "$@"\n')
    (server.bin / "date").chmod(0o755)
    assert await connect(server).offset() == pytest.approx(0, abs=1)  # taken at its word it would be two seconds ahead


async def test_a_clock_that_says_no_time_is_told(server: SshServer, connect: Callable[..., SshHost]) -> None:
    (server.bin / "date").write_text("#!/bin/sh\necho noon\n")
    (server.bin / "date").chmod(0o755)
    with pytest.raises(Unavailable, match="The clock of web-1 says 'noon'"):
        await connect(server).offset()


async def test_a_slow_command_is_ended_at_its_deadline_and_the_connection_is_left_to_the_others(
    plain: SshHost, shared_folder: Path
) -> None:
    pid = shared_folder / "pid"
    where = ["sh", "-c", "echo $SSH_CONNECTION"]
    before = (await plain.run(where)).stdout
    with pytest.raises(HostUnreachable, match="sh on web-1 gave no answer within 3 s"):
        await plain.run(["sh", "-c", 'echo $$ > "$1"; exec sleep 300', "sh", str(pid)], timeout=3)
    await until(lambda: not alive(pid))
    assert (await plain.run(where)).stdout == before


async def test_a_command_that_nobody_waits_for_any_more_is_ended(plain: SshHost, shared_folder: Path) -> None:
    pid = shared_folder / "pid"
    waiting = asyncio.create_task(plain.run(["sh", "-c", 'echo $$ > "$1"; exec sleep 300', "sh", str(pid)]))
    await until(lambda: bool(text(pid)))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: not alive(pid))


async def test_sudo_that_is_not_allowed_is_refused_with_what_to_allow(plain: SshHost, poor: str) -> None:
    assert (await plain.run(["id", "-un"])).stdout == f"{poor}\n"
    with pytest.raises(Refused, match=f"{poor} may not run id with sudo on web-1 without a password") as caught:
        await plain.run(["id", "-u"], sudo=True)
    assert caught.value.hint == "allow it in sudoers (NOPASSWD): id -u"
    with pytest.raises(Refused):
        await plain.run(["id"], sudo=True, check=False)


async def test_sudo_that_is_allowed_takes_words_and_variables_as_they_are(shared: SshServer, host: SshHost) -> None:
    if os.geteuid() != 0 or shutil.which("sudo") is None:
        pytest.skip("root may use sudo everywhere; others need not be allowed to")
    said = await host.run(["sh", "-c", 'echo "$V" "$1"', "sh", "$(id) 'x'"], sudo=True, env={"V": "a b"}, cwd="/")
    assert said.stdout == "a b $(id) 'x'\n"


async def test_a_command_that_fails_under_sudo_is_not_taken_for_missing_rights(host: SshHost) -> None:
    if os.geteuid() != 0 or shutil.which("sudo") is None:
        pytest.skip("root may use sudo everywhere; others need not be allowed to")
    with pytest.raises(CommandFailed, match="sh on web-1 ended with status 1: Bo is not allowed to do this"):
        await host.run(["sh", "-c", "echo Bo is not allowed to do this >&2; exit 1"], sudo=True)


@pytest.fixture
def shared_folder(root: Path) -> Iterator[Path]:
    """A folder that every user may write to."""
    with tempfile.TemporaryDirectory(dir=root) as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def alive(pid: Path) -> bool:
    return Path(f"/proc/{text(pid).strip()}/cwd").exists()
