"""Requests to Elasticsearch through an SSH tunnel, and its errors in our words."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import elastic_transport
from elasticsearch import ApiError, AsyncElasticsearch, UnsupportedProductError

from bot import permit
from bot.domain.errors import Conflict, Refused, ReleaseError, Unavailable
from bot.telemetry import scrub
from integrations.sshtunnel import LOOPBACK, Tunnel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.settings_search import ElasticsearchSettings
    from integrations.ssh import SshHost

NOT_FOUND = 404
_BUSY = {429, 502, 503, 504}
_FORBIDDEN = {401, 403}
_LONGEST = 300  # characters of Elasticsearch's own words
_UNSURE = "Perhaps what was asked for: the answer was lost. Look before trying again."


class ElasticClient:
    """One client for the port that the tunnel has at the moment."""

    def __init__(self, ssh: SshHost, settings: ElasticsearchSettings) -> None:
        self._settings = settings
        self._tunnel = Tunnel(ssh, settings.host, settings.port)
        self._changing = asyncio.Lock()
        self._port = 0
        self._client: AsyncElasticsearch | None = None
        self._hint = f"is Elasticsearch up on {ssh.name}? (systemctl status elasticsearch; sshd: AllowTcpForwarding)"

    async def read(self, ask: Callable[[AsyncElasticsearch], Awaitable[Any]]) -> Any:
        """Send a request that changes nothing and return the answer's body; one whose connection broke is sent once more."""
        try:
            try:
                return await self._send(ask)
            except elastic_transport.ConnectionError as error:
                if isinstance(error, elastic_transport.ConnectionTimeout):
                    raise
                return await self._send(ask)
        except (elastic_transport.TransportError, ApiError, UnsupportedProductError) as error:
            raise self._translated(error, "Nothing.") from error

    async def write(self, ask: Callable[[AsyncElasticsearch], Awaitable[Any]]) -> Any:
        """Send a request that changes something, once, if it may still be sent (`bot.permit`); return the answer's body."""
        await self._current()
        permit.demand()
        try:
            return await self._send(ask)
        except (elastic_transport.TransportError, UnsupportedProductError) as error:
            raise self._translated(error, _UNSURE) from error
        except ApiError as error:
            sure = error.meta.status not in _BUSY
            raise self._translated(error, "Nothing." if sure else _UNSURE) from error

    async def close(self) -> None:
        """Close the client and its tunnel."""
        async with self._changing:
            client, self._client = self._client, None
            if client is not None:
                await client.close()
        await self._tunnel.close()

    async def _send(self, ask: Callable[[AsyncElasticsearch], Awaitable[Any]]) -> Any:
        answer = await ask(await self._current())
        return getattr(answer, "body", answer)

    async def _current(self) -> AsyncElasticsearch:
        port = await self._tunnel.port()
        async with self._changing:
            if self._client is None or port != self._port:
                if self._client is not None:
                    await self._client.close()
                self._client, self._port = self._made(port), port
            return self._client

    def _made(self, port: int) -> AsyncElasticsearch:
        """Make a client that tries once: what may be repeated is decided here, where it is known what a request does."""
        settings = self._settings
        login = (settings.user, settings.password.get_secret_value()) if settings.user else None
        return AsyncElasticsearch(
            f"http://{LOOPBACK}:{port}",
            basic_auth=login,
            request_timeout=settings.timeout,
            max_retries=0,
            retry_on_timeout=False,
            http_compress=True,
        )

    def _translated(self, error: Exception, changed: str) -> ReleaseError:
        where = f"Elasticsearch ({self._tunnel.where})"
        kind: type[ReleaseError] = Unavailable
        said, hint = f"{where} does not answer: {scrub(str(error))[:_LONGEST]}", self._hint
        match error:
            case elastic_transport.ConnectionTimeout():
                said = f"{where} gave no answer within {self._settings.timeout:.0f} s."
            case ApiError() if error.meta.status in _FORBIDDEN:
                who = self._settings.user or "who shows no password"
                kind, said = Refused, f"{where} does not let {who} do this: {_words(error)}"
                hint = "the settings elasticsearch.user and password"
            case ApiError() if error.meta.status in _BUSY:
                said = f"{where} is overloaded or not ready: {_words(error)}"
            case ApiError() if error.meta.status == NOT_FOUND:
                kind, said, hint = Conflict, f"{where} has no such thing: {_words(error)}", "/release es status"
            case ApiError():
                kind, said, hint = Refused, f"{where} refuses: {_words(error)}", "/release es status"
            case UnsupportedProductError():
                said = f"What answers at {self._tunnel.where} is no Elasticsearch."
                hint = "the settings elasticsearch.host and port"
        return kind(said, hint=hint, changed=changed)


def _words(error: ApiError) -> str:
    """Return Elasticsearch's reason, or what its answer was."""
    match error.body:
        case {"error": {"root_cause": [{"reason": str() as reason}, *_]}} | {"error": {"reason": str() as reason}}:
            return scrub(reason)[:_LONGEST]
    return scrub(f"{error.meta.status} {error.body}")[:_LONGEST]
