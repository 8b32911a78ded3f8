"""A strict double of Slack: it refuses what Slack refuses, repeats what Slack repeats, and fails on demand.

Web API, Socket Mode and signed HTTP requests, on 127.0.0.1. `StrictSlack` is the world; its methods are what people do.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import hmac
import itertools
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from tests.slack.strict_web import APP_TOKEN, BOT_TOKEN, BOT_USER, SIGNING_SECRET, WebApi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

__all__ = ["APP_TOKEN", "BOT_TOKEN", "BOT_USER", "SIGNING_SECRET", "Delivery", "StrictSlack", "until"]

ALL_SCOPES = frozenset(
    {
        *("chat:write", "commands", "app_mentions:read", "channels:history", "groups:history", "files:write"),
        *("users:read", "users:read.email"),
        "usergroups:read",
    }
)


async def until(seen: Callable[[], Any], *, within: float = 8.0) -> Any:
    """Wait for the world to show something; fails with what it was waiting for."""
    deadline = time.monotonic() + within
    while not (found := seen()):
        assert time.monotonic() < deadline, f"not seen within {within} s"
        await asyncio.sleep(0.005)
    return found


@dataclass
class Delivery:
    """One envelope, delivered once or more. ``acks`` are what the bot answered to each."""

    payload: dict[str, Any]
    acks: list[Any] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    async def acknowledged(self, times: int = 1) -> Any:
        await until(lambda: len(self.acks) >= times)
        return self.acks[-1]


class StrictSlack(WebApi):
    """Slack, with one team, and people who type and click. ``http`` is where it sends signed requests; else Socket Mode."""

    def __init__(self, *, scopes: frozenset[str] = ALL_SCOPES, trigger_life: float = 3.0) -> None:
        super().__init__(scopes=scopes, trigger_life=trigger_life)
        self.http = ""
        self.sockets: list[web.WebSocketResponse] = []
        self.connected = 0
        self.silent = False  # answers no ping
        self._waiting: dict[str, tuple[Delivery, float]] = {}
        self._serial = itertools.count(1)

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[StrictSlack]:
        app = web.Application(client_max_size=64 * 2**20)
        app.add_routes([*self.routes(), web.get("/link", self._link)])
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.2, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await self.cut()
            await runner.cleanup()

    @property
    def api(self) -> str:
        return f"{self.base}/api/"

    # Socket Mode

    async def _link(self, request: web.Request) -> web.StreamResponse:
        made = self.tickets.pop(request.query.get("ticket", ""), None)
        if self.trouble.down or made is None or time.monotonic() - made > 30:
            return web.Response(status=403)
        socket = web.WebSocketResponse(autoping=not self.silent)
        await socket.prepare(request)
        hello = {"type": "hello", "num_connections": len(self.sockets) + 1, "connection_info": {"app_id": "A1"}}
        await socket.send_json(hello)
        self.sockets.append(socket)
        self.connected += 1
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._acknowledged(json.loads(message.data))
        finally:
            self.sockets = [one for one in self.sockets if one is not socket]
        return socket

    def _acknowledged(self, answer: Mapping[str, Any]) -> None:
        delivery, sent = self._waiting.pop(answer["envelope_id"])  # an unknown id is a bug of the bot: KeyError
        delivery.seconds.append(time.monotonic() - sent)
        delivery.acks.append(answer.get("payload") or {})

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Slack's polite notice that a connection ends soon."""
        for socket in list(self.sockets):
            await socket.send_json({"type": "disconnect", "reason": reason})

    async def cut(self) -> None:
        """End every connection without a word."""
        for socket in list(self.sockets):
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()

    async def deliver(self, kind: str, payload: dict[str, Any], *, times: int = 1) -> Delivery:
        """Send it to the bot: over the first connection, or signed to ``http``; ``times`` as Slack repeats it."""
        delivery = Delivery(payload)
        for attempt in range(times):
            if self.http:
                await self._post(kind, payload, delivery, attempt)
            else:
                await self._send(kind, payload, delivery, attempt)
        return delivery

    async def _send(self, kind: str, payload: dict[str, Any], delivery: Delivery, attempt: int) -> None:
        await until(lambda: self.sockets)
        envelope = secrets.token_hex(8)  # a repetition comes in another envelope; its payload is the same
        frame = {
            "type": kind,
            "envelope_id": envelope,
            "payload": payload,
            "accepts_response_payload": kind != "events_api",
        }
        if kind == "events_api":
            frame |= {"retry_attempt": attempt, "retry_reason": "timeout" if attempt else ""}
        self._waiting[envelope] = (delivery, time.monotonic())
        delivery.ids.add(envelope)
        await self.sockets[-1].send_json(frame)

    async def _post(self, kind: str, payload: dict[str, Any], delivery: Delivery, attempt: int) -> None:
        form = {"slash_commands": payload, "interactive": {"payload": json.dumps(payload)}}
        body = json.dumps(payload) if kind == "events_api" else urlencode(form[kind])
        content = "application/json" if kind == "events_api" else "application/x-www-form-urlencoded"
        headers = {"Content-Type": content, **self.signature(body)}
        headers |= {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": "http_timeout"} if attempt else {}
        started = time.monotonic()
        async with aiohttp.ClientSession() as session, session.post(self.http, data=body, headers=headers) as answer:
            text = await answer.text()
            if answer.status == 200:
                delivery.seconds.append(time.monotonic() - started)
                delivery.acks.append(json.loads(text) if text.startswith("{") else {})

    def signature(self, body: str, *, secret: str = SIGNING_SECRET, age: float = 0) -> dict[str, str]:
        at = str(int(time.time() - age))
        digest = hmac.new(secret.encode(), f"v0:{at}:{body}".encode(), hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={digest}"}

    # What people do

    async def command(self, user: str, text: str, *, channel: str, times: int = 1) -> Delivery:
        """Type ``/release text``."""
        payload = {
            **_team(),
            "command": "/release",
            "text": text,
            "user_id": user,
            "user_name": user.lower(),
            "channel_id": channel,
            "channel_name": channel.lower(),
            "trigger_id": self.trigger(),
            "response_url": self.response_url(channel, user),
        }
        return await self.deliver("slash_commands", payload, times=times)

    async def mention(self, user: str, text: str, *, channel: str, thread: str = "", times: int = 1) -> Delivery:
        """Write a message that mentions the bot."""
        said = self.add(channel, user=user, text=f"<@{BOT_USER}> {text}", **({"thread_ts": thread} if thread else {}))
        event = {**said, "type": "app_mention", "channel": channel, "event_ts": said["ts"]}
        payload = {
            **_team(),
            "type": "event_callback",
            "event_id": f"Ev{secrets.token_hex(6)}",
            "event_time": int(time.time()),
            "event": event,
            "authorizations": [{"team_id": "T1", "user_id": BOT_USER, "is_bot": True}],
        }
        return await self.deliver("events_api", payload, times=times)

    async def press(
        self, user: str, action_id: str, *, channel: str, message: Mapping[str, Any], times: int = 1, at: str = ""
    ) -> Delivery:
        """Press a button of a message as it was when the person saw it (``message`` may be an old copy)."""
        block, element = _element(message["blocks"], action_id)
        action = {
            "type": element["type"],
            "action_id": action_id,
            "block_id": block["block_id"],
            "value": element.get("value", ""),
            "text": element.get("text"),
            "action_ts": at or f"{time.time():.6f}",
        }
        container = {"type": "message", "message_ts": message["ts"], "channel_id": channel}
        container |= {"thread_ts": message["thread_ts"]} if message.get("thread_ts") else {}
        payload = self._interaction("block_actions", user) | {
            "container": container,
            "channel": {"id": channel, "name": channel.lower()},
            "message": copy.deepcopy(dict(message)),
            "state": {"values": {}},
            "response_url": self.response_url(channel, user),
            "actions": [action],
        }
        return await self.deliver("interactive", payload, times=times)

    async def submit(self, user: str, view_id: str, values: Mapping[str, str], *, times: int = 1) -> Delivery:
        """Fill in a modal's text fields, by block_id, and submit it."""
        view = copy.deepcopy(self.views[view_id])
        state: dict[str, Any] = {}
        for block in view["blocks"]:
            if block.get("type") == "input":
                kind, action = block["element"]["type"], block["element"]["action_id"]
                state[block["block_id"]] = {action: {"type": kind, "value": values.get(block["block_id"])}}
        view["state"] = {"values": state}
        payload = self._interaction("view_submission", user) | {"view": view, "response_urls": []}
        return await self.deliver("interactive", payload, times=times)

    def _interaction(self, kind: str, user: str) -> dict[str, Any]:
        person = {"id": user, "username": user.lower(), "name": user.lower(), "team_id": "T1"}
        team = {"team": {"id": "T1", "domain": "strict"}, "api_app_id": "A1", "token": "verification"}
        return {"type": kind, "user": person, "trigger_id": self.trigger(), **team}


def _team() -> dict[str, Any]:
    return {"token": "verification", "team_id": "T1", "team_domain": "strict", "api_app_id": "A1"}


def _element(blocks: list[dict[str, Any]], action_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    for block in blocks:
        for element in [*block.get("elements", []), *([block["accessory"]] if "accessory" in block else [])]:
            if element.get("action_id") == action_id:
                return block, element
    raise AssertionError(f"there is no {action_id} to press")
