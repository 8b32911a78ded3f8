"""A METASPACE with data for tests: database, indices, the server's checkout and sm-update-daemon, without the world around it."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.gitworld import GitWorld
from sandbox.metaspace_data import PACE, Data
from sandbox.processes import output
from sandbox.scenarios import scenario

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.elasticsearch import Elasticsearch
    from sandbox.processes import Child, Processes

ENGINE = "metaspace/engine"
DATASETS = 20
INDICES = ("dataset-yin", "annotation-yin", "dataset-yang", "annotation-yang")


@dataclass(frozen=True, slots=True)
class Said:
    """How a script ended."""

    status: int
    out: str
    err: str


class Metaspace:
    """The live pair is on side yin. ``new`` is a second checkout, of master: code that writes a new field."""

    def __init__(self, processes: Processes, root: Path, search: Elasticsearch) -> None:
        self.processes = processes
        self.root = root
        checkout = root / "server/opt/dev/metaspace"
        self.data = Data(processes, root, checkout=checkout, datasets=DATASETS, search=search)
        self.git = GitWorld(root, chosen=scenario("es_required"), engine=self.data.variables)
        self.new = root / "new"
        self.dirty = False

    async def build(self) -> None:
        """Check both out, and fill the live pair."""
        await self.git.build_code()
        await output(["git", "clone", "-q", str(self.git.origin), str(self.new)])
        (self.new / ENGINE / "conf/config.json").write_text(self.configuration())
        await self.refill()

    async def refill(self) -> None:
        """Make the indices as they were at first, of the datasets that there are now."""
        self.data.set_pace()
        await self.data.search.clear()
        await self.data.fill()

    def configuration(self, **index: str) -> str:
        """Return the live configuration, with other index names where given."""
        raw = json.loads((self.git.checkout / ENGINE / "conf/config.json").read_text())
        raw["elasticsearch"] |= index
        return json.dumps(raw)

    def concrete(self, side: str) -> str:
        """Write a configuration that names the concrete indices of a side; return its path."""
        file = self.root / f"{side}.json"
        file.write_text(self.configuration(dataset_index=f"dataset-{side}", annotation_index=f"annotation-{side}"))
        return str(file)

    def ids_file(self, *ids: str) -> str:
        file = self.root / "ids.txt"
        file.write_text("".join(f"{one}\n" for one in ids))
        return str(file)

    async def run(self, script: str, *arguments: str, code: Path | None = None) -> Said:
        """Run one of METASPACE's scripts as a person would."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"scripts.{script}", *arguments),
            cwd=(code or self.git.checkout) / ENGINE,
            env=self.processes.environment({PACE: str(self.data.pace), "PYTHONDONTWRITEBYTECODE": "1"}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 120)
        return Said(process.returncode or 0, out.decode(), err.decode())

    async def start(self, module: str, *arguments: str, checkout: Path | None = None) -> Child:
        """Start one of the server's programs."""
        argv = [sys.executable, "-m", f"sandbox.programs.{module}", "--checkout", str(checkout or self.git.checkout)]
        return await self.processes.start(module, [*argv, *arguments])

    async def counts(self) -> list[int | None]:
        """Return the documents of the four indices, None for one that is not there."""
        await self.data.search.ask("POST", "/_refresh")
        found = [await self.data.search.ask("GET", f"/{name}/_count") for name in INDICES]
        return [one.get("count") for one in found]

    async def writes(self, index: str) -> int:
        """Return how many operations an index has taken: its highest sequence number."""
        stats = await self.data.search.ask("GET", f"/{index}/_stats?level=shards")
        shards = stats["indices"][index]["shards"].values()
        return sum(int(copies[0]["seq_no"]["max_seq_no"]) for copies in shards)

    async def pointing(self) -> dict[str, set[str]]:
        """Return which indices each alias points at."""
        found = await self.data.search.ask("GET", "/_alias")
        return {
            alias: {name for name, one in found.items() if alias in one["aliases"]}
            for alias in ("dataset", "annotation")
        }

    async def documents(self, index: str, ds_id: str) -> list[dict[str, Any]]:
        """Return one dataset's documents in an index or behind an alias."""
        await self.data.search.ask("POST", f"/{index}/_refresh")
        query = {"size": 1000, "query": {"term": {"ds_id": ds_id}}}
        found = await self.data.search.ask("POST", f"/{index}/_search", query)
        return [hit["_source"] for hit in found["hits"]["hits"]]
