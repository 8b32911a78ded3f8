"""`integrations.ssh` against a real OpenSSH server: the kept connection, its loss, its keys and its streams."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psutil
import pytest

from bot.domain.errors import BadSettings, HostKeyChanged, HostUnreachable
from integrations import ssh
from integrations.ssh import SESSIONS
from integrations.sshcommand import CommandFailed, Lines
from sandbox.processes import free_port, output
from tests.integrations.helpers import configure, text, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from integrations.ssh import SshHost
    from sandbox.sshd import SshServer
    from tests.integrations.wire import Wire

WHERE = ["sh", "-c", "echo $SSH_CONNECTION"]


async def where(host: SshHost) -> str:
    """Which connection this is, as the server sees it."""
    return (await host.run(WHERE)).stdout


async def test_concurrent_commands_share_one_connection(host: SshHost) -> None:
    assert len(set(await asyncio.gather(*(where(host) for _ in range(3 * SESSIONS))))) == 1


async def test_a_server_that_was_started_again_is_connected_to_anew(
    server: SshServer, connect: Callable[..., SshHost]
) -> None:
    host = connect(server)
    before = await where(host)
    await server.stop()
    with pytest.raises(HostUnreachable, match=r"web-1 \(127.0.0.1\) cannot be reached: .*refused"):
        await where(host)
    await server.start()
    assert await where(host) != before


async def test_a_connection_lost_between_two_commands_is_not_noticed(far: SshHost, wire: Wire) -> None:
    before = await where(far)
    wire.cut()
    assert await where(far) != before
    assert wire.connections == 2


async def test_a_command_whose_connection_is_lost_is_told_and_not_sent_again(host: SshHost, tmp_path: Path) -> None:
    done = tmp_path / "done"
    with pytest.raises(HostUnreachable, match="lost"):
        await host.run(["sh", "-c", 'echo once >> "$1"; kill -KILL $PPID; sleep 300', "sh", str(done)])
    assert (await host.run(["cat", str(done)])).stdout == "once\n"


async def test_a_command_that_was_sent_and_never_answered_is_not_sent_again(
    far: SshHost, wire: Wire, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    await where(far)
    wire.hold(after=1)  # the session is opened; what the command answers is held back
    sent = asyncio.create_task(far.run(["sh", "-c", 'echo once >> "$1"', "sh", str(done)]))
    await until(lambda: text(done) == "once\n")
    wire.cut()
    with pytest.raises(HostUnreachable):
        await sent
    wire.release()
    await where(far)
    assert text(done) == "once\n"


async def test_a_connection_that_falls_silent_is_given_up_at_the_deadline(far: SshHost, wire: Wire) -> None:
    before = await where(far)
    wire.hold()
    with pytest.raises(HostUnreachable, match="sh on web-1 gave no answer within 0 s"):
        await far.run(WHERE, timeout=0.3)
    wire.release()
    assert await where(far) != before


async def test_a_connection_without_signs_of_life_is_given_up(
    far: SshHost, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "KEEPALIVE", 0.5)
    waiting = asyncio.create_task(far.run(["sleep", "300"]))
    await until(lambda: wire.connections == 1)
    await where(far)
    wire.hold()
    with pytest.raises(HostUnreachable):
        await waiting


async def test_many_commands_get_through_where_the_server_allows_two_at_once(
    server: SshServer, connect: Callable[..., SshHost]
) -> None:
    await configure(server, "MaxSessions 100", "MaxSessions 2")
    host = connect(server)
    said = await asyncio.gather(*(host.run(["sh", "-c", f"sleep 0.1; echo {n}"]) for n in range(10)))
    assert [one.stdout for one in said] == [f"{n}\n" for n in range(10)]


async def test_a_server_without_our_preferred_ciphers_is_talked_to_in_its_own(
    server: SshServer, connect: Callable[..., SshHost]
) -> None:
    await configure(server, "LogLevel INFO", "Ciphers chacha20-poly1305@openssh.com")
    assert await where(connect(server))


async def test_a_server_that_never_has_room_is_told(
    server: SshServer, connect: Callable[..., SshHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "_PATIENCE", 2)
    await configure(server, "MaxSessions 100", "MaxSessions 0")
    with pytest.raises(HostUnreachable, match="lets us run no more commands at once") as caught:
        await connect(server).run(["true"])
    assert caught.value.hint == "MaxSessions in its sshd_config"


async def test_a_changed_host_key_is_refused_before_anything_is_sent(
    server: SshServer, connect: Callable[..., SshHost]
) -> None:
    host = connect(server)
    await where(host)
    await server.change_host_key()
    for _ in range(2):
        with pytest.raises(HostKeyChanged, match="shows a key that is not the pinned one") as caught:
            await where(host)
    assert "before anything else" in caught.value.hint
    assert caught.value.changed == "Nothing."


async def test_a_host_key_of_another_kind_is_a_changed_one(server: SshServer, connect: Callable[..., SshHost]) -> None:
    await output(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(server.root / "other_key")])
    await configure(server, str(server.root / "host_key"), str(server.root / "other_key"))
    with pytest.raises(HostKeyChanged):
        await where(connect(server))


async def test_a_host_that_nobody_pinned_is_refused(
    shared: SshServer, connect: Callable[..., SshHost], tmp_path: Path
) -> None:
    (tmp_path / "known_hosts").write_text("")
    with pytest.raises(HostKeyChanged):
        await where(connect(shared, known_hosts=tmp_path / "known_hosts"))


async def test_a_key_that_the_server_does_not_know_is_told(
    shared: SshServer, connect: Callable[..., SshHost], tmp_path: Path
) -> None:
    await output(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")])
    with pytest.raises(HostUnreachable, match=f"does not accept our key for {shared.user}") as caught:
        await where(connect(shared, key=tmp_path / "key"))
    assert caught.value.hint == "releasebot doctor --only ssh"


@pytest.mark.parametrize("setting", ["key", "known_hosts"])
async def test_a_key_file_that_is_not_there_is_a_matter_of_settings(
    shared: SshServer, connect: Callable[..., SshHost], setting: str
) -> None:
    with pytest.raises(BadSettings, match="cannot read the SSH key or the known hosts"):
        await where(connect(shared, **{setting: "/nowhere"}))


async def test_a_key_file_that_holds_no_key_is_a_matter_of_settings(
    shared: SshServer, connect: Callable[..., SshHost], tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("no key")
    with pytest.raises(BadSettings):
        await where(connect(shared, key=tmp_path / "key"))


async def test_a_port_that_nobody_listens_on_is_told(shared: SshServer, connect: Callable[..., SshHost]) -> None:
    with pytest.raises(HostUnreachable, match="refused"):
        await where(connect(shared, port=free_port()))


async def test_a_host_that_says_nothing_is_given_up(
    shared: SshServer, far: SshHost, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "CONNECT", 0.3)
    wire.hold()
    with pytest.raises(HostUnreachable, match="did not answer within 0 s"):
        await where(far)


async def test_a_stream_gives_lines_as_they_come(host: SshHost, tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = 'echo first; echo; while [ ! -e "$1" ]; do sleep 0.02; done; printf "ähm\\nlast"'
    found = []
    async for one in host.stream(["sh", "-c", script, "sh", str(go)]):
        found.append(one)
        if len(found) == 2:
            go.touch()
    assert found == ["first", "", "ähm", "last"]


async def test_a_stream_that_fails_says_so_after_its_lines(host: SshHost) -> None:
    stream = host.stream(["sh", "-c", "echo one; exit 7"])
    assert await anext(stream) == "one"
    with pytest.raises(CommandFailed, match="sh on web-1 ended with status 7"):
        await anext(stream)


async def test_a_stream_whose_connection_is_lost_says_so(far: SshHost, wire: Wire) -> None:
    stream = far.stream(["sh", "-c", "echo one; exec sleep 300"])
    assert await anext(stream) == "one"
    wire.cut()
    with pytest.raises(HostUnreachable):
        await anext(stream)


async def test_a_slow_reader_slows_the_command_and_leaving_ends_it(host: SshHost) -> None:
    stream = host.stream(["sh", "-c", "echo $$; exec seq 1000000000"])
    process = psutil.Process(int(await anext(stream)))
    seen = [-1, process.io_counters().write_chars]

    def stands_still() -> bool:
        seen.append(process.io_counters().write_chars)
        return len(seen) > 20 and len(set(seen[-10:])) == 1

    await until(stands_still)
    assert seen[-1] < 20_000_000
    assert await anext(stream) == "1"
    await stream.aclose()
    await until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    assert await where(host)


async def test_an_endless_line_comes_in_parts(host: SshHost) -> None:
    script = "head -c 5000000 /dev/zero | tr '\\0' a; echo; echo end"
    parts = [one async for one in host.stream(["sh", "-c", script])]
    assert parts[-1] == "end"
    assert "".join(parts[:-1]) == "a" * 5_000_000
    assert max(map(len, parts)) < 2_000_000


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_lines_are_the_same_in_whatever_pieces_they_come(size: int) -> None:
    whole = "one\n\nzwölf — 十二\r\nlast ".encode() + b"\xff\n\xe5"
    lines = Lines()
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    found = [one for piece in pieces for one in lines.take(piece)] + lines.rest()
    assert found == whole.decode("utf-8", "replace").split("\n")
