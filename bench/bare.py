"""The peers: a bare Bolt app, and the same with one committed insert before it acknowledges. They import nothing of ours."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from typing import Any

import aiosqlite
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

SECRET = "bench-signing-secret"
_INSERT = "INSERT INTO intake VALUES (?, ?)"


async def listen(app: web.Application) -> None:
    """Serve, print the port, and wait to be ended."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def bare(api: str, *, insert: bool) -> None:
    bolt = AsyncApp(client=AsyncWebClient(token="xoxb-bench", base_url=api), signing_secret=SECRET)
    with tempfile.TemporaryDirectory() as folder:
        database = await aiosqlite.connect(f"{folder}/bench.sqlite", isolation_level=None)
        for line in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            "CREATE TABLE intake (id TEXT PRIMARY KEY, body TEXT)",
        ):
            await database.execute(line)

        @bolt.command("/release")
        async def release(ack: Any, body: dict[str, Any]) -> None:
            if insert:
                await database.execute(_INSERT, (body["trigger_id"], str(body)))
            await ack()

        app = web.Application()

        async def handle(request: web.Request) -> web.Response:
            return await to_aiohttp_response(await bolt.async_dispatch(await to_bolt_request(request)))

        app.router.add_post("/slack/events", handle)
        await listen(app)


if __name__ == "__main__":
    asyncio.run(bare(sys.argv[2], insert=sys.argv[1] == "insert"))
