"""How long Slack waits for the acknowledgement of a slash command (signed HTTP)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sys
import time
import urllib.parse
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from bench.bare import SECRET
from bench.measure import Figure, ratio, show

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SAMPLES, WARM = 400, 40


async def run() -> None:
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(slack())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        await compare(session, api, ("bare", "insert", "ours"), "idle")
        await compare(session, api, ("bare", "insert", "loaded"), "while 20 jobs report once a second, in ours alone")


async def compare(session: aiohttp.ClientSession, api: str, names: tuple[str, ...], when: str) -> None:
    async with AsyncExitStack() as stack:
        ports = {name: await stack.enter_async_context(server(name, api)) for name in names}
        samples: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(WARM + SAMPLES):
            for name in names:
                took = await acknowledged(session, ports[name])
                if turn >= WARM:
                    samples[name].append(took)
    print(f"Slash command to acknowledgement, {when}:")
    titles = {
        "bare": "a bare Bolt app",
        "insert": "the same with one committed insert",
        "ours": "ours",
        "loaded": "ours",
    }
    figures = {name: Figure(titles[name], samples[name]) for name in names}
    show(list(figures.values()))
    mine, floor = figures[names[2]], figures["insert"]
    ratio("ours to the bare app, median", mine.median, figures["bare"].median)
    ratio("ours to the app with one insert, median", mine.median, floor.median, goal=1.2)
    ratio("ours to the app with one insert, 95 %", mine.p95, floor.p95, goal=1.2)


async def acknowledged(session: aiohttp.ClientSession, port: int) -> float:
    body = urllib.parse.urlencode(
        {
            "command": "/release",
            "text": "ping",
            "user_id": "U1",
            "channel_id": "C1",
            "team_id": "T1",
            "trigger_id": uuid.uuid4().hex,
            "response_url": "",
        }
    )
    stamp = str(int(time.time()))
    digest = hmac.new(SECRET.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={digest}",
    }
    began = time.perf_counter()
    async with session.post(f"http://127.0.0.1:{port}/slack/events", data=body, headers=headers) as response:
        await response.read()
        if response.status != 200:
            raise RuntimeError(f"answered {response.status}")
    return time.perf_counter() - began


@asynccontextmanager
async def server(name: str, api: str) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.bare" if name in {"bare", "insert"} else "bench.servers",
        name,
        api,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("no pipe")
        yield int(await asyncio.wait_for(process.stdout.readline(), 60))
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def slack() -> AsyncIterator[str]:
    """A Slack that says yes to everything."""

    async def yes(request: web.Request) -> web.Response:
        answer = {
            "ok": True,
            "ts": f"{time.time():.6f}",
            "channel": "C1",
            "user_id": "U0BOT",
            "bot_id": "B0",
            "team_id": "T1",
        }
        return web.json_response(answer | {"url": "http://127.0.0.1/", "user": "bot", "path": request.path})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", yes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    finally:
        await runner.cleanup()
