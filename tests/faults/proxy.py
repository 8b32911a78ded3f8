"""A TCP proxy that breaks things as networks and servers do, by a schedule that a seed makes."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from sandbox.processes import free_port

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Sequence

Fault = Literal["latency", "reset", "half_open", "truncated", "refused", "429", "5xx"]
NETWORK: tuple[Fault, ...] = ("latency", "reset", "half_open", "truncated", "refused")
HTTP: tuple[Fault, ...] = (*NETWORK, "429", "5xx")
_CHUNK = 65536
_ANSWERS = {
    "429": "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nX-RateLimit-Remaining: 0\r\n",
    "5xx": "HTTP/1.1 503 Service Unavailable\r\n",
}
_BODY = '{"ok":false,"error":"ratelimited","message":"try later"}'
_UPGRADE = re.compile(rb"^upgrade: *websocket", re.IGNORECASE | re.MULTILINE)


@dataclass
class Proxy:
    """Stands before ``target`` (a port on 127.0.0.1, or a socket's path). ``fault`` is what goes wrong at this moment, if anything."""

    name: str
    target: int | str
    faults: Sequence[Fault]
    chance: random.Random
    fault: Fault | None = None
    happened: list[str] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    path: str = ""  # listen on a socket instead
    rewrite: tuple[bytes, bytes] | None = None  # in answers, of the same length: an address that leads past the proxy

    async def __aenter__(self) -> Self:
        self._open: set[asyncio.Task[None]] = set()
        self._server = await self._listen(self._accept)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def trouble(self) -> None:
        """Let one fault after the other come and go until cancelled."""
        while True:
            self.fault = None
            await asyncio.sleep(self.chance.uniform(2, 8))
            self.fault = self.chance.choice(list(self.faults))
            self.happened.append(self.fault)
            if self.fault == "reset":
                self.cut()
            await asyncio.sleep(self.chance.uniform(0.5, 4))

    def cut(self) -> None:
        """Reset every connection there is."""
        for task in self._open:
            task.cancel()

    async def _listen(self, accept: Callable[..., Awaitable[None]]) -> asyncio.Server:
        if self.path:
            return await asyncio.start_unix_server(accept, self.path)
        return await asyncio.start_server(accept, "127.0.0.1", self.port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                await self._serve(reader, writer)
            finally:
                writer.transport.abort()  # a reset where something was not read yet, and never a polite end

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fault in ("refused", "reset"):
            return
        if self.fault in _ANSWERS:
            await self._answer(reader, writer, str(self.fault))
            return
        there, back = await self._connect()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, back, answer=False))
                group.create_task(self._pump(there, writer, answer=True))
        except* (OSError, _Over):
            pass  # one side has ended, so the other ends too
        finally:
            back.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, str):
            return await asyncio.open_unix_connection(self.target)
        return await asyncio.open_connection("127.0.0.1", self.target)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answer: bool) -> None:
        while data := await source.read(_CHUNK):
            match self.fault:
                case "latency":
                    await asyncio.sleep(self.chance.uniform(0.2, 1.5))
                case "half_open":  # nothing comes through this one ever again, and nobody is told
                    await asyncio.Event().wait()
                case "truncated" if answer and len(data) > 1:
                    sink.write(data[: len(data) // 2])
                    await sink.drain()
                    raise _Over
                case _ if not answer and self.fault in _ANSWERS and data.split(b" ", 1)[0] in (b"GET", b"POST"):
                    raise _Over  # a kept connection: the next one gets the answer
            sink.write(data.replace(*self.rewrite) if answer and self.rewrite else data)
            await sink.drain()
        raise _Over

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: str) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = "" if _UPGRADE.search(head) else _BODY
        kind = "Content-Type: application/json\r\nConnection: close\r\n"
        writer.write(f"{_ANSWERS[fault]}{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.write_eof()
        await asyncio.sleep(0.1)  # what comes still is not read: let the answer get there before the end


class _Over(Exception):
    """The connection has ended."""
