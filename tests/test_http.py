from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from bot import http
from bot.domain.errors import BadSettings, Unavailable
from bot.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def get(app: web.Application, path: str) -> tuple[int, str, str]:
    async with (
        http.serve(app, host="127.0.0.1", port=0) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status, answer.content_type, await answer.text()


async def fine() -> None:
    """Nothing is wrong."""


async def silent() -> None:
    await asyncio.Event().wait()


def broken(error: Exception) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        raise error

    return check


async def test_alive_is_said_whatever_the_checks_say() -> None:
    app = http.application(metrics=Metrics(), checks={"slack": broken(Unavailable("gone"))})
    assert (await get(app, "/healthz"))[0] == 200


async def test_ready_when_every_check_is() -> None:
    app = http.application(metrics=Metrics(), checks={"database": fine, "slack": fine})
    status, kind, text = await get(app, "/readyz")
    assert (status, kind, text) == (
        200,
        "application/json",
        '{"ready": true, "checks": {"database": "ok", "slack": "ok"}}',
    )


async def test_not_ready_names_what_is_wrong_and_hides_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PATIENCE", 0.05)
    checks = {
        "database": broken(Unavailable("postgresql://bot:hunter22@db does not answer.")),
        "slack": silent,
        "mirror": broken(ZeroDivisionError()),
        "other": fine,
    }
    found = await http.readiness(checks)
    assert found == {
        "database": "postgresql://bot:[hidden]@db does not answer.",
        "slack": "no answer within 0.05 s",
        "mirror": "the check itself failed; see the log",
        "other": "ok",
    }
    assert (await get(http.application(metrics=Metrics(), checks=checks), "/readyz"))[0] == 503


async def test_metrics_are_prometheus_text() -> None:
    metrics = Metrics()
    metrics.slack_limited.labels("chat.postMessage").inc()
    status, kind, text = await get(http.application(metrics=metrics), "/metrics")
    assert (status, kind) == (200, "text/plain")
    assert 'releasebot_slack_limited_total{method="chat.postMessage"} 1.0' in text


async def test_there_is_room_for_slacks_route() -> None:
    async def take(_: web.Request) -> web.Response:
        return web.Response(text="taken")

    app = http.application(metrics=Metrics())
    app.router.add_get("/slack/events", take)
    assert (await get(app, "/slack/events"))[2] == "taken"


async def test_a_taken_port_is_named_and_left_to_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BadSettings, match=str(port)):
            async with http.serve(http.application(metrics=Metrics()), host="127.0.0.1", port=port):
                pytest.fail("it cannot be served twice")


async def test_the_port_is_free_again_afterwards() -> None:
    async with http.serve(http.application(metrics=Metrics()), host="127.0.0.1", port=0) as port:
        assert port > 0
    async with http.serve(http.application(metrics=Metrics()), host="127.0.0.1", port=port) as again:
        assert again == port
