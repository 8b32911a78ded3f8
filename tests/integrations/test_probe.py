from __future__ import annotations

import asyncio
import ssl
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from bot.settings import SiteSettings
from integrations.probe import SiteProbe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.ports import Site

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Each look at the stopwatch is a quarter of a second after the one before."""

    ticks = 0.0

    def now(self) -> datetime:
        return AT

    def monotonic(self) -> float:
        self.ticks += 0.25
        return self.ticks

    async def sleep(self, *, seconds: float) -> None:
        raise AssertionError(seconds)


@dataclass
class Pages:
    """A site whose front page and GraphQL answer what a test says."""

    page: str = "<title>METASPACE</title>"
    status: int = 200
    graphql: Any = field(default_factory=lambda: {"data": {"systemHealth": {"canMutate": True}}})
    graphql_status: int = 200
    cut: int = 0
    connections: set[Any] = field(default_factory=set)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_post("/graphql", self._graphql)
        return app

    async def _page(self, request: web.Request) -> web.Response:
        self.connections.add(request.transport)
        return web.Response(text=self.page, status=self.status, content_type="text/html")

    async def _graphql(self, request: web.Request) -> web.Response:
        self.connections.add(request.transport)
        if self.cut:
            self.cut -= 1
            assert request.transport
            request.transport.abort()
        assert (await request.json())["query"] == "{ systemHealth { canMutate } }"
        if isinstance(self.graphql, str):
            return web.Response(text=self.graphql, status=self.graphql_status)
        return web.json_response(self.graphql, status=self.graphql_status)


def probe_of(url: str, **more: Any) -> SiteProbe:
    given = {"url": url, "graphql": url + "/graphql", "timeout": 2.0, "contains": "METASPACE", **more}
    return SiteProbe(SiteSettings.model_validate(given), Clock())


@pytest.fixture
async def pages() -> Pages:
    return Pages()


@pytest.fixture
async def probe(pages: Pages) -> AsyncIterator[SiteProbe]:
    async with TestServer(pages.app()) as server, probe_of(str(server.make_url("")).rstrip("/")) as probe:
        yield probe


async def test_a_site_that_answers_is_up_and_its_latency_is_measured(probe: SiteProbe) -> None:
    port: Site = probe
    look = await port.look()
    assert (look.at, look.ok, look.latency, look.detail) == (AT, True, 0.25, "")


async def test_connections_are_kept_from_look_to_look(probe: SiteProbe, pages: Pages) -> None:
    for _ in range(5):
        assert (await probe.look()).ok
    assert len(pages.connections) <= 2


async def test_read_only_mode_is_up_and_is_told(probe: SiteProbe, pages: Pages) -> None:
    pages.graphql = {"data": {"systemHealth": {"canMutate": False}}}
    look = await probe.look()
    assert (look.ok, look.detail) == (True, "read-only mode")


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        ({"status": 502}, "front page answers 502"),
        ({"page": "Welcome to nginx"}, "front page does not show what it should"),
        ({"graphql": "Bad Gateway", "graphql_status": 502}, "GraphQL answers 502"),
        ({"graphql": "<html>"}, "GraphQL answers no JSON"),
        (
            {"graphql": {"errors": [{"message": "Internal Error"}]}, "graphql_status": 500},
            "GraphQL says Internal Error",
        ),
        ({"graphql": {"data": {"systemHealth": None}}}, "GraphQL answers something else than its health"),
        ({"graphql": []}, "GraphQL answers something else than its health"),
        ({"status": 503, "graphql": "", "graphql_status": 503}, "front page answers 503; GraphQL answers 503"),
    ],
)
async def test_a_wrong_answer_is_a_site_that_is_down(
    probe: SiteProbe, pages: Pages, wrong: dict[str, Any], detail: str
) -> None:
    for name, value in wrong.items():
        setattr(pages, name, value)
    look = await probe.look()
    assert (look.ok, look.detail) == (False, detail)


async def test_a_connection_cut_by_a_restart_is_not_yet_a_site_that_is_down(probe: SiteProbe, pages: Pages) -> None:
    pages.cut = 1
    assert (await probe.look()).ok
    pages.cut = 2
    assert not (await probe.look()).ok


async def test_nobody_there_is_an_answer_too() -> None:
    async with probe_of(f"http://127.0.0.1:{unused_port()}") as probe:
        look = await probe.look()
    assert not look.ok
    assert "front page: no connection" in look.detail


async def test_a_name_that_does_not_resolve_is_an_answer_too() -> None:
    async with probe_of("http://metaspace.invalid") as probe:
        assert not (await probe.look()).ok


async def test_a_site_that_hangs_is_down_after_the_timeout() -> None:
    async def accept(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", accept)
    async with TestServer(app) as server, probe_of(str(server.make_url("")).rstrip("/"), timeout=0.2) as probe:
        look = await probe.look()
    assert (look.ok, look.detail) == (False, "no answer within 0.2 s")


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    options = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run(["openssl", *options, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_that_nobody_vouches_for_is_a_site_that_is_down(
    self_signed: ssl.SSLContext, pages: Pages
) -> None:
    server = TestServer(pages.app(), scheme="https")
    await server.start_server(ssl=self_signed)
    try:
        async with probe_of(f"https://localhost:{server.port}") as probe:
            look = await probe.look()
        assert not look.ok
        assert "certificate is not accepted" in look.detail
    finally:
        await server.close()


async def test_a_closed_probe_can_look_again(probe: SiteProbe) -> None:
    await probe.close()
    assert (await probe.look()).ok
