"""The bot as a process: it starts, serves Slack and releases, and ends in good order."""

from __future__ import annotations

import asyncio
import signal
import uuid
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

import commands
from bot import http, telemetry
from bot.composition import Ground, engine_of
from bot.domain.errors import BadSettings, Unavailable
from bot.engine import failpoints
from bot.engine.clock import SystemClock
from bot.engine.store import Store
from bot.settings import secrets
from bot.slack.api import web_client
from bot.slack.app import SlackApp
from bot.slack.directory import SlackDirectory
from bot.slack.outbox import Outbox
from bot.slack.people import People, SlackGroups
from bot.slack.quick import open_intake
from bot.slack.router import Router
from bot.slack.sender import Sender
from bot.slack.store import SqlMessages

if TYPE_CHECKING:
    from bot.composition import Engine
    from bot.ports import Clock
    from bot.settings import Settings

_log = structlog.get_logger()


async def serve(settings: Settings) -> int:
    """Run the bot until SIGTERM or Ctrl-C; returns the exit status. Raises `ReleaseError` when it cannot start."""
    failpoints.demand_sane()
    demand_secrets(settings)
    telemetry.set_up_logs(settings.log_level)
    telemetry.hide(secrets(settings))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        store = await stack.enter_async_context(Store(settings.database.url.get_secret_value()))
        return await _serve(settings, store, clock, stop, stack)


def demand_secrets(settings: Settings) -> None:
    """Raise `BadSettings` naming the secrets of Slack that its mode needs and that are empty."""
    slack = settings.slack
    of_mode = {"http": ("signing_secret", slack.signing_secret), "socket": ("app_token", slack.app_token)}
    needed = (("bot_token", slack.bot_token), of_mode[slack.mode])
    if lacking := [f"RELEASEBOT_SLACK__{name.upper()}" for name, value in needed if not value.get_secret_value()]:
        raise BadSettings(
            f"Slack's {' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not set; the bot did not start.",
            hint="set it in the environment (docs/operations.md says where it comes from)",
        )


async def _serve(settings: Settings, store: Store, clock: Clock, stop: asyncio.Event, stack: AsyncExitStack) -> int:
    slack = settings.slack
    client = await stack.enter_async_context(
        web_client(token=slack.bot_token.get_secret_value(), base_url=slack.base_url, dates=slack.dates)
    )
    process = uuid.uuid4().hex
    held = timedelta(seconds=2 * settings.engine.lease)
    messages = SqlMessages(store, clock=clock, process=process, held=held)
    outbox = Outbox(messages, Sender(client, clock=clock), channel=slack.channel, clock=clock)
    router = Router.discover(commands, channel=slack.channel)
    people = People(settings.people, settings.groups, members=SlackGroups(client))
    ground = Ground(settings, store, outbox, clock, people, process)
    engine = await engine_of(ground, router, SlackDirectory(client, clock), stack)
    app = SlackApp(
        settings=slack,
        client=client,
        store=await stack.enter_async_context(
            open_intake(settings.database.url.get_secret_value(), store, clock=clock, held=held)
        ),
        outbox=outbox,
        router=router,
        people=people,
        office=engine.office,
    )
    served = http.application(
        metrics=telemetry.Metrics(), checks={"database": store.answers, "slack": partial(_connected, app)}
    )
    app_client = None
    if slack.mode == "http":
        app.add_route(served)
    else:
        app_client = await stack.enter_async_context(
            web_client(token=slack.app_token.get_secret_value(), base_url=slack.base_url)
        )
    port = await stack.enter_async_context(http.serve(served, host=settings.http.host, port=settings.http.port))
    _log.info("ready", port=port, process=process, mode=slack.mode, environments=list(settings.environments))
    return await _until_stopped(engine, app.run(app_client), stop)


async def _until_stopped(engine: Engine, slack: object, stop: asyncio.Event) -> int:
    """Work until asked to stop; then the runner comes to a safe point first, while Slack still hears of it."""
    tasks = [
        asyncio.ensure_future(slack),  # type: ignore[call-overload]  # a coroutine; annotated loosely for its one use
        asyncio.create_task(engine.runner.run(stop), name="runner"),
        asyncio.create_task(engine.narrator.run(stop), name="narrator"),
        asyncio.create_task(engine.scheduler.run(stop), name="scheduler"),
        asyncio.create_task(engine.rehearsals.run(stop), name="rehearsals"),
    ]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    broken = [task for task in tasks if task.done() and not task.cancelled() and task.exception()]
    stop.set()
    engine.desk.bell.ring()
    await asyncio.wait(tasks[1:], timeout=25)
    for task in (*tasks, stopping):
        task.cancel()
    await asyncio.gather(*tasks, stopping, return_exceptions=True)
    for task in broken:
        _log.error("part_ended", part=task.get_name(), exc_info=task.exception())
    return 1 if broken else 0


async def _connected(app: SlackApp) -> None:
    if not app.ready:
        raise Unavailable("Slack's socket is not connected.")
