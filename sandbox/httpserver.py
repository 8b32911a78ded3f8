"""Small HTTP servers on 127.0.0.1 that live in the sandbox's own process."""

from __future__ import annotations

from typing import Self

from aiohttp import web

from sandbox.processes import free_port


class HttpServer:
    """Serves an application on a free port. Subclasses add their routes to ``app`` before it starts."""

    def __init__(self) -> None:
        self.app = web.Application()
        self.port = free_port()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The server's base URL, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self._runner = runner
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
