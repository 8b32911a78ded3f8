"""An hour of a job on a clock that is moved: the real following, database and outbox, and every call that arrives at Slack."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bench.measure import ratio
from bot.composition import SOON
from bot.domain.jobs import Wanted
from bot.domain.reindexing import Ledger
from bot.domain.world import JobReport, JobState
from bot.engine.desk import Desk
from bot.engine.following import Following, Workshop
from bot.engine.store import Store
from bot.slack.api import web_client
from bot.slack.outbox import Outbox
from bot.slack.pace import Pace
from bot.slack.sender import Sender
from bot.slack.store import SqlMessages
from sandbox.processes import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.ports import Clock

HOUR, JOB = 3600.0, "led"
PACES = (1.0, 60.0, 600.0)  # seconds for a dataset


class Hours:
    """A clock that is moved. Who sleeps wakes by the real one: nobody here waits for it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, *, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Server:
    """A job that ends when its hour does, and a dataset each ``every`` seconds."""

    clock: Hours
    every: float
    looks: int = 0
    history: list[tuple[datetime, int]] = field(default_factory=list)

    @property
    def done(self) -> int:
        return int(self.clock.seconds / self.every)

    async def look(self, *, name: str) -> JobReport:
        self.looks += 1
        begin, over = self.clock.now() - timedelta(seconds=self.clock.seconds), self.clock.seconds >= HOUR
        state = JobState.FINISHED if over else JobState.RUNNING
        ended = (self.clock.now(), 0) if over else (None, None)
        return JobReport(name, state, begin, self.clock.now(), {}, *ended)

    async def ledger(self, *, name: str) -> Ledger:  # noqa: ARG002  # the port's parameter
        self.history.append((self.clock.now(), self.done))
        total, history = int(HOUR / self.every), tuple(self.history)
        return Ledger(total, self.done, workers=2, wanted_workers=2, ended=self.done >= total, history=history)

    def attach_line(self, *, name: str) -> str:
        return f"ssh -t web tmux attach -t ={name}"


async def hour() -> None:
    """Let an hour of a job pass: the real following, database and outbox; every call to Slack is counted as it arrives."""
    print("Slack calls in an hour of one job, from its first message to its last:")
    for every in PACES:
        clock = Hours()
        server = Server(clock, every)
        async with following(clock, server, server) as (one, slack, kept):
            while clock.seconds < HOUR + 2 * SOON:
                await one.turn()
                await until(lambda kept=kept: _sent(kept), what="the outbox")
                clock.seconds += SOON
        calls = sum(slack.calls.values())
        print(f"  a dataset each {every:g} s: {calls} calls {dict(slack.calls)} for {server.looks} looks")
        ratio("calls to an edit at every look", calls, server.looks)


async def _sent(kept: SqlMessages) -> bool:
    return not await kept.pending()


# the bot's own parts


@dataclass
class Counted:
    """What arrived at Slack: calls by method, and when a message showed how many datasets."""

    calls: Counter[str] = field(default_factory=Counter)
    shown: list[tuple[float, int]] = field(default_factory=list)


@asynccontextmanager
async def following(clock: Clock, jobs: Any, reindexing: Any) -> AsyncIterator[tuple[Following, Counted, SqlMessages]]:
    """Give a following of one job, with a database of its own and an outbox that keeps nothing back."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        store = await stack.enter_async_context(Store(f"sqlite+aiosqlite:///{folder}/bench.sqlite"))
        counted = Counted()
        client = await stack.enter_async_context(
            web_client(token="xoxb-bench", base_url=await stack.enter_async_context(_slack(counted)))
        )
        kept = SqlMessages(store, clock=clock)
        outbox = Outbox(
            kept, Sender(client, clock=clock), channel="C1", clock=clock, pace=Pace(post=0, edit=0, edits=0)
        )
        one = Following(
            store, outbox, clock, Desk(store, clock=clock).bell, {"prod": Workshop({"web": jobs}, reindexing)}
        )
        await one.follow(Wanted("web", JOB, "es_update", "Elasticsearch update"), environment="prod", by="U1")
        sending = asyncio.create_task(outbox.run())
        try:
            yield one, counted, kept
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


@asynccontextmanager
async def _slack(counted: Counted) -> AsyncIterator[str]:
    """Serve a Slack that says yes to everything, and count."""

    async def yes(request: web.Request) -> web.Response:
        counted.calls[request.path.rpartition("/")[2]] += 1
        if found := re.search(r"([\d,]+) of [\d,]+ done", (await request.text()).replace("+", " ").replace("%2C", ",")):
            counted.shown.append((time.time(), int(found[1].replace(",", ""))))
        answer = {"ok": True, "ts": f"{time.time():.6f}", "channel": "C1", "url": "http://127.0.0.1/", "bot_id": "B0"}
        return web.json_response(answer)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", yes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    finally:
        await runner.cleanup()
