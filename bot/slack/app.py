"""The bot in Slack: Bolt takes requests in by Socket Mode or signed HTTP, one intake keeps them, one router answers."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.response import BoltResponse
from slack_sdk.signature import SignatureVerifier

from bot.domain.errors import BadSettings, Held, Unavailable
from bot.slack.context import CommandContext
from bot.slack.envelope import Envelope, Malformed, read
from bot.slack.intake import Intake, IntakeStore, sentence
from bot.slack.socket import Socket
from bot.slack.voice import SlackVoice
from bot.views import locks
from bot.views.text import own

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from slack_bolt.request.async_request import AsyncBoltRequest
    from slack_sdk.web.async_client import AsyncWebClient

    from bot.settings import SlackSettings
    from bot.slack.office import Office
    from bot.slack.outbox import Outbox
    from bot.slack.people import People
    from bot.slack.router import Router

_log = structlog.get_logger()
EVENTS_PATH = "/slack/events"  # the one address of HTTP mode: commands, clicks, forms and events


class SlackApp:
    """Everything between Slack and the commands. `run` works until cancelled and owns every task."""

    def __init__(
        self,
        *,
        settings: SlackSettings,
        client: AsyncWebClient,
        store: IntakeStore,
        outbox: Outbox,
        router: Router,
        people: People,
        office: Office,
    ) -> None:
        """``client`` carries the bot's token (`bot.slack.api.web_client`)."""
        self._settings, self._router, self._people, self._office = settings, router, people, office
        self._outbox = outbox
        self.voice = SlackVoice(client, outbox, channel=settings.channel)
        self.intake = Intake(store, work=self._work, complain=self._complain)
        self.bolt = bolt_app(client, settings.signing_secret.get_secret_value(), self._take)
        self.socket: Socket | None = None

    async def run(self, app_client: AsyncWebClient | None = None) -> None:
        """Work on requests, send the outbox and, with a client of the app-level token, keep the socket.

        Raises an exception group with `Unavailable` when Slack cannot be reached for long: the process should end.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self.intake.run())
            group.create_task(self._outbox.run())
            if app_client is not None:
                self.socket = Socket(self.bolt, app_client)
                group.create_task(self.socket.run())

    def add_route(self, app: web.Application) -> None:
        """Let an aiohttp application take Slack's signed requests (HTTP mode); raises `BadSettings` without the secret."""
        if not self._settings.signing_secret.get_secret_value():
            raise BadSettings(
                "slack.mode is http, but slack.signing_secret is empty: anybody could give orders.",
                hint="Set RELEASEBOT_SLACK__SIGNING_SECRET.",
            )
        app.router.add_post(EVENTS_PATH, http_handler(self.bolt, self._settings.signing_secret.get_secret_value()))

    @property
    def ready(self) -> bool:
        """Whether Slack's requests reach the bot, as far as it can tell."""
        return self._settings.mode == "http" or (self.socket is not None and self.socket.connected)

    async def _take(self, payload: Mapping[str, Any]) -> BoltResponse:
        try:
            envelope = read(payload)
        except Malformed as error:
            _log.warning("request_not_understood", type=str(payload.get("type"))[:40], why=str(error))
            return BoltResponse(status=400, body="")
        if envelope is None:
            return BoltResponse(status=200, body="")
        if envelope.kind == "form" and (wrong := self._router.complaints(envelope.form())):
            errors = {"response_action": "errors", "errors": dict(wrong)}
            return BoltResponse(status=200, body=json.dumps(errors), headers={"content-type": "application/json"})
        try:
            await self.intake.take(envelope)
        except Unavailable as error:
            _log.error("request_not_stored", id=envelope.id, why=str(error))
            return BoltResponse(status=503, body="")
        return BoltResponse(status=200, body="")

    async def _work(self, envelope: Envelope) -> None:
        """Carry a request out. Who finds an environment taken is offered to be told when it is free."""
        try:
            await self._carry_out(envelope)
        except Held as error:
            _log.info("request_waits", id=envelope.id, environment=error.environment, why=str(error))
            text = own(sentence(error), json.dumps(dict(envelope.body)))
            blocks = locks.held(text, error.environment)
            await self.voice.whisper(place=envelope.place, text=text, blocks=blocks)

    async def _carry_out(self, envelope: Envelope) -> None:
        ctx = CommandContext(
            person=await self._people.person(envelope.user),
            place=envelope.place,
            source=envelope.id,
            office=self._office,
            voice=self.voice,
            trigger=envelope.trigger,
            text=envelope.text,
            message=envelope.message,
        )
        match envelope.kind:
            case "command" | "mention":
                await self._router.command(ctx, envelope.text)
            case "click":
                click = envelope.click()
                ctx.view = click.view
                await self._router.click(ctx, click)
            case "form":
                await self._router.submit(ctx, envelope.form())

    async def _complain(self, envelope: Envelope, text: str) -> None:
        await self.voice.whisper(place=envelope.place, text=own(text, json.dumps(dict(envelope.body))), blocks=None)


def bolt_app(
    client: AsyncWebClient, signing_secret: str, take: Callable[[Mapping[str, Any]], Awaitable[BoltResponse]]
) -> AsyncApp:
    """Make the Bolt app: it checks signatures and reads bodies; ``take`` answers before anything asks Slack back."""
    return AsyncApp(
        client=client,
        signing_secret=signing_secret or "unused in Socket Mode",
        before_authorize=_Taking(take),
        logger=logging.getLogger("slack_bolt"),
    )


class _Taking(AsyncMiddleware):
    """Hands every request to the intake. A middleware, not a function: for those Bolt reads ahead, and stumbles."""

    def __init__(self, take: Callable[[Mapping[str, Any]], Awaitable[BoltResponse]]) -> None:
        self._take = take

    async def async_process(
        self,
        *,
        req: AsyncBoltRequest,
        resp: BoltResponse,
        next: Callable[[], Awaitable[BoltResponse]],  # noqa: A002  # Bolt's name
    ) -> BoltResponse | None:
        """Answer it; only Slack's challenge goes on to Bolt."""
        if req.body.get("type") == "url_verification":
            await next()
            return resp
        return await self._take(req.body)


def http_handler(app: AsyncApp, signing_secret: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return an aiohttp handler that hands a request to Bolt, once it is known to be signed by Slack within 5 minutes.

    Bolt checks that too, but reads the body first: nobody else's body is to be read at all.
    """
    verifier = SignatureVerifier(signing_secret)

    async def handle(request: web.Request) -> web.Response:
        if not _signed(verifier, await request.read(), request.headers):
            return web.Response(status=401, text="not signed by Slack")
        try:
            asked = await to_bolt_request(request)
            if not isinstance(asked.body, dict):
                return web.Response(status=400)
            response = await app.async_dispatch(asked)
        except Exception as error:  # noqa: BLE001  # Bolt reads the payload before any boundary of ours
            _log.warning("request_not_understood", why=type(error).__name__)
            return web.Response(status=400)
        return await to_aiohttp_response(response)

    return handle


def _signed(verifier: SignatureVerifier, body: bytes, headers: Mapping[str, str]) -> bool:
    try:
        return verifier.is_valid_request(body, headers)
    except (TypeError, ValueError):
        return False  # a time that is no number, a signature that is no ASCII, a body that is no UTF-8
