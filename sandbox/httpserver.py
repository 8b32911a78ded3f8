"""Small HTTP servers on 127.0.0.1 that live in the sandbox's own process."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Self

from aiohttp import web

from sandbox.processes import free_port

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

_READ = re.compile(r"/_(search|msearch|count|mget|control)\b|/_search/")
_VARYING = re.compile(r"\b[0-9a-f]{40}\b|\b\d+\b")


class HttpServer:
    """Serves an application on a free port. Subclasses add their routes to ``app`` before it starts."""

    def __init__(self) -> None:
        self.effects: Counter[str] = Counter()
        """Requests that changed something: method and path, with ``*`` for commits and numbers. Counted by tests."""
        self.app = web.Application(middlewares=[self._counted])
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

    @web.middleware
    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if (
            request.method not in {"GET", "HEAD", "OPTIONS"}
            and response.status < web.HTTPBadRequest.status_code
            and not _READ.search(request.path)
        ):
            self.effects[f"{request.method} {_VARYING.sub('*', request.path)}"] += 1
        return response
