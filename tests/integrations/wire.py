"""A network that can be cut, or fall silent, in the middle of anything: a TCP relay on 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path


class Wire:
    """Relays to ``port``."""

    known_hosts: Path

    def __init__(self, port: int) -> None:
        self._answers = asyncio.Event()
        self._answers.set()
        self._let_through = 0
        self.connections = 0
        self._target = port
        self._open: list[asyncio.StreamWriter] = []
        self._relays: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        self._answers.set()
        await asyncio.gather(*self._relays)
        await self._server.wait_closed()

    def hold(self, *, after: int = 0) -> None:
        """Hold back what the server says, but for so many pieces of it."""
        self._let_through = after
        self._answers.clear()

    def release(self) -> None:
        """Let through what the server says."""
        self._answers.set()

    def cut(self) -> None:
        """Break every connection at once, without a word."""
        for writer in self._open:
            writer.transport.abort()

    def _accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._relays.add(asyncio.create_task(self._relay(near, back)))

    async def _relay(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, onward = await asyncio.open_connection("127.0.0.1", self._target)
        both = (onward, back)
        self._open += both
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(near, onward, back))
                group.create_task(self._pump(far, back, onward, hold=True))
        finally:
            for writer in both:
                self._open.remove(writer)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        other: asyncio.StreamWriter,
        *,
        hold: bool = False,
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(65536):
                if hold and self._let_through:
                    self._let_through -= 1
                elif hold:
                    await self._answers.wait()
                target.write(piece)
                await target.drain()
        target.transport.abort()
        other.transport.abort()
