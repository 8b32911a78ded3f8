"""One Elasticsearch server as a process of the sandbox, or one that somebody names in ``ELASTICSEARCH_URL``."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from signal import SIGKILL
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

import aiohttp

from bot.domain.errors import Refused, Unavailable
from sandbox.elasticsearch.build import built, command, configure, demand_buildable
from sandbox.processes import Child, Processes, free_port, signal_group, until

if TYPE_CHECKING:
    from pathlib import Path

GIVEN = "ELASTICSEARCH_URL"
INDICES = tuple(f"{alias}-{side}" for alias in ("dataset", "annotation") for side in ("yin", "yang"))
_READY = 120.0  # seconds for a start on a busy machine
_ANSWER = 30.0  # seconds


def demand() -> None:
    """Raise `Unavailable` where there can be no server: none is given, and Java or Maven are missing. Builds nothing."""
    if not os.environ.get(GIVEN):
        demand_buildable()


@dataclass(frozen=True, slots=True)
class Heap:
    """The server's memory for objects, in MB."""

    least: int = 256
    most: int = 512


class Elasticsearch:
    """A server below ``root``: same port and same data after each start, also after a kill.

    Where ``ELASTICSEARCH_URL`` names one, that one is used instead. Index names are METASPACE's, so two worlds cannot share it:
    a server that has one of the four indices already is refused. It is neither stopped nor killed; what was made there is deleted
    at the end.
    """

    def __init__(self, processes: Processes, root: Path, *, heap: Heap | None = None) -> None:
        self.root = root
        self.heap = heap or Heap()
        self.given = os.environ.get(GIVEN, "")
        where = urlsplit(self.given or f"http://127.0.0.1:{free_port()}")
        self._processes = processes
        self._child: Child | None = None
        if where.scheme != "http" or not where.hostname:
            raise Unavailable(f"{GIVEN} must be http://[user:password@]host:port.", hint="Elasticsearch without TLS")
        self.host, self.port = where.hostname, where.port or 9200
        self.user, self.password = unquote(where.username or ""), unquote(where.password or "")

    @property
    def url(self) -> str:
        """Where it answers, without a password."""
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        if self.given:
            await self._demand_empty()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.given:
            await self.clear()
        await self.stop()

    async def start(self) -> None:
        """Start it, built first if need be, and wait until it answers and none of its indices is red."""
        if not self.given:
            folder = await built()
            configure(self.root, port=self.port)
            argv = command(folder, self.root, least=self.heap.least, most=self.heap.most)
            self._child = await self._processes.start("elasticsearch", argv, cwd=folder)
        await until(self._ready, what="Elasticsearch", deadline=_READY, child=self._child)

    async def stop(self) -> None:
        """End it in good order; a server that was given goes on."""
        child, self._child = self._child, None
        if child is not None:
            await self._processes.stop(child, grace=15)

    async def kill(self) -> None:
        """Kill it as a power cut would."""
        if self._child is None:
            raise Unavailable(f"The Elasticsearch of {GIVEN} is not ours to kill.", hint=f"unset {GIVEN}")
        signal_group(self._child.pid, SIGKILL)
        await self.stop()

    async def clear(self) -> None:
        """Delete the four indices (on a server of ours: all) and the cluster's settings, as before the first test."""
        here = INDICES if self.given else sorted(await self.ask("GET", "/_all?expand_wildcards=open,closed"))
        if here:
            await self.ask("DELETE", f"/{','.join(here)}?ignore_unavailable=true")
        if not self.given:
            await self.ask("PUT", "/_cluster/settings", {"persistent": {"*": None}, "transient": {"*": None}})

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request and return the answer's JSON, or its text; raises `aiohttp.ClientError`, also for a bad status but 404."""
        login = aiohttp.BasicAuth(self.user, self.password) if self.user else None
        limit = aiohttp.ClientTimeout(total=_ANSWER)
        async with (
            aiohttp.ClientSession(auth=login, timeout=limit) as session,
            session.request(method, f"{self.url}{path}", json=body) as answer,
        ):
            if answer.status != 404:  # noqa: PLR2004  # there is none: an answer as good as another
                answer.raise_for_status()
            return await answer.json() if answer.content_type == "application/json" else await answer.text()

    async def _ready(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            health = await self.ask("GET", "/_cluster/health")
            return health["status"] != "red" and not health["initializing_shards"]
        return False

    async def _demand_empty(self) -> None:
        found = await self.ask("GET", f"/{','.join(INDICES)}?ignore_unavailable=true")
        if found:
            raise Refused(
                f"The Elasticsearch of {GIVEN} has {', '.join(sorted(found))} already: it may be somebody's.",
                hint=f"delete them yourself, or unset {GIVEN}",
                changed="Nothing.",
            )
