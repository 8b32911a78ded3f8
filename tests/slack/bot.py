"""A whole bot in Slack with a few small commands, so that what is tested is the way in and out, not the commands."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import SecretStr

from bot.domain.errors import Conflict, Held
from bot.settings import GroupSettings, PersonSettings, SlackSettings
from bot.slack.api import web_client
from bot.slack.app import EVENTS_PATH, SlackApp
from bot.slack.outbox import Outbox
from bot.slack.people import People, SlackGroups
from bot.slack.router import Click, Command, CommandContext, Form, Router
from bot.slack.sender import Sender
from tests.slack.conftest import CHANNEL, QUICK
from tests.slack.memory import Messages, RealClock, Requests
from tests.slack.strict import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, StrictSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

PEOPLE = (
    PersonSettings(slack="U01REL", name="Releaser", roles=("releaser",)),
    PersonSettings(slack="U02APP", name="Approver", roles=("approver", "releaser")),
    PersonSettings(slack="U04APP", name="Second approver", roles=("approver",)),
    PersonSettings(slack="U03VIEW", name="Viewer", roles=("viewer",)),
)
VIEW: dict[str, Any] = {
    "type": "modal",
    "callback_id": "notes",
    "title": {"type": "plain_text", "text": "Notes"},
    "submit": {"type": "plain_text", "text": "Save"},
    "private_metadata": "R7",
    "blocks": [
        {
            "type": "input",
            "block_id": "text",
            "label": {"type": "plain_text", "text": "Text"},
            "element": {"type": "plain_text_input", "action_id": "value"},
        }
    ],
}


@dataclass
class Office:
    """What the commands below did to the world."""

    done: list[str] = field(default_factory=list)
    decided: dict[str, str] = field(default_factory=dict)
    hold: asyncio.Event | None = None
    commands: Sequence[Command] = ()
    desk: Any = None
    settings: Any = None


async def _ping(ctx: CommandContext, args: tuple[str, ...]) -> None:
    office: Any = ctx.office
    office.done.append(f"ping {' '.join(args)}".strip())
    if office.hold:
        await office.hold.wait()
    await ctx.reply(f"pong {' '.join(args)}".strip())


async def _say(ctx: CommandContext, args: tuple[str, ...]) -> None:
    await ctx.reply(" ".join(args), ephemeral=False)


async def _ask(ctx: CommandContext, args: tuple[str, ...]) -> None:
    label = {"type": "plain_text", "text": "Go"}
    button = {"type": "button", "action_id": "decide:go", "text": label, "value": "Q1"}
    quiet = {"type": "button", "action_id": "quiet", "text": label, "value": "1"}
    gone = {"type": "button", "action_id": "from_before", "text": label, "value": "1"}
    await ctx.post("question", "Go?", [{"type": "actions", "elements": [button, quiet, gone]}])


async def _decide(ctx: CommandContext, click: Click) -> None:
    office: Any = ctx.office
    first = office.decided.setdefault(click.value, ctx.person.slack)
    if first != ctx.person.slack:
        raise Conflict(f"<@{first}> has already decided.", changed="Nothing was done.")
    office.done.append(f"decided {click.value}")
    await ctx.reply("Decided.")


async def _quiet(ctx: CommandContext, click: Click) -> None:
    office: Any = ctx.office
    office.done.append("quiet")


async def _edit(ctx: CommandContext, args: tuple[str, ...]) -> None:
    await ctx.open_modal(VIEW)


def _check(form: Form) -> dict[str, str]:
    return {} if form.text("text") else {"text": "Say something."}


async def _save(ctx: CommandContext, form: Form) -> None:
    office: Any = ctx.office
    office.done.append(f"saved {form.text('text')} of {form.metadata}")
    await ctx.reply("Saved.")


async def _boom(ctx: CommandContext, args: tuple[str, ...]) -> None:
    raise RuntimeError("secret detail")


async def _taken(ctx: CommandContext, args: tuple[str, ...]) -> None:
    raise Held("prod is locked by <@U02APP>: import <!channel>", environment="prod", hint="ask them")


async def _help(ctx: CommandContext, args: tuple[str, ...]) -> None:
    await ctx.reply("\n".join(one.name for one in ctx.office.commands))


COMMANDS = (
    Command("ping", "Answer.", _ping, usage="[WORD]", example="/release ping x"),
    Command("say", "Say it aloud.", _say),
    Command(
        "ask",
        "Ask.",
        _ask,
        role="releaser",
        buttons={"decide": _decide, "quiet": _quiet},
        roles={"decide": "approver"},
    ),
    Command("edit", "Edit.", _edit, role="releaser", views={"notes": _save}, checks={"notes": _check}),
    Command("boom", "Break.", _boom),
    Command("taken", "Be held up.", _taken),
    Command("help", "Help.", _help, role="", anywhere=True),
)


@dataclass
class Bot:
    app: SlackApp
    office: Office
    requests: Any
    messages: Any
    running: asyncio.Task[None]


@contextlib.asynccontextmanager
async def running_bot(
    slack: StrictSlack,
    *,
    mode: str = "socket",
    requests: Any = None,
    messages: Any = None,
    groups: Sequence[GroupSettings] = (),
) -> AsyncIterator[Bot]:
    """Start a bot, and kill it at the end: whatever it was doing then stays undone."""
    requests, messages = requests or Requests(), messages or Messages()
    settings = SlackSettings(mode=mode, channel=CHANNEL, base_url=slack.api, signing_secret=SecretStr(SIGNING_SECRET))  # type: ignore[call-arg]
    clock, office, router = RealClock(), Office(), Router(COMMANDS, channel=CHANNEL)
    office.commands = router.commands
    async with (
        web_client(token=BOT_TOKEN, base_url=slack.api) as client,
        web_client(token=APP_TOKEN, base_url=slack.api) as app_client,
    ):
        outbox = Outbox(messages, Sender(client, clock=clock, settle=0.02), channel=CHANNEL, clock=clock, pace=QUICK)
        people = People(PEOPLE, groups, members=SlackGroups(client))
        app = SlackApp(
            settings=settings, client=client, store=requests, outbox=outbox, router=router, people=people, office=office
        )
        async with contextlib.AsyncExitStack() as stack:
            if mode == "http":
                slack.http = await stack.enter_async_context(_served(app))
            running = asyncio.create_task(app.run(app_client if mode == "socket" else None))
            try:
                yield Bot(app, office, requests, messages, running)
            finally:
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
                if isinstance(requests, Requests):
                    requests.killed()


@contextlib.asynccontextmanager
async def _served(app: SlackApp) -> AsyncIterator[str]:
    server = web.Application()
    app.add_route(server)
    runner = web.AppRunner(server, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{EVENTS_PATH}"
    finally:
        await runner.cleanup()
