"""The local Slack: a workspace with METASPACE's channel and people, driven through its control calls and its page."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import yaml

from bot.domain.errors import Unavailable
from sandbox.npm import local_slack
from sandbox.processes import Child, Processes, free_port, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

BOT_TOKEN, APP_TOKEN, SIGNING_SECRET = "xoxb-local", "xapp-local", "local-signing-secret"
BOT = "U0BOT"
DEV_CHANNEL, OTHER_CHANNEL = "C01DEV", "C02GEN"
CHANNELS = {DEV_CHANNEL: "metaspace_dev", OTHER_CHANNEL: "general"}


@dataclass(frozen=True, slots=True)
class Member:
    """A person in the workspace."""

    id: str
    name: str
    real_name: str
    email: str


RELEASER = Member("U01REL", "releaser", "Renata Releaser", "releaser@example.org")
APPROVER = Member("U02APP", "approver", "Aron Approver", "approver@example.org")
VIEWER = Member("U03VIE", "viewer", "Vera Viewer", "viewer@example.org")
STRANGER = Member("U04STR", "stranger", "Stefan Stranger", "stranger@example.org")
ADMIN = Member("U05ADM", "admin", "Anja Admin", "admin@example.org")
ADA = Member("U06ADA", "ada", "Ada Keller", "ada@example.org")
BO = Member("U07BOL", "bo", "Bo Lindqvist", "bo@example.org")
MEMBERS = (RELEASER, APPROVER, VIEWER, STRANGER, ADMIN, ADA, BO)

Json = dict[str, Any]


class LocalSlack:
    """One workspace. ``request_url`` set means signed HTTP requests to there instead of Socket Mode."""

    def __init__(self, processes: Processes, root: Path, *, request_url: str = "", port: int = 0) -> None:
        self.root = root
        self.port = port or free_port()
        self.request_url = request_url
        self.url = f"http://127.0.0.1:{self.port}"
        self.api_url = f"{self.url}/api/"
        self._processes = processes
        self._child: Child | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(self.url, timeout=aiohttp.ClientTimeout(30))
        try:
            await self.start()
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        if self._session is not None:
            await self._session.close()

    async def start(self) -> None:
        """Start it (again: with nothing in it, on the same port)."""
        program = await local_slack()
        configuration = self._write_configuration()
        argv = [str(program), "--config", str(configuration), "--port", str(self.port), "--base-host", "127.0.0.1"]
        self._child = await self._processes.start("local-slack", [*argv, "--files-dir", str(self.root / "files")])
        await until(self._answers, what="the local Slack", child=self._child)

    async def stop(self) -> None:
        """End it, as when Slack is down."""
        child, self._child = self._child, None
        if child is not None:
            await self._processes.stop(child, grace=2)

    async def message(self, user: str, text: str, *, channel: str = DEV_CHANNEL, thread_ts: str = "") -> Json:
        """Write a message as somebody, and return it."""
        body = {"channel": channel, "user": user, "text": text} | ({"thread_ts": thread_ts} if thread_ts else {})
        message: Json = (await self._post("message", body))["message"]
        return message

    async def command(self, user: str, text: str, *, command: str = "/release", channel: str = DEV_CHANNEL) -> None:
        """Type a slash command. Returns once the bot acknowledged it, or Slack gave up waiting."""
        await self._post("command", {"channel": channel, "user": user, "command": command, "text": text})

    async def interact(self, user: str, ts: str, action: Mapping[str, Any], *, channel: str = DEV_CHANNEL) -> None:
        """Use a button or menu of a message: ``action`` is the element with its block's ``block_id``."""
        await self._post("interact", {"channel": channel, "messageTs": ts, "user": user, "action": dict(action)})

    async def open_home(self, user: str) -> None:
        """Open the bot's App Home."""
        await self._post("open-home", {"user": user})

    async def messages(self, channel: str = DEV_CHANNEL) -> list[Json]:
        """Return a channel's messages, threads and private ones included, oldest first."""
        found: list[Json] = (await self._get(f"messages/{channel}"))["messages"]
        return found

    async def state(self) -> Json:
        """Return workspace, users and channels."""
        return await self._get("state")

    async def log(self) -> list[Json]:
        """Return what passed between Slack and the bot."""
        found: list[Json] = (await self._get("log"))["log"]
        return found

    async def reset(self) -> None:
        """Forget all messages and views."""
        await self._post("reset", {})

    @asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """Open the page, where modals and the App Home are."""
        async with self._open_session().ws_connect("/ui", max_msg_size=0) as socket:
            page = Page(socket)
            listener = asyncio.create_task(page.listen())
            try:
                await page.until(lambda: page.loaded, what="the page")
                yield page
            finally:
                listener.cancel()
                await asyncio.gather(listener, return_exceptions=True)

    async def view_submit(self, user: str, values: Mapping[str, Any]) -> None:
        """Submit the modal on top."""
        async with self.page() as page:
            await page.submit(user, values)

    async def _answers(self) -> bool:
        try:
            await self.state()
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True

    async def _get(self, path: str) -> Json:
        async with self._open_session().get(f"/_control/{path}") as response:
            answer: Json = await response.json()
            return answer

    async def _post(self, path: str, body: Mapping[str, Any]) -> Json:
        async with self._open_session().post(f"/_control/{path}", json=body) as response:
            answer: Json = await response.json()
        if not answer.get("ok"):
            raise Unavailable(f"The local Slack refused {path}: {answer.get('error')}.")
        return answer

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise Unavailable("The local Slack is not running.", hint="async with LocalSlack(…)")
        return self._session

    def _write_configuration(self) -> Path:
        mode = {"mode": "events", "requestUrl": self.request_url} if self.request_url else {"mode": "socket"}
        members = [{"id": one.id, "name": one.name, "real_name": one.real_name, "email": one.email} for one in MEMBERS]
        everybody = [*(one.id for one in MEMBERS), BOT]
        content = {
            "workspace": {"name": "METASPACE", "domain": "metaspace", "teamId": "T01META"},
            "app": {
                "appId": "A01REL",
                "botUserId": BOT,
                "botName": "releasebot",
                "botToken": BOT_TOKEN,
                "appToken": APP_TOKEN,
                "signingSecret": SIGNING_SECRET,
                **mode,
            },
            "users": [member | {"tz": "Europe/Berlin"} for member in members],
            "channels": [{"id": key, "name": name, "members": everybody} for key, name in CHANNELS.items()],
        }
        (self.root / "files").mkdir(parents=True, exist_ok=True)
        path = self.root / "slack.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path


@dataclass
class Page:
    """The clickable page's connection: modals that are open (the newest last), their errors, App Homes."""

    socket: aiohttp.ClientWebSocketResponse
    loaded: bool = False
    modals: Sequence[Json] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    homes: dict[str, Json] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        """Follow what the page is told."""
        async for frame in self.socket:
            if frame.type is aiohttp.WSMsgType.TEXT:
                self._take(json.loads(frame.data))
                self._changed.set()

    async def until(self, ready: Callable[[], object], *, what: str, deadline: float = 10.0) -> None:
        """Wait for the page to change until ``ready``; `Unavailable` after ``deadline`` seconds."""
        try:
            async with asyncio.timeout(deadline):
                while not ready():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise Unavailable(f"Slack's page shows no {what} after {deadline:.0f} s.") from error

    async def modal(self, *, deadline: float = 10.0) -> Json:
        """Wait for a modal with inputs or a submit button to be open, and return the one on top."""
        await self.until(lambda: self.modals and self.modals[-1].get("submit"), what="modal", deadline=deadline)
        return self.modals[-1]

    async def submit(self, user: str, values: Mapping[str, Any]) -> None:
        """Submit the modal on top with ``{block_id: {action_id: state}}``."""
        self.errors = {}
        await self.socket.send_json({"t": "view_submit", "user": user, "values": dict(values)})

    async def close_modal(self, user: str) -> None:
        """Cancel the modal on top."""
        await self.socket.send_json({"t": "view_close", "user": user})

    async def press_home(self, user: str, action: Mapping[str, Any]) -> None:
        """Use an element of the App Home."""
        await self.socket.send_json(
            {"t": "block_action", "channel": "", "messageTs": "", "user": user, "action": dict(action)}
        )

    def _take(self, frame: Json) -> None:
        match frame["t"]:
            case "init":
                self.loaded = True
                self.modals = frame["state"].get("modalStack") or ()
                homes = frame["state"].get("homeViews") or {}
                self.homes = {user: next(iter(views.values())) for user, views in homes.items() if views}
            case "view":
                self.modals = frame.get("stack") or ()
                self.errors = {}
            case "view_errors":
                self.errors = frame.get("errors") or {}
            case "home":
                self.homes[frame["user"]] = frame["view"]
