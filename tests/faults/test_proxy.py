"""The proxy itself: each fault is what its name says."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from sandbox.httpserver import HttpServer
from tests.faults.proxy import HTTP, Fault, Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

TEXT = "x" * 2000


class Hello(HttpServer):
    """Says a long word."""

    def __init__(self) -> None:
        super().__init__()
        self.app.router.add_get("/", self._hello)

    async def _hello(self, _: web.Request) -> web.Response:
        from aiohttp import web

        return web.Response(text=TEXT)


@asynccontextmanager
async def proxied(fault: Fault | None) -> AsyncIterator[str]:
    async with Hello() as hello, Proxy("hello", hello.port, HTTP, random.Random(1), fault) as proxy:  # noqa: S311
        yield f"http://127.0.0.1:{proxy.port}/"


async def ask(url: str) -> tuple[int, str, str]:
    timeout = aiohttp.ClientTimeout(total=2)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
        return answer.status, answer.headers.get("Retry-After", ""), await answer.text()


@pytest.mark.parametrize("fault", [None, "latency"])
async def test_what_is_only_late_arrives_whole(fault: Fault | None) -> None:
    async with proxied(fault) as url:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(random.Random, "uniform", lambda *_: 0.05)
            assert await ask(url) == (200, "", TEXT)


@pytest.mark.parametrize("fault", ["reset", "refused", "truncated"])
async def test_a_connection_that_breaks_is_an_error(fault: Fault) -> None:
    async with proxied(fault) as url:
        with pytest.raises(aiohttp.ClientError):
            await ask(url)


async def test_of_one_that_is_half_open_only_a_deadline_tells() -> None:
    async with proxied("half_open") as url:
        with pytest.raises(asyncio.TimeoutError):
            await ask(url)


@pytest.mark.parametrize(("fault", "status", "after"), [("429", 429, "1"), ("5xx", 503, "")])
async def test_http_answers_of_a_server_in_trouble(fault: Fault, status: int, after: str) -> None:
    async with proxied(fault) as url:
        assert (await ask(url))[:2] == (status, after)
