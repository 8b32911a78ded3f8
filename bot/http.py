"""The bot's own HTTP server: is it alive, is it ready, what does it measure; in HTTP mode Slack's requests come in here too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bot.domain.errors import BadSettings, ReleaseError
from bot.telemetry import scrub

if TYPE_CHECKING:
    from bot.telemetry import Metrics

Check = Callable[[], Awaitable[None]]
"""Something that must work for the bot to be ready: returns when it does, raises a `ReleaseError` that says what is wrong."""

PATIENCE = 2.0  # seconds for each check
OK = "ok"
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def application(*, metrics: Metrics, checks: Mapping[str, Check] | None = None) -> web.Application:
    """Return the application; whoever has more routes (Slack's) adds them to its router before it is served."""
    named = dict(checks or {})
    app = web.Application()

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def ready(_: web.Request) -> web.Response:
        found = await readiness(named)
        well = all(state == OK for state in found.values())
        return web.json_response({"ready": well, "checks": found}, status=200 if well else 503)

    async def measured(_: web.Request) -> web.Response:
        body = await asyncio.to_thread(generate_latest, metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    for path, handler in (("/healthz", alive), ("/readyz", ready), ("/metrics", measured)):
        app.router.add_get(path, handler)
    return app


async def readiness(checks: Mapping[str, Check]) -> dict[str, str]:
    """Run every check at once, each for at most 2 s, and return by name ``ok`` or what is wrong."""
    states = await asyncio.gather(*(_state(name, check) for name, check in checks.items()))
    return dict(zip(checks, states, strict=True))


async def _state(name: str, check: Check) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            await check()
    except ReleaseError as error:
        return scrub(error.message)
    except TimeoutError:
        return f"no answer within {PATIENCE:g} s"
    except Exception:  # noqa: BLE001  # an error of ours in a check means "not ready", with its trace in the log
        _log.exception("readiness check failed", check=name)
        return "the check itself failed; see the log"
    return OK


@asynccontextmanager
async def serve(app: web.Application, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve while the block runs, and give it the port (the one that was picked, for 0).

    Raises `BadSettings` when the address cannot be had. At the end, requests in work get 5 s to finish.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise BadSettings(
                f"http: {host}:{port} cannot be listened on: {error.strerror}.", hint="http.port: 0 picks a free one"
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
