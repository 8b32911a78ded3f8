"""What is done to search indices, read from Elasticsearch; and how far jobs on the web server have come, from its disk."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from sandbox.processes import output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from sandbox.elasticsearch import Elasticsearch
    from sandbox.world import World

_BEGAN = re.compile(r"Deleting or updating dataset document in ES: (\S+)$")
_REFUSED = re.compile(r"Failed to reindex\(|deletion failed:|elastic_transport\.\w|elasticsearch\.\w*Error")


async def standing(search: Elasticsearch) -> dict[str, tuple[int, int]]:
    """Return of each index how many documents it holds, and its highest sequence number: every write adds to that. Refreshes first."""
    await search.ask("POST", "/_refresh")
    stats: Mapping[str, Any] = (await search.ask("GET", "/_stats?level=shards"))["indices"]
    return {
        name: (
            int((await search.ask("GET", f"/{name}/_count"))["count"]),
            max(int(copy["seq_no"]["max_seq_no"]) for copies in one["shards"].values() for copy in copies),
        )
        for name, one in sorted(stats.items())
    }


async def document(search: Elasticsearch, index: str, ds_id: str) -> Mapping[str, Any] | None:
    """Return a dataset's document, or None where there is none."""
    found: Mapping[str, Any] = await search.ask("GET", f"/{index}/_doc/{ds_id}")
    source: Mapping[str, Any] | None = found.get("_source")
    return source


async def by_hand(world: World, script: str, *arguments: str) -> str:
    """Run one of METASPACE's scripts on the web server, in its checkout, as somebody who has logged in there."""
    engine = world.git.checkout / "metaspace/engine"
    words = shlex.join(["nice", sys.executable, "-B", "-m", f"scripts.{script}", *arguments])
    return await output(world.web.ssh(f"cd {shlex.quote(str(engine))} && {words}"), deadline=600)


def done(server: Path) -> set[str]:
    """Return the datasets that jobs on the web server have done, by what their drivers wrote down."""
    logs = (server / "reindexing/orders").glob("*/done.log")
    return {line[1:] for log in logs for line in log.read_text(encoding="ascii").splitlines() if line.startswith("+")}


def running(server: Path) -> list[Path]:
    """Return the folders of the web server's jobs that have begun and not ended."""
    begun = [one.parent for one in (server / "jobs").glob("*/child.json")]
    return [one for one in begun if not (one / "status.json").exists()]


@dataclass
class Reader:
    """Asks both aliases, in one request, again and again: as METASPACE decides from the index alone what may be seen.

    ``seen`` counts what it saw: the sides that answered, whether ``hidden`` was public, whether ``deleted`` was there.
    """

    search: Elasticsearch
    hidden: str
    deleted: str
    seen: Counter[tuple[str, bool, bool]] = field(default_factory=Counter)

    async def read(self) -> None:
        """Go on until cancelled."""
        login = aiohttp.BasicAuth(self.search.user, self.search.password) if self.search.user else None
        public = {"bool": {"filter": [{"term": {"ds_id": self.hidden}}, {"term": {"ds_is_public": True}}]}}
        parts = {
            "by": {"terms": {"field": "_index"}},
            "public": {"filter": public},
            "back": {"filter": {"term": {"ds_id": self.deleted}}},
        }
        async with aiohttp.ClientSession(auth=login, raise_for_status=True) as session:
            while True:
                url = f"{self.search.url}/dataset,annotation/_search"
                async with session.post(url, json={"size": 0, "aggs": parts}) as answer:
                    self._count((await answer.json())["aggregations"])

    def _count(self, found: Mapping[str, Any]) -> None:
        names = sorted(one["key"] for one in found["by"]["buckets"])
        sides = {name.rpartition("-")[2] for name in names}
        whole = len(sides) == 1 and len(names) == 2  # the two aliases
        public, back = (bool(found[one]["doc_count"]) for one in ("public", "back"))
        self.seen[sides.pop() if whole else " ".join(names), public, back] += 1


@dataclass
class Attempt:
    """One time that METASPACE's script began a dataset. ``refused``: it said that Elasticsearch did not take it."""

    dataset: str
    refused: bool = False


@dataclass
class Said:
    """What METASPACE's script said in all jobs of a server, from their logs and, of drivers that were killed, from what they had not read.

    Each line has a time of its own, so the same line of two files is one.
    """

    server: Path
    unread: dict[str, None] = field(default_factory=dict)

    def keep(self) -> None:
        """Read what a driver that was killed this moment leaves to the next."""
        for file in (self.server / "reindexing/orders").glob("*/run.*.log"):
            whole = file.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
            self.unread |= dict.fromkeys(whole)

    def attempts(self) -> list[Attempt]:
        """Return every attempt at a dataset."""
        logs = sorted((self.server / "jobs").glob("*/log"), key=lambda one: _begun(one.parent))
        lines = [line for log in logs for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
        told = {line.partition("| ")[2] for line in lines}
        rest = [f"0| {one}" for one in self.unread if one not in told and _BEGAN.search(one)]
        return list(_attempts([*lines, *rest]))


def _attempts(lines: Iterable[str]) -> Iterator[Attempt]:
    """Tell attempts apart by the number of the worker before each line."""
    current: dict[str, Attempt] = {}
    for line in lines:
        worker, _, text = line.partition("| ")
        if found := _BEGAN.search(text):
            current[worker] = Attempt(found[1])
            yield current[worker]
        elif worker in current and _REFUSED.search(text):
            current[worker].refused = True


def _begun(job: Path) -> float:
    return float(json.loads((job / "wrapper.json").read_text(encoding="utf-8"))["started"])
