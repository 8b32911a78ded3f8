"""A look at METASPACE from outside: the front page and GraphQL's health, at the same time."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from bot.domain.world import Look
from bot.telemetry import scrub

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.ports import Clock
    from bot.settings import SiteSettings

QUERY = "{ systemHealth { canMutate } }"
_LONGEST_PAGE = 4 * 1024 * 1024  # bytes
_LONGEST_DETAIL = 200


class _Down(Exception):
    """The site answered, but not as it should."""


class SiteProbe:
    """Implements `bot.ports.Site`. One kept session for all looks; ``close`` it, or use it in ``async with``.

    A look ends within ``settings.timeout`` seconds. TLS certificates are verified: a bad one is a site that is down.
    """

    def __init__(self, settings: SiteSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the kept connections; another look opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def look(self) -> Look:
        """Ask both once. Latency is the slower one's; a site in read-only mode is up, and ``detail`` says so."""
        at, started = self._clock.now(), self._clock.monotonic()
        ok, detail = await self._state()
        return Look(at, ok, self._clock.monotonic() - started, scrub(detail)[:_LONGEST_DETAIL])

    async def _state(self) -> tuple[bool, str]:
        try:
            async with asyncio.timeout(self._settings.timeout), asyncio.TaskGroup() as group:
                page = group.create_task(_sound("front page", self._page))
                health = group.create_task(_sound("GraphQL", self._health))
        except TimeoutError:
            return False, f"no answer within {self._settings.timeout:g} s"
        troubles = [text for ok, text in (page.result(), health.result()) if not ok]
        return not troubles, "; ".join(troubles) or health.result()[1]

    async def _page(self) -> str:
        async with self._open().get(str(self._settings.url)) as answer:
            _demand_ok(answer.status)
            if self._settings.contains and self._settings.contains not in await _text(answer):
                raise _Down("does not show what it should")
        return ""

    async def _health(self) -> str:
        async with self._open().post(str(self._settings.graphql), json={"query": QUERY}) as answer:
            body = await _text(answer)
            can_mutate = _can_mutate(body, answer.status)
        return "" if can_mutate else "read-only mode"

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"User-Agent": "releasebot", "Cache-Control": "no-cache"}
            self._session = aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=None))
        return self._session


async def _sound(what: str, ask: Callable[[], Awaitable[str]]) -> tuple[bool, str]:
    """Ask, and once more where a kept connection turned out to be cut: that says nothing about the site."""
    try:
        try:
            return True, await ask()
        except aiohttp.ServerDisconnectedError:
            return True, await ask()
    except _Down as down:
        return False, f"{what} {down}"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return False, f"{what}: {_reason(error)}"


def _reason(error: Exception) -> str:
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError)):
        return "its certificate is not accepted"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection ({error.os_error.strerror or error.os_error})"
    return str(error) or type(error).__name__


def _demand_ok(status: int) -> None:
    if status != 200:  # noqa: PLR2004  # HTTP's number
        raise _Down(f"answers {status}")


async def _text(answer: aiohttp.ClientResponse) -> str:
    """Read the body, up to 4 MB."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > _LONGEST_PAGE:
            break
    return body.decode("utf-8", "replace")


def _can_mutate(body: str, status: int) -> bool:
    try:
        answer: Any = json.loads(body)
    except ValueError:
        _demand_ok(status)
        raise _Down("answers no JSON") from None
    match answer:
        case {"data": {"systemHealth": {"canMutate": bool(can_mutate)}}}:
            return can_mutate
        case {"errors": [{"message": str(message)}, *_]}:
            raise _Down(f"says {message}")
    _demand_ok(status)
    raise _Down("answers something else than its health")
