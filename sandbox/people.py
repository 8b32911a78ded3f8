"""METASPACE's own people, who go on working while somebody releases: they create, edit, hide and delete datasets.

What they do is in PostgreSQL at once, and in the queue of sm-update-daemon, which brings it into the live indices and nowhere else.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import asyncpg

from bot.domain.errors import NotAllowed, WrongUse
from sandbox.processes import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

_NOTICED = 60.0  # seconds for the daemon to bring something into the indices


class People:
    """Acts on the database at ``url``, as far as the switches in ``health`` (sm-graphql's file) let people."""

    def __init__(self, url: str, health: Path) -> None:
        self._url = url
        self._health = health
        self._numbers = count(100_001)

    async def ids(self, *, public: bool | None = None) -> list[str]:
        """Return the ids of all datasets, newest first; of the public or the private ones alone where asked."""
        query = "SELECT id FROM dataset WHERE $1::boolean IS NULL OR is_public = $1 ORDER BY id DESC"
        async with self._connected() as database:
            return [row["id"] for row in await database.fetch(query, public)]

    async def create(self, name: str, *, public: bool = True) -> str:
        """Submit a dataset and return its id. It is there once it is annotated: not while dataset processing is off."""
        self._demand_mutable()
        number = next(self._numbers)
        at = (datetime.now(UTC) + timedelta(seconds=number - 100_000)).replace(tzinfo=None, microsecond=0)
        ds_id = f"{at:%Y-%m-%d_%Hh%Mm%Ss}"
        body = {"name": name, "is_public": public, "at": at.isoformat(), "number": number}
        async with self._connected() as database:
            await _queue(database, "create", ds_id, body)
        return ds_id

    async def edit(self, ds_id: str, *, name: str) -> None:
        """Give a dataset another name. PostgreSQL keeps no trace of when."""
        await self._change(ds_id, "UPDATE dataset SET name = $2 WHERE id = $1", name, "name")

    async def describe(self, ds_id: str, *, metadata: Mapping[str, Any]) -> None:
        """Replace a dataset's metadata."""
        query = "UPDATE dataset SET metadata = $2::text::json WHERE id = $1"
        await self._change(ds_id, query, json.dumps(metadata), "metadata")

    async def show(self, ds_id: str, *, public: bool) -> None:
        """Make a dataset public or private."""
        await self._change(ds_id, "UPDATE dataset SET is_public = $2 WHERE id = $1", public, "is_public")

    async def delete(self, ds_id: str) -> None:
        """Delete a dataset with its annotations."""
        self._demand_mutable()
        async with self._connected() as database, database.transaction():
            _demand_one(ds_id, await database.execute("DELETE FROM dataset WHERE id = $1", ds_id))
            await _queue(database, "delete", ds_id, {})

    async def waiting(self) -> list[tuple[str, str]]:
        """Return what sm-update-daemon has not brought into the indices: (``create``, ``edit`` or ``delete``, dataset), oldest first."""
        async with self._connected() as database:
            rows = await database.fetch("SELECT action, ds_id FROM sandbox.work ORDER BY id")
        return [(row["action"], row["ds_id"]) for row in rows]

    async def noticed(self) -> None:
        """Wait until the live indices have heard of everything but datasets that may not be processed."""

        async def done() -> bool:
            return all(action == "create" for action, _ in await self.waiting()) and (
                not self._switch("canProcessDatasets") or not await self.waiting()
            )

        await until(done, what="sm-update-daemon's queue", deadline=_NOTICED)

    async def _change(self, ds_id: str, query: str, value: object, field: str) -> None:
        self._demand_mutable()
        async with self._connected() as database, database.transaction():
            _demand_one(ds_id, await database.execute(query, ds_id, value))
            await _queue(database, "edit", ds_id, {"fields": [field]})

    def _demand_mutable(self) -> None:
        if not self._switch("canMutate"):
            raise NotAllowed("METASPACE is in read-only mode.")

    def _switch(self, name: str) -> bool:
        try:
            return bool(json.loads(self._health.read_text(encoding="utf-8")).get(name, True))
        except FileNotFoundError:
            return True

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        database = await asyncpg.connect(self._url, ssl=False)
        try:
            yield database
        finally:
            await database.close()


async def _queue(database: Any, action: str, ds_id: str, body: Mapping[str, Any]) -> None:
    query = "INSERT INTO sandbox.work (action, ds_id, body) VALUES ($1, $2, $3::text::json)"
    await database.execute(query, action, ds_id, json.dumps(body))


def _demand_one(ds_id: str, said: str) -> None:
    if said.endswith(" 0"):
        raise WrongUse(f"There is no dataset {ds_id}.")
