"""The strict double's Web API: what Slack answers to each method, refusals first."""

from __future__ import annotations

import itertools
import json
import re
import secrets
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.slack.strict_rules import SCOPES, characters, complaints, view_complaints

BOT_USER, BOT_TOKEN, APP_TOKEN, SIGNING_SECRET = "U0BOT", "xoxb-strict", "xapp-strict", "strict-signing-secret"


class Refusal(Exception):
    """An answer with ok false."""

    def __init__(self, error: str, messages: list[str] | None = None) -> None:
        super().__init__(error)
        self.answer = {"ok": False, "error": error, "response_metadata": {"messages": messages or []}}


@dataclass
class Trigger:
    made: float
    used: bool = False


@dataclass
class Trouble:
    """What the next calls of a method meet: 429, a lost answer after the work was done, or being down."""

    limited: dict[str, tuple[int, float]] = field(default_factory=dict)  # method → (times, seconds)
    lost: Counter[str] = field(default_factory=Counter)
    lost_before: Counter[str] = field(default_factory=Counter)
    errors: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    down: bool = False


class WebApi:
    """Slack's state and methods. Times are the real clock's."""

    def __init__(self, *, scopes: frozenset[str], trigger_life: float = 3.0) -> None:
        self.scopes, self.trigger_life, self.base = scopes, trigger_life, ""
        self.channels: dict[str, set[str]] = {}
        self.groups: dict[str, set[str]] = {}
        self.messages: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.whispers: list[dict[str, Any]] = []
        self.views: dict[str, dict[str, Any]] = {}
        self.triggers: dict[str, Trigger] = {}
        self.urls: dict[str, tuple[str, str, int, float]] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.tickets: dict[str, float] = {}
        self.profiles: dict[str, dict[str, Any]] = {}  # by e-mail
        self.calls: list[tuple[str, float, dict[str, Any]]] = []
        self.refused: list[tuple[str, str]] = []
        self.trouble = Trouble()
        self._numbers = itertools.count(1)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/{method}", self._api),
            web.get("/api/{method}", self._api),
            web.post("/upload/{file}", self._upload),
            web.post("/response/{token}", self._response),
        ]

    def trigger(self) -> str:
        key = f"{next(self._numbers)}.{secrets.token_hex(6)}"
        self.triggers[key] = Trigger(time.monotonic())
        return key

    def response_url(self, channel: str, user: str) -> str:
        token = secrets.token_hex(8)
        self.urls[token] = (channel, user, 0, time.monotonic())
        return f"{self.base}/response/{token}"

    def count(self, method: str) -> int:
        return sum(1 for name, _, _ in self.calls if name == method)

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        args = await self._args(request)
        self.calls.append((method, time.monotonic(), args))
        trouble = self.trouble
        if trouble.down:
            return web.Response(status=503, text="service unavailable")
        if (limited := trouble.limited.get(method)) and limited[0] > 0:
            trouble.limited[method] = (limited[0] - 1, limited[1])
            body = {"ok": False, "error": "ratelimited"}
            return web.json_response(body, status=429, headers={"Retry-After": f"{limited[1]:g}"})
        if trouble.lost_before[method] > 0:
            trouble.lost_before[method] -= 1
            self._hang_up(request)
        answer = self._answer(method, request.headers.get("Authorization", ""), args)
        if trouble.lost[method] > 0:
            trouble.lost[method] -= 1
            self._hang_up(request)
        return web.json_response(answer)

    def _hang_up(self, request: web.Request) -> None:
        assert request.transport is not None
        request.transport.abort()
        raise ConnectionResetError("hung up on purpose")

    async def _args(self, request: web.Request) -> dict[str, Any]:
        if request.content_type == "application/json":
            return dict(await request.json())
        return {**request.query, **{key: value for key, value in (await request.post()).items() if key != "token"}}

    def _answer(self, method: str, authorization: str, args: dict[str, Any]) -> dict[str, Any]:
        try:
            self._authorise(method, authorization)
            handler = self._handler(method)
            return {"ok": True, **handler(**{k: v for k, v in args.items() if v is not None})}
        except Refusal as refusal:
            self.refused.append(
                (method, f"{refusal.answer['error']} {refusal.answer['response_metadata']['messages']}")
            )
            return refusal.answer

    def _handler(self, method: str) -> Any:
        if self.trouble.errors[method]:
            raise Refusal(self.trouble.errors[method].pop(0))
        name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=URL)", "_", method).replace(".", "_").lower()
        handler = getattr(self, f"do_{name}", None)
        if handler is None:
            raise Refusal("unknown_method")
        return handler

    def _authorise(self, method: str, authorization: str) -> None:
        wanted = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if not authorization:
            raise Refusal("not_authed")
        if authorization != f"Bearer {wanted}":
            known = authorization in (f"Bearer {APP_TOKEN}", f"Bearer {BOT_TOKEN}")
            raise Refusal("not_allowed_token_type" if known else "invalid_auth")
        needed = SCOPES.get(method, frozenset())
        if needed and not needed <= self.scopes:
            raise Refusal("missing_scope", [f"needed {sorted(needed)}"])

    def _channel(self, channel: str, *, member: bool = True) -> str:
        if any(channel in members for members in self.channels.values()):
            return channel  # a person's id: their direct messages
        if channel not in self.channels:
            raise Refusal("channel_not_found")
        if member and BOT_USER not in self.channels[channel]:
            raise Refusal("not_in_channel")
        return channel

    def _contents(self, args: dict[str, Any], *, text_limit: int = 40_000) -> dict[str, Any]:
        text, blocks = args.get("text", ""), args.get("blocks", [])
        if not str(text).strip():
            raise Refusal("no_text")
        if len(text) > text_limit:
            raise Refusal("msg_too_long")
        if isinstance(blocks, str):
            try:
                blocks = json.loads(blocks or "[]")
            except ValueError:
                raise Refusal("invalid_blocks_format") from None
        if found := complaints(blocks, limit=50):
            raise Refusal("invalid_blocks", found)
        if characters(blocks) > 13_200:
            raise Refusal("msg_blocks_too_long")
        for block in blocks:
            block.setdefault("block_id", secrets.token_hex(3))
        return {"text": text, "blocks": blocks}

    def find(self, channel: str, ts: str) -> dict[str, Any] | None:
        return next((one for one in self.messages[channel] if one["ts"] == ts), None)

    def thread(self, channel: str, ts: str) -> list[dict[str, Any]]:
        return [one for one in self.messages[channel] if ts in (one["ts"], one.get("thread_ts"))]

    def add(self, channel: str, **message: Any) -> dict[str, Any]:
        ts = f"{time.time():.3f}{next(self._numbers):03d}"
        stored = {"type": "message", "user": BOT_USER, "ts": ts, **message}
        self.messages[channel].append(stored)
        return stored

    def do_auth_test(self) -> dict[str, Any]:
        return {
            "url": self.base,
            "team": "Strict",
            "user": "releasebot",
            "team_id": "T1",
            "user_id": BOT_USER,
            "bot_id": "B1",
        }

    def do_apps_connections_open(self) -> dict[str, Any]:
        ticket = secrets.token_hex(8)
        self.tickets[ticket] = time.monotonic()
        return {"url": f"{self.base.replace('http', 'ws', 1)}/link?ticket={ticket}"}

    def do_chat_post_message(self, channel: str = "", thread_ts: str = "", **args: Any) -> dict[str, Any]:
        contents = self._contents(args)
        self._channel(channel)
        if thread_ts and self.find(channel, thread_ts) is None:
            raise Refusal("thread_not_found")
        extra = {"metadata": args["metadata"]} if args.get("metadata") else {}
        if thread_ts:
            extra |= {"thread_ts": thread_ts, "reply_broadcast": bool(args.get("reply_broadcast"))}
        message = self.add(channel, **contents, **extra)
        return {"channel": channel, "ts": message["ts"], "message": message}

    def do_chat_update(self, channel: str = "", ts: str = "", **args: Any) -> dict[str, Any]:
        contents = self._contents(args, text_limit=4000)
        message = self.find(self._channel(channel), ts)
        if message is None:
            raise Refusal("message_not_found")
        if message["user"] != BOT_USER:
            raise Refusal("cant_update_message")
        message |= {**contents, "edited": {"ts": f"{time.time():.6f}"}}
        return {"channel": channel, "ts": ts, "text": message["text"]}

    def do_chat_post_ephemeral(
        self, channel: str = "", user: str = "", thread_ts: str = "", **args: Any
    ) -> dict[str, Any]:
        contents = self._contents(args)
        if user not in self.channels[self._channel(channel)]:
            raise Refusal("user_not_in_channel")
        self.whispers.append({"channel": channel, "user": user, "thread_ts": thread_ts, **contents})
        return {"message_ts": f"{time.time():.6f}"}

    def do_chat_get_permalink(self, channel: str = "", message_ts: str = "") -> dict[str, Any]:
        if self.find(self._channel(channel, member=False), message_ts) is None:
            raise Refusal("message_not_found")
        return {"permalink": f"{self.base}/archives/{channel}/p{message_ts.replace('.', '')}"}

    def _page(self, found: list[dict[str, Any]], args: dict[str, Any]) -> dict[str, Any]:
        limit, start = min(int(args.get("limit", 100)), 999), int(args.get("cursor") or 0)
        oldest, latest = float(args.get("oldest") or 0), float(args.get("latest") or 1e12)
        edges = (oldest, latest) if str(args.get("inclusive", "")).lower() in ("true", "1") else ()
        recent = [one for one in found if oldest < float(one["ts"]) < latest or float(one["ts"]) in edges]
        more = len(recent) > start + limit
        cursor = str(start + limit) if more else ""
        return {
            "messages": recent[start : start + limit],
            "has_more": more,
            "response_metadata": {"next_cursor": cursor},
        }

    def do_conversations_history(self, channel: str = "", **args: Any) -> dict[str, Any]:
        self._channel(channel)
        top = [one for one in self.messages[channel] if not one.get("thread_ts") or one.get("reply_broadcast")]
        return self._page(top[::-1], args)

    def do_conversations_replies(self, channel: str = "", ts: str = "", **args: Any) -> dict[str, Any]:
        self._channel(channel)
        found = self.thread(channel, ts)
        if not found:
            raise Refusal("thread_not_found")
        return self._page(found, args)

    def do_usergroups_users_list(self, usergroup: str = "", **_: Any) -> dict[str, Any]:
        if usergroup not in self.groups:
            raise Refusal("no_such_subteam")
        return {"users": sorted(self.groups[usergroup])}

    def do_files_get_upload_url_external(
        self, filename: str = "", length: Any = 0, alt_txt: str = "", **_: Any
    ) -> dict[str, Any]:
        if not filename or int(length) < 1 or len(alt_txt) > 1000:
            raise Refusal("invalid_arguments")
        file = f"F{next(self._numbers)}"
        self.uploads[file] = {"id": file, "name": filename, "length": int(length), "content": None, "alt": alt_txt}
        return {"upload_url": f"{self.base}/upload/{file}", "file_id": file}

    def do_files_complete_upload_external(
        self, files: Any = (), channel_id: str = "", thread_ts: str = "", **args: Any
    ) -> dict[str, Any]:
        done = [self.uploads.get(one["id"]) for one in (json.loads(files) if isinstance(files, str) else files)]
        if not done or any(one is None or one["content"] is None for one in done):
            raise Refusal("file_not_found")
        self._channel(channel_id)
        extra = {"thread_ts": thread_ts} if thread_ts else {}
        shown = [{"id": one["id"], "name": one["name"]} for one in done if one]
        self.add(channel_id, text=args.get("initial_comment", ""), blocks=[], files=shown, **extra)
        return {"files": shown}

    def do_users_lookup_by_email(self, email: str = "") -> dict[str, Any]:
        if email not in self.profiles:
            raise Refusal("users_not_found")
        return {"user": {"deleted": False, "is_bot": False, **self.profiles[email]}}

    def do_users_info(self, user: str = "") -> dict[str, Any]:
        found = next((one for one in self.profiles.values() if one["id"] == user), None)
        if found is None:
            raise Refusal("user_not_found")
        return {"user": found}

    def do_users_list(self, limit: Any = 100, cursor: str = "") -> dict[str, Any]:
        every, start = list(self.profiles.values()), int(cursor or 0)
        end = start + min(int(limit), 1000)
        more = str(end) if end < len(every) else ""
        return {"members": every[start:end], "response_metadata": {"next_cursor": more}}

    def do_views_open(self, trigger_id: str = "", view: Any = None, **_: Any) -> dict[str, Any]:
        trigger = self.triggers.get(trigger_id)
        if trigger is None:
            raise Refusal("invalid_trigger_id")
        if time.monotonic() - trigger.made > self.trigger_life:
            raise Refusal("expired_trigger_id")
        if trigger.used:
            raise Refusal("exchanged_trigger_id")
        shown = self._view(view)
        trigger.used = True
        key = f"V{next(self._numbers)}"
        self.views[key] = {**shown, "id": key, "hash": secrets.token_hex(4)}
        return {"view": self.views[key]}

    def do_views_update(self, view_id: str = "", view: Any = None, **args: Any) -> dict[str, Any]:
        if view_id not in self.views:
            raise Refusal("not_found")
        if args.get("hash") and args["hash"] != self.views[view_id]["hash"]:
            raise Refusal("hash_conflict")
        self.views[view_id] = {**self._view(view), "id": view_id, "hash": secrets.token_hex(4)}
        return {"view": self.views[view_id]}

    def _view(self, view: Any) -> dict[str, Any]:
        shown = json.loads(view) if isinstance(view, str) else view
        if found := view_complaints(shown):
            raise Refusal("invalid_arguments", found)
        return dict(shown)

    async def _upload(self, request: web.Request) -> web.Response:
        file = self.uploads.get(request.match_info["file"])
        content = await request.read()
        if file is None or file["length"] != len(content):
            return web.Response(status=400, text="length differs")
        file["content"] = content
        return web.Response(text=f"OK - {len(content)}")

    async def _response(self, request: web.Request) -> web.Response:
        channel, user, uses, made = self.urls.get(request.match_info["token"], ("", "", 99, 0.0))
        body = await request.json()
        if self.trouble.down or uses >= 5 or time.monotonic() - made > 1800:
            return web.Response(status=404, text="expired_url")
        if "response_type" not in body or not body.get("text") or complaints(body.get("blocks", []), limit=50):
            return web.Response(status=400, text="invalid_payload")
        self.urls[request.match_info["token"]] = (channel, user, uses + 1, made)
        if body["response_type"] == "ephemeral":
            self.whispers.append({"channel": channel, "user": user, "thread_ts": body.get("thread_ts", ""), **body})
        else:
            self.add(channel, text=body["text"], blocks=body.get("blocks", []))
        return web.Response(text="ok")
