"""Our server that acknowledges, in a process of its own, with or without twenty jobs that report."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from bench.bare import SECRET, listen
from bot.domain.plan import Plan, PlannedStep, StepKind
from bot.engine.clock import SystemClock
from bot.engine.desk import Desk
from bot.engine.records import Ledger
from bot.engine.store import Store
from bot.settings import PersonSettings, SlackSettings
from bot.slack.api import web_client
from bot.slack.app import SlackApp
from bot.slack.outbox import Outbox
from bot.slack.people import People
from bot.slack.quick import open_intake
from bot.slack.router import Command, CommandContext, Router
from bot.slack.sender import Sender
from bot.slack.store import SqlMessages

STREAMS, EVERY = 20, 1.0  # jobs, and seconds between two reports of one


async def ours(api: str, *, load: bool) -> None:
    async def ping(ctx: CommandContext, _: tuple[str, ...]) -> None:
        ctx.answered = True

    settings = SlackSettings(mode="http", channel="C1", base_url=api, signing_secret=SecretStr(SECRET))
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url = f"sqlite+aiosqlite:///{folder}/bench.sqlite"
        store = await stack.enter_async_context(Store(url))
        client = await stack.enter_async_context(web_client(token="xoxb-bench", base_url=api))
        outbox = Outbox(SqlMessages(store, clock=clock), Sender(client, clock=clock), channel="C1", clock=clock)
        commands = [Command("ping", "Answer", ping)]
        slack = SlackApp(
            settings=settings,
            client=client,
            store=await stack.enter_async_context(open_intake(url, store, clock=clock)),
            outbox=outbox,
            router=Router(commands, channel="C1"),
            people=People([PersonSettings(slack="U1", name="Ada", roles=("releaser",))]),
            office=None,  # type: ignore[arg-type]  # the one command needs none
        )
        app = web.Application()
        slack.add_route(app)
        async with asyncio.TaskGroup() as group:
            group.create_task(slack.run(None))
            if load:
                await _stream(group, store, outbox)
            group.create_task(listen(app))


async def _stream(group: asyncio.TaskGroup, store: Store, outbox: Outbox) -> None:
    """Let twenty releases report, through the same books and the same outbox as in earnest."""
    clock = SystemClock()
    desk = Desk(store, clock=clock)
    ledger = Ledger(store, clock=clock, owner="bench", lease=3600, bell=desk.bell)
    step = PlannedStep("deploy", "deploy", 1, "Deploy", StepKind.AUTOMATIC)
    for number in range(STREAMS):
        plan = Plan(f"e{number}", "in_place", "in_place@0", "a" * 40, "b" * 40, "1.0.1", "1.0.0", False, (), (step,))
        await desk.start(plan=plan, checklist="", by="U1")
    for number, fence in await ledger.claim([f"e{n}" for n in range(STREAMS)], but=()):
        book = ledger.book(number, fence)
        await book.begin("deploy", retry=False)
        group.create_task(_report(book, outbox, number))


async def _report(book: Any, outbox: Outbox, number: int) -> None:
    task = 0
    while True:
        task += 1
        await book.progress("deploy", f"Task {task}", {"task": task})
        await outbox.put(f"R{number}", text=f"Task {task}")
        await asyncio.sleep(EVERY)


if __name__ == "__main__":
    asyncio.run(ours(sys.argv[2], load=sys.argv[1] == "loaded"))
