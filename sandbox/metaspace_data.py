"""METASPACE's data: its database and the two pairs of search indices, filled and kept up by the miniature METASPACE's own code."""

from __future__ import annotations

import asyncio
import json
import sys
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Self

from sandbox import postgres
from sandbox.elasticsearch import Elasticsearch, demand
from sandbox.history import seed
from sandbox.people import People
from sandbox.postgres import DATABASE, PASSWORD, USER, Postgres
from sandbox.processes import output

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandbox.processes import Processes

PACE = "SM_SANDBOX_PACE"  # environment of the web server's sessions: see sm/engine/pace.py of the miniature METASPACE
_SCHEMA = "metaspace/engine/scripts/db_schema.sql"


class Data:
    """One METASPACE's data. Its configuration is rendered with `variables` before anything here runs its code.

    ``search`` is a server that runs already and stays; without it there is one of its own.
    """

    def __init__(
        self, processes: Processes, root: Path, *, checkout: Path, datasets: int, search: Elasticsearch | None = None
    ) -> None:
        self.search = search or Elasticsearch(processes, root / "elasticsearch")
        self._given = search is not None
        self.postgres = Postgres(processes, root / "postgres")
        self.people = People(self.postgres.url, checkout / "metaspace/graphql/health.json")
        self.pace = root / "pace.json"
        self.datasets = datasets
        self._processes = processes
        self._checkout = checkout
        self._graves: frozenset[str] = frozenset()

    @property
    def variables(self) -> Mapping[str, str]:
        """What the engine's configuration template asks for, by its names."""
        return {
            "sm_postgres_host": self.postgres.host,
            "sm_postgres_port": str(self.postgres.port),
            "sm_postgres_password": PASSWORD,
            "sm_es_host": self.search.host,
            "sm_es_port": str(self.search.port),
            "sm_es_user": self.search.user,
            "sm_es_password": self.search.password,
            "web_public_url": "http://127.0.0.1/",
        }

    async def __aenter__(self) -> Self:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._database())
            if not self._given:
                group.create_task(self.search.__aenter__())
        self._graves = frozenset(await self._tombstones())
        return self

    async def __aexit__(self, *error: object) -> None:
        if not self._given:
            await self.search.__aexit__(*error)
        await self.postgres.__aexit__(*error)

    async def fill(self) -> None:
        """Make the live pair and write every dataset's documents, with the code that is checked out on the server."""
        argv = [sys.executable, "-m", "sandbox.programs.fill", "--checkout", str(self._checkout)]
        await output(argv, env=self._processes.environment(), deadline=300)

    def set_pace(self, *, seconds: float = 0, failures: Mapping[str, int] | None = None) -> None:
        """Let METASPACE's script take so long for a dataset, and fail so often for those named (-1: always)."""
        fresh = self.pace.with_suffix(".set")
        fresh.write_text(json.dumps({"seconds": seconds, "failures": dict(failures or {})}), encoding="utf-8")
        fresh.replace(self.pace)

    async def done_to_indices(self) -> Mapping[str, int]:
        """Return how often each index was made and dropped, and changed its alias, since the world began, from Elasticsearch itself.

        Alias changes of an index that was dropped meanwhile are not known any more.
        """
        state = await self.search.ask("GET", "/_cluster/state/metadata")
        here: Mapping[str, Any] = state["metadata"]["indices"]
        dropped = [name for uuid, name in (await self._tombstones()).items() if uuid not in self._graves]
        found = {f"index {name} made": dropped.count(name) + (name in here) for name in {*here, *dropped}}
        found |= {f"index {name} dropped": dropped.count(name) for name in dropped}
        return found | {f"index {name} aliased": int(one["aliases_version"]) - 1 for name, one in here.items()}

    async def _tombstones(self) -> Mapping[str, str]:
        state = await self.search.ask("GET", "/_cluster/state/metadata")
        buried = state["metadata"]["index-graveyard"]["tombstones"]
        return {one["index"]["index_uuid"]: one["index"]["index_name"] for one in buried}

    async def _database(self) -> None:
        await self.postgres.__aenter__()
        rows = (files("sandbox") / "datasets.sql").read_text(encoding="utf-8")
        script = f"BEGIN;\n{seed()[_SCHEMA]}\n{rows}\nCOMMIT;\nANALYZE;\n"
        owner = ("-U", USER, "-d", DATABASE, "-v", f"datasets={self.datasets}", "-o", "/dev/null")
        await self.postgres.run(*owner, "-f", "-", script=script)


def demand_servers() -> None:
    """Name in one line what the machine lacks for METASPACE's data; raises `Unavailable`."""
    postgres.binaries()
    demand()
