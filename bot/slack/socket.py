"""Socket Mode: one live WebSocket to Slack, watched at the connection itself, rebuilt whenever it ends.

slack_sdk's own client can retry for ever with a used-up address while it looks connected, so the connection is ours:
each one gets an address, an HTTP session and a heartbeat of its own, and nothing of it outlives it. When none could be
made for ``give_up`` seconds, `run` raises, and the process ends with an error for its supervisor to see.
https://docs.slack.dev/apis/events-api/using-socket-mode
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.domain.errors import ReleaseError, Unavailable
from bot.slack.api import TOKEN_ERRORS, SlackBusy, SlackSays, SlackSilent, told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slack_bolt.async_app import AsyncApp
    from slack_sdk.web.async_client import AsyncWebClient

_log = structlog.get_logger()
_HELLO = 10.0  # seconds until Slack must have said hello
_FAREWELL = 30.0  # seconds that a connection may go on after Slack announced its end
_OK = 200


class Connection:
    """One WebSocket with its own HTTP session."""

    def __init__(self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._session, self._socket = session, socket
        self.ending = asyncio.Event()  # Slack announced its end, or it ended

    @classmethod
    async def open(cls, url: str, *, heartbeat: float) -> Connection:
        """Connect and wait for Slack's hello; raises `SlackSilent`."""
        session = aiohttp.ClientSession()
        try:
            with told("open the socket"):
                async with asyncio.timeout(_HELLO):
                    socket = await session.ws_connect(url, heartbeat=heartbeat, max_msg_size=0)
                    _greeted(await socket.receive())
        except BaseException:
            await session.close()
            raise
        return cls(session, socket)

    async def frames(self) -> Any:
        """Yield what Slack sends until the connection ends, however it ends; a missing pong ends it too."""
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                yield json.loads(message.data)

    async def send(self, answer: Mapping[str, Any]) -> None:
        """Send a frame; raises ConnectionError when the connection has ended."""
        await self._socket.send_str(json.dumps(answer))

    async def close(self) -> None:
        """End it, and everything that belongs to it."""
        self.ending.set()
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await self._socket.close()
        await self._session.close()


class Socket:
    """Hands what arrives by Socket Mode to Bolt, and Bolt's acknowledgement back. ``client`` carries the app-level token."""

    def __init__(
        self,
        app: AsyncApp,
        client: AsyncWebClient,
        *,
        heartbeat: float = 10.0,
        give_up: float = 300.0,
        pause: float = 0.2,
    ) -> None:
        """``heartbeat``: seconds between pings. ``pause``: seconds before the first new try, doubled up to 15."""
        self._app, self._client = app, client
        self._heartbeat, self._give_up, self._pause = heartbeat, give_up, pause
        self._live: set[Connection] = set()

    @property
    def connected(self) -> bool:
        """Whether at least one connection is up, as far as the last heartbeat knows."""
        return any(not one.ending.is_set() for one in self._live)

    async def run(self) -> None:
        """Stay connected until cancelled; raises `Unavailable` or `Refused` when that is hopeless."""
        async with asyncio.TaskGroup() as group:
            while True:
                connection = await self._connect()
                self._live.add(connection)
                group.create_task(self._serve(connection, group))
                await connection.ending.wait()

    async def _connect(self) -> Connection:
        pause, started = self._pause, time.monotonic()
        while True:
            try:
                with told("open a socket"):
                    answer = await self._client.apps_connections_open(app_token=self._client.token or "")
                connection = await Connection.open(str(answer["url"]), heartbeat=self._heartbeat)
            except SlackSays as error:
                if error.code in TOKEN_ERRORS:
                    raise
                reason: ReleaseError = error
            except (SlackBusy, SlackSilent) as error:
                reason = error
                pause = max(pause, getattr(error, "retry_after", 0.0))
            else:
                _log.info("slack_connected", after=round(time.monotonic() - started, 2))
                return connection
            self._check_patience(started, reason)
            _log.warning("slack_not_connected", why=str(reason), next_try=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 15.0)

    def _check_patience(self, started: float, reason: ReleaseError) -> None:
        if time.monotonic() - started > self._give_up:
            raise Unavailable(
                f"No socket to Slack for {self._give_up:g} s: {reason}", hint="releasebot doctor --only slack"
            ) from reason

    async def _serve(self, connection: Connection, group: asyncio.TaskGroup) -> None:
        try:
            async with asyncio.timeout(None) as life:
                async for frame in connection.frames():
                    if frame.get("type") == "disconnect":
                        _log.info("slack_renews", reason=frame.get("reason"))
                        connection.ending.set()
                        life.reschedule(asyncio.get_running_loop().time() + _FAREWELL)
                    elif "envelope_id" in frame:
                        group.create_task(self._handle(connection, frame))
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            _log.info("slack_connection_ended", why=repr(error))
        finally:
            self._live.discard(connection)
            await connection.close()

    async def _handle(self, connection: Connection, frame: Mapping[str, Any]) -> None:
        try:
            response = await self._app.async_dispatch(
                AsyncBoltRequest(mode="socket_mode", body=frame.get("payload") or {})
            )
        except Exception:  # noqa: BLE001  # Bolt reads the payload before any boundary of ours: one odd frame ends nothing
            _log.exception("slack_frame_not_understood", type=frame.get("type"))
            return
        if response.status != _OK:
            return  # not taken, so not acknowledged: Slack repeats it, or tells the person
        answer: dict[str, Any] = {"envelope_id": frame["envelope_id"]}
        if response.body:
            answer["payload"] = json.loads(response.body)
        try:
            await connection.send(answer)
        except (ConnectionError, aiohttp.ClientError) as error:
            _log.info("slack_acknowledgement_lost", why=repr(error))  # it is stored: the repetition is known by its id


def _greeted(first: aiohttp.WSMessage) -> None:
    if first.type is not aiohttp.WSMsgType.TEXT or json.loads(first.data).get("type") != "hello":
        raise SlackSilent("Slack's socket did not say hello.", hint="I keep trying.")
