"""One kept SSH connection for each host: argument lists only, pinned host keys, deadlines, and errors in our words."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncssh

from bot import permit
from bot.domain.errors import BadSettings, HostKeyChanged, HostUnreachable, Refused, Unavailable
from bot.telemetry import scrub
from integrations.sshcommand import CommandFailed, Lines, NoSuchFile, Result, line
from integrations.sshsocket import connected, kept

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from bot.ports import Clock
    from bot.settings import HostSettings

CONNECT = 15.0  # seconds
KEEPALIVE = 15  # seconds between two signs of life; three missed ones end the connection
SESSIONS = 8  # commands at once on the one connection; OpenSSH's MaxSessions is 10 (sshd_config(5))
_OFFSET_AGE = 600.0  # seconds after which the host's clock is asked again
_OFFSET_TRIES, _ROUND_TRIP = 5, 2.0  # seconds: who was stopped meanwhile has measured nothing
_HINT = "releasebot doctor --only ssh"
_SUDO = re.compile(
    r"^sudo: .*(password is required|terminal is required|not allowed to)"
    r"|^Sorry, user .* (is not allowed to execute|may not run sudo)|^\S+ is not in the sudoers file",
    re.MULTILINE,
)
# What a server answers that opens no session (RFC 4254, 5.1), and asyncssh for a connection that is gone: nothing was sent.
_UNSENT = (asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, asyncssh.OPEN_CONNECT_FAILED, asyncssh.OPEN_RESOURCE_SHORTAGE)
# AES-GCM before the rest, as OpenSSH has it since 10.0: a third less work than ChaCha20, and no subject of CVE-2023-48795.
_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
_PATIENCE = 100  # tries, a tenth of a second apart
_PIECE = 1 << 18  # bytes of a stream that are taken at once
_ABSENT = 66
# $1 the new file, $2 its mode, $3 the place, $4 its size: a lost connection ends cat as the data's end does.
_PUT = """
umask 077
trap 'rm -f -- "$1"' EXIT
trap 'exit 1' HUP INT TERM
cat > "$1" && [ "$(wc -c < "$1")" -eq "$4" ] && chmod "$2" -- "$1" && mv -fT -- "$1" "$3" || exit 1
"""
# $1 the file, $2 the first byte, from 1, $3 how many.
_READ = """
[ -e "$1" ] || exit 66
[ ! -d "$1" ] || { echo 'Is a directory' >&2; exit 1; }
: < "$1" || exit
tail -c "+$2" -- "$1" | head -c "$3"
"""


class SshHost:
    """A server. The connection is made at the first use, kept, and made anew after a loss."""

    def __init__(self, name: str, settings: HostSettings, clock: Clock) -> None:
        """``name`` is how people call the host; user and address come from the settings."""
        self.name, self._settings, self._clock = name, settings, clock
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connecting = asyncio.Lock()
        self._sessions = asyncio.Semaphore(SESSIONS)
        self._offset: tuple[float, float] | None = None  # seconds that the host's clock is ahead, and when it was asked

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = 60.0,  # noqa: ASYNC109  # a deadline for the command on the other side
        sudo: bool = False,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> Result:
        """Run a command and return what it said; one that a signal ended has that signal's number, negative, as its status.

        Raises `CommandFailed` for another status than 0 (with ``check``), `Refused` where sudo is not allowed,
        `HostUnreachable` when the host does not answer within ``timeout`` seconds, `HostKeyChanged`. A command that was sent
        is never sent again, whatever becomes of the connection.
        """
        done = await self._run(line(argv, sudo=sudo, env=env, cwd=cwd), stdin or b"", timeout, argv)
        result = Result(_text(done.stdout), _text(done.stderr), done.exit_status or 0)
        if sudo and result.status and _SUDO.search(result.stderr):
            raise Refused(
                f"{self._settings.user} may not run {argv[0]} with sudo on {self.name} without a password.",
                hint=f"allow it in sudoers (NOPASSWD): {shlex.join(argv)[:200]}",
                changed="Nothing.",
            )
        if check and result.status:
            raise CommandFailed(self.name, argv, result.status, result.stderr or result.stdout)
        return result

    async def _run(
        self, command: str, stdin: bytes, deadline: float, argv: Sequence[str]
    ) -> asyncssh.SSHCompletedProcess:
        async with self._sessions:
            process, connection = await self._begin(command, deadline, argv)
            try:
                async with asyncio.timeout(deadline):
                    with contextlib.suppress(BrokenPipeError):  # it ended before it had read all: see its status
                        process.stdin.write(stdin)
                        process.stdin.write_eof()
                    out, err = await process.communicate()
            except TimeoutError as error:
                self._end(process)
                raise self._late(argv, deadline) from error
            except asyncio.CancelledError:
                self._end(process)
                raise
            except (OSError, asyncssh.Error) as error:
                await self._drop(connection)
                raise self._lost(error) from error
            await self._ended(process, connection)
            return asyncssh.SSHCompletedProcess(exit_status=process.returncode, stdout=out, stderr=err)

    async def _begin(
        self, command: str, deadline: float, argv: Sequence[str], **how: Any
    ) -> tuple[asyncssh.SSHClientProcess[Any], asyncssh.SSHClientConnection]:
        """Send a command. A connection found dead before that is made anew, once: after it, nobody knows what was done.

        Where the server allows fewer sessions than we want, and none is free, wait for one.
        """
        lost = 0
        for _ in range(_PATIENCE):
            connection = await self._connected()
            permit.demand()
            try:
                async with asyncio.timeout(deadline):
                    return await connection.create_process(command, **{"encoding": None, **how}), connection
            except TimeoutError as error:
                await self._drop(connection)
                raise self._late(argv, deadline) from error
            except (OSError, asyncssh.Error) as error:
                lost += connection.is_closed()
                if lost > 1 or not isinstance(error, asyncssh.ChannelOpenError) or error.code not in _UNSENT:
                    await self._drop(connection)
                    raise self._lost(error) from error
            if not connection.is_closed():
                await asyncio.sleep(0.1)
        raise HostUnreachable(
            f"{self.name} lets us run no more commands at once.", hint="MaxSessions in its sshd_config"
        )

    def _end(self, process: asyncssh.SSHClientProcess[Any]) -> None:
        """End a command that nobody waits for any more; OpenSSH passes the signal on for every user but root."""
        with contextlib.suppress(OSError):  # it has ended just now
            process.terminate()
        process.close()

    async def _ended(self, process: asyncssh.SSHClientProcess[Any], connection: asyncssh.SSHClientConnection) -> None:
        """Tell the end of a command from that of its connection, which leaves no status."""
        if process.returncode is None:
            await self._drop(connection)
            raise self._lost(ConnectionError("the connection was lost while a command ran"))

    async def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file at once: nobody sees half of it, and half of it never gets there."""
        fresh = f"{path}.{uuid.uuid4().hex[:8]}.new"
        await self.run(["sh", "-c", _PUT, "put", fresh, f"{mode:o}", path, str(len(data))], stdin=data)

    async def read(self, path: str, offset: int = 0, limit: int = 65536) -> bytes:
        """Return at most ``limit`` bytes of a file from an offset on; raises `NoSuchFile`, `CommandFailed`."""
        command = line(["sh", "-c", _READ, "read", path, str(offset + 1), str(limit)])
        done = await self._run(command, b"", 60.0, ["read", path])
        if done.exit_status:
            kind = NoSuchFile if done.exit_status == _ABSENT else CommandFailed
            raise kind(self.name, ["read", path], done.exit_status, _text(done.stderr))
        return done.stdout if isinstance(done.stdout, bytes) else b""

    async def stream(self, argv: Sequence[str]) -> AsyncGenerator[str, None]:
        """Give a command's output line by line, as it comes; its standard error is left there.

        A slow reader slows the command, and a line longer than a megabyte comes in parts: memory stays flat. Raises
        `CommandFailed` at the end for another status than 0, `HostUnreachable` when the connection is lost on the way.
        """
        async with self._sessions:
            how = {"stdin": asyncssh.DEVNULL, "stderr": asyncssh.DEVNULL}
            process, connection = await self._begin(line(argv), CONNECT, argv, **how)
            lines = Lines()
            try:
                async with process:
                    while piece := await process.stdout.read(_PIECE):
                        for one in lines.take(piece):
                            yield one
                    for one in lines.rest():
                        yield one
                    await process.wait_closed()
            except (OSError, asyncssh.Error) as error:
                await self._drop(connection)
                raise self._lost(error) from error
            await self._ended(process, connection)
            if process.returncode:
                raise CommandFailed(self.name, argv, process.returncode, "")

    async def offset(self) -> float:
        """Return the seconds that the host's clock is ahead of the bot's, measured over one round trip every ten minutes."""
        if self._offset is None or self._clock.monotonic() - self._offset[1] > _OFFSET_AGE:
            await self._connected()  # making a connection is no part of the round trip
            for _ in range(_OFFSET_TRIES):
                ahead, took = await self._asked_time()
                if took <= _ROUND_TRIP:
                    break
            else:
                raise Unavailable(
                    f"{self.name} takes {took:.0f} s to tell the time: too long to know how its clock differs.",
                    hint=_HINT,
                )
            self._offset = ahead, self._clock.monotonic()
        return self._offset[0]

    async def _asked_time(self) -> tuple[float, float]:
        """Return the seconds that the host's clock is ahead, and those that it took to hear of it: half of them may be wrong."""
        before = self._clock.now().timestamp()
        said = (await self.run(["date", "+%s.%N"])).stdout
        after = self._clock.now().timestamp()
        try:
            return float(said) - (before + after) / 2, after - before
        except ValueError as error:
            raise Unavailable(
                f"The clock of {self.name} says {said.strip()[:60]!r}.", hint="GNU date must be there"
            ) from error

    async def to_bot_time(self, epoch: float) -> datetime:
        """Turn a time on the host's clock into one on the bot's."""
        return datetime.fromtimestamp(epoch, UTC) - timedelta(seconds=await self.offset())

    async def connection(self) -> asyncssh.SSHClientConnection:
        """Return the kept connection, made anew where it was lost, for tunnels over it (`integrations.sshtunnel`)."""
        return await self._connected()

    async def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            await self._drop(self._connection)

    async def _connected(self) -> asyncssh.SSHClientConnection:
        async with self._connecting:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._connect()
            return self._connection

    async def _connect(self) -> asyncssh.SSHClientConnection:
        where = self._settings
        try:
            return await self._open()
        except asyncssh.HostKeyNotVerifiable as error:
            raise HostKeyChanged(
                f"{self.name} ({where.host}) shows a key that is not the pinned one.",
                hint=f"find out why before anything else; then pin the right key in {where.known_hosts.name}",
                changed="Nothing.",
            ) from error
        except (FileNotFoundError, PermissionError, ValueError) as error:
            raise BadSettings(
                f"{self.name}: cannot read the SSH key or the known hosts: {error}", hint=_HINT
            ) from error
        except (OSError, asyncssh.Error) as error:
            raise self._lost(error) from error

    async def _open(self, algorithms: Any = ()) -> asyncssh.SSHClientConnection:
        """Connect, asking for keys of the pinned kinds; a server that has none hangs up, and is asked to show any."""
        where = self._settings
        try:
            async with asyncio.timeout(CONNECT):
                with kept(await connected(where.host, where.port)) as sock:
                    return await asyncssh.connect(
                        where.host,
                        where.port,
                        sock=sock,
                        username=where.user,
                        client_keys=[str(where.key)],
                        known_hosts=str(where.known_hosts),
                        server_host_key_algs=algorithms,
                        agent_path=None,
                        config=None,
                        keepalive_interval=KEEPALIVE,
                        keepalive_count_max=3,
                        compression_algs=None,
                        encryption_algs=_CIPHERS,
                    )
        except (ConnectionResetError, asyncssh.ConnectionLost, asyncssh.KeyExchangeFailed):
            if algorithms:
                raise
            return await self._open("default")

    async def _drop(self, connection: asyncssh.SSHClientConnection) -> None:
        if self._connection is connection:
            self._connection = None
        connection.abort()
        with contextlib.suppress(TimeoutError):  # it is forgotten either way
            async with asyncio.timeout(2):
                await connection.wait_closed()

    def _lost(self, error: Exception) -> HostUnreachable:
        number = error.errno if isinstance(error, OSError) else None
        said = os.strerror(number) if number and number > 0 else scrub(str(error)) or type(error).__name__
        why = f"cannot be reached: {said}"
        if isinstance(error, asyncssh.PermissionDenied):
            why = f"does not accept our key for {self._settings.user}."
        elif isinstance(error, TimeoutError):
            why = f"did not answer within {CONNECT:.0f} s."
        return HostUnreachable(f"{self.name} ({self._settings.host}) {why}", hint=_HINT)

    def _late(self, argv: Sequence[str], deadline: float) -> HostUnreachable:
        return HostUnreachable(f"{argv[0]} on {self.name} gave no answer within {deadline:.0f} s.", hint=_HINT)


def _text(data: Any) -> str:
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data or "")
