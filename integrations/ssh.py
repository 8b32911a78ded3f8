"""One kept SSH connection for each host: argument lists only, pinned host keys, deadlines, and errors in our words."""

from __future__ import annotations

import asyncio
import shlex
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncssh

from bot.domain.errors import BadSettings, HostKeyChanged, HostUnreachable, Refused, StepFailed
from bot.telemetry import scrub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from bot.ports import Clock
    from bot.settings import HostSettings

CONNECT = 15.0  # seconds
KEEPALIVE = 15  # seconds between two signs of life; three missed ones end the connection
EXCERPT = 600  # characters of an error's output
_OFFSET_AGE = 600.0  # seconds after which the host's clock is asked again
_HINT = "releasebot doctor --only ssh"


@dataclass(frozen=True, slots=True)
class Result:
    """What a command said."""

    stdout: str
    stderr: str
    status: int


class CommandFailed(StepFailed):
    """A command on a server ended with another status than 0."""

    def __init__(self, host: str, argv: Sequence[str], status: int, stderr: str) -> None:
        """``stderr`` is cut and scrubbed before it is kept."""
        self.host, self.argv, self.status = host, tuple(argv), status
        self.stderr = scrub(stderr.strip())[-EXCERPT:]
        said = f": {self.stderr}" if self.stderr else ""
        super().__init__(
            f"{argv[0]} on {host} ended with status {status}{said}", hint=f"ssh {host}, then: {shlex.join(argv)[:300]}"
        )


class SshHost:
    """A server. The connection is made at the first use, kept, and made anew after a loss."""

    def __init__(self, name: str, settings: HostSettings, clock: Clock) -> None:
        """``name`` is how people call the host; user and address come from the settings."""
        self.name, self._settings, self._clock = name, settings, clock
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connecting = asyncio.Lock()
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
        """Run a command and return what it said.

        Raises `CommandFailed` for another status than 0 (with ``check``), `Refused` where sudo is not allowed,
        `HostUnreachable` when the host does not answer within ``timeout`` seconds, `HostKeyChanged`.
        """
        done = await self._run(line(argv, sudo=sudo, env=env, cwd=cwd), stdin or b"", timeout, argv)
        status = done.exit_status if done.exit_status is not None else 255
        result = Result(_text(done.stdout), _text(done.stderr), status)
        if sudo and status and "sudo:" in result.stderr:
            raise Refused(
                f"{self._settings.user} may not run {argv[0]} with sudo on {self.name}.",
                hint=f"allow it in sudoers without a password: {shlex.join(argv)[:200]}",
                changed="Nothing.",
            )
        if check and status:
            raise CommandFailed(self.name, argv, status, result.stderr or result.stdout)
        return result

    async def _run(
        self, command: str, stdin: bytes, deadline: float, argv: Sequence[str]
    ) -> asyncssh.SSHCompletedProcess:
        """Run once; a connection found dead before the command could be sent is made anew."""
        for last in (False, True):
            connection = await self._connected()
            try:
                async with asyncio.timeout(deadline):
                    process: asyncssh.SSHClientProcess[bytes] = await connection.create_process(command, encoding=None)
            except (OSError, asyncssh.Error) as error:
                await self._drop(connection)
                if last:
                    raise self._lost(error) from error
                continue
            except TimeoutError as error:
                await self._drop(connection)
                raise self._late(argv, deadline) from error
            return await self._finish(process, connection, stdin, deadline, argv)
        raise AssertionError("unreachable")

    async def _finish(
        self,
        process: asyncssh.SSHClientProcess[bytes],
        connection: asyncssh.SSHClientConnection,
        stdin: bytes,
        deadline: float,
        argv: Sequence[str],
    ) -> asyncssh.SSHCompletedProcess:
        try:
            async with asyncio.timeout(deadline):
                out, err = await process.communicate(stdin)
                await process.wait_closed()
        except TimeoutError as error:
            process.close()
            raise self._late(argv, deadline) from error
        except (OSError, asyncssh.Error) as error:
            await self._drop(connection)
            raise self._lost(error) from error
        if process.exit_status is None and process.exit_signal is None:
            await self._drop(connection)
            raise self._lost(ConnectionError("the connection was lost while a command ran"))
        return asyncssh.SSHCompletedProcess(exit_status=process.returncode, stdout=out, stderr=err)

    async def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file at once: nobody sees half of it."""
        fresh = f"{path}.{uuid.uuid4().hex[:8]}.new"
        script = 'umask 077 && cat > "$1" && chmod "$2" "$1" && mv -f "$1" "$3" || { rm -f "$1"; exit 1; }'
        await self.run(["sh", "-c", script, "put", fresh, f"{mode:o}", path], stdin=data)

    async def read(self, path: str, offset: int = 0, limit: int = 65536) -> bytes:
        """Return at most ``limit`` bytes of a file from an offset on; raises `CommandFailed` when there is no such file."""
        script = 'tail -c "+$2" -- "$1" | head -c "$3"; test -e "$1"'
        command = line(["sh", "-c", script, "read", path, str(offset + 1), str(limit)])
        done = await self._run(command, b"", 60.0, ["read", path])
        if done.exit_status:
            raise CommandFailed(self.name, ["read", path], done.exit_status, _text(done.stderr))
        return done.stdout if isinstance(done.stdout, bytes) else b""

    async def stream(self, argv: Sequence[str]) -> AsyncIterator[str]:
        """Give a command's output line by line, as it comes; a reader that is slow slows the command, memory stays flat."""
        connection = await self._connected()
        try:
            async with connection.create_process(line(argv), encoding="utf-8", errors="replace") as process:
                while one := await process.stdout.readline():
                    yield one.rstrip("\n")
        except (OSError, asyncssh.Error) as error:
            await self._drop(connection)
            raise self._lost(error) from error

    async def offset(self) -> float:
        """Return the seconds that the host's clock is ahead of the bot's, measured over one round trip now and then."""
        if self._offset is None or time.monotonic() - self._offset[1] > _OFFSET_AGE:
            before = self._clock.now().timestamp()
            said = (await self.run(["date", "+%s.%N"])).stdout
            after = self._clock.now().timestamp()
            self._offset = float(said) - (before + after) / 2, time.monotonic()
        return self._offset[0]

    async def to_bot_time(self, epoch: float) -> datetime:
        """Turn a time on the host's clock into one on the bot's."""
        return datetime.fromtimestamp(epoch, UTC) - timedelta(seconds=await self.offset())

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
            async with asyncio.timeout(CONNECT):
                return await asyncssh.connect(
                    where.host,
                    where.port,
                    username=where.user,
                    client_keys=[str(where.key)],
                    known_hosts=str(where.known_hosts),
                    agent_path=None,
                    config=None,
                    keepalive_interval=KEEPALIVE,
                    keepalive_count_max=3,
                    compression_algs=None,
                )
        except asyncssh.HostKeyNotVerifiable as error:
            raise HostKeyChanged(
                f"{self.name} ({where.host}) shows a key that is not the pinned one.",
                hint=f"find out why before anything else; then pin the right key in {where.known_hosts.name}",
                changed="Nothing.",
            ) from error
        except asyncssh.PermissionDenied as error:
            raise HostUnreachable(
                f"{self.name} ({where.host}) does not accept our key for {where.user}.", hint=_HINT
            ) from error
        except (FileNotFoundError, PermissionError, asyncssh.KeyImportError) as error:
            raise BadSettings(
                f"{self.name}: cannot read the SSH key or the known hosts: {error}", hint=_HINT
            ) from error
        except TimeoutError as error:
            raise HostUnreachable(
                f"{self.name} ({where.host}) did not answer within {CONNECT:.0f} s.", hint=_HINT
            ) from error
        except (OSError, asyncssh.Error) as error:
            raise self._lost(error) from error

    async def _drop(self, connection: asyncssh.SSHClientConnection) -> None:
        if self._connection is connection:
            self._connection = None
        connection.abort()
        try:
            async with asyncio.timeout(2):
                await connection.wait_closed()
        except TimeoutError:
            return  # it is forgotten either way

    def _lost(self, error: Exception) -> HostUnreachable:
        why = scrub(str(error)) or type(error).__name__
        return HostUnreachable(f"{self.name} ({self._settings.host}) cannot be reached: {why}", hint=_HINT)

    def _late(self, argv: Sequence[str], deadline: float) -> HostUnreachable:
        return HostUnreachable(f"{argv[0]} on {self.name} gave no answer within {deadline:.0f} s.", hint=_HINT)


def line(
    argv: Sequence[str], *, sudo: bool = False, env: Mapping[str, str] | None = None, cwd: str | None = None
) -> str:
    """Return the one string that SSH takes. Every word is quoted here, and nowhere else."""
    words = [*(["sudo", "-n", "--"] if sudo else []), *argv]
    if env:
        words = ["env", *(f"{name}={value}" for name, value in env.items()), *words]
    if cwd:
        words = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "in", cwd, *words]
    return shlex.join(words)


def _text(data: Any) -> str:
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data or "")
