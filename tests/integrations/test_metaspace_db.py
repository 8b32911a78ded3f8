"""`integrations.metaspace_db` on a real PostgreSQL, through real OpenSSH."""

from __future__ import annotations

import json
import uuid
from datetime import date
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from bot.domain.errors import BadSettings, Unavailable
from bot.settings_search import MetaspaceDatabaseSettings
from integrations.metaspace_db import MetaspaceDatabase
from sandbox.processes import free_port
from tests.engine.postgres import running_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from integrations.ssh import SshHost
    from tests.engine.postgres import Cluster

# What the queries read, with the types that METASPACE's engine/scripts/db_schema.sql gives it.
_SCHEMA = """
CREATE TABLE dataset (id text PRIMARY KEY, name text, config json, status text, is_public boolean NOT NULL DEFAULT true);
CREATE TABLE job (id serial PRIMARY KEY, moldb_id integer NOT NULL, ds_id text, status text);
CREATE TABLE annotation (id serial PRIMARY KEY, job_id integer NOT NULL, formula text NOT NULL);
CREATE INDEX annotation_job_id_index ON annotation (job_id);
"""
NEW, MIDDLE, OLD = "2026-03-02_10h00m00s", "2025-07-01_10h00m00s", "2016-09-21_16h06m55s"
PASSWORD = "of-the-tests-own"
BARE, EMPTY, NULL = "2024-01-01_00h00m00s", "2024-01-02_00h00m00s", "2024-01-03_00h00m00s"


@pytest.fixture(scope="module")
def listening() -> Iterator[tuple[Cluster, int]]:
    """A PostgreSQL that listens on a port, as METASPACE's does."""
    port = free_port()
    with running_cluster() as cluster:
        cluster.stop()
        cluster.start(port=port)
        cluster.execute(f"ALTER USER bot PASSWORD '{PASSWORD}'", port=port)  # which only the port asks for
        yield cluster, port


@pytest.fixture
async def world(listening: tuple[Cluster, int]) -> AsyncIterator[tuple[asyncpg.Connection, dict[str, Any]]]:
    """METASPACE's tables with a few datasets, the connection of whoever changes them, and our settings."""
    _, port = listening
    at = {"host": "127.0.0.1", "port": port, "user": "bot", "password": PASSWORD}
    name = f"sm_{uuid.uuid4().hex[:8]}"
    maker = await asyncpg.connect(**at, database="postgres")
    await maker.execute(f"CREATE DATABASE {name}")
    await maker.close()
    writer = await asyncpg.connect(**at, database=name)
    await writer.execute(_SCHEMA)
    for dataset, config in (
        (OLD, {"database_ids": [1]}),
        (NEW, {"database_ids": [1, 22, 22]}),
        (MIDDLE, {"database_ids": [22]}),
        (BARE, {}),
        (EMPTY, {"database_ids": []}),
        (NULL, {"database_ids": None}),
    ):
        await writer.execute(
            "INSERT INTO dataset VALUES ($1, $2, $3, 'FINISHED')", dataset, f"a'{dataset}", json.dumps(config)
        )
    for job, (dataset, moldb, number) in enumerate(
        ((NEW, 1, 3), (NEW, 22, 4), (NEW, 7, 5), (OLD, 1, 2), (BARE, 1, 6), (EMPTY, 1, 1)), start=1
    ):
        await writer.execute("INSERT INTO job VALUES ($1, $2, $3, 'FINISHED')", job, moldb, dataset)
        for one in range(number):
            await writer.execute("INSERT INTO annotation (job_id, formula) VALUES ($1, $2)", job, f"C{one}")
    yield writer, {**at, "name": name}
    await writer.close()


def reader(host: SshHost, settings: dict[str, Any], **changes: object) -> MetaspaceDatabase:
    return MetaspaceDatabase(host, MetaspaceDatabaseSettings.model_validate({**settings, **changes}))


async def test_the_ids_are_those_that_the_exporter_indexes_newest_first(host: SshHost, world: Any) -> None:
    database = reader(host, world[1])
    assert await database.dataset_ids() == [NEW, MIDDLE, OLD]
    assert await database.dataset_ids(since=date(2025, 7, 1)) == [NEW, MIDDLE]
    assert await database.dataset_ids(since=date(2025, 7, 2)) == [NEW]
    assert await database.without_databases() == [NULL, EMPTY, BARE]


async def test_annotations_count_only_for_the_databases_that_the_configuration_names(host: SshHost, world: Any) -> None:
    database = reader(host, world[1])
    assert await database.annotation_counts() == {NEW: 7, MIDDLE: 0, OLD: 2}
    assert await database.annotation_counts(datasets=[OLD, BARE, "not there"]) == {OLD: 2}
    assert await database.databases_of(datasets=[NEW, EMPTY, "not there"]) == {NEW: 3, EMPTY: 0}


async def test_many_datasets_are_counted_some_at_a_time(host: SshHost, world: Any) -> None:
    await world[0].execute(
        """INSERT INTO dataset SELECT 'x' || n, 'x', '{"database_ids": [1]}', 'FINISHED' FROM generate_series(1, 1203) n"""
    )
    counts = await reader(host, world[1]).annotation_counts()
    assert len(counts) == 1206
    assert counts["x1203"] == 0


@pytest.mark.parametrize("words", ["'; DROP TABLE dataset; --", "$1", "\\", '{"a"}', "ä,b"])
async def test_no_id_becomes_part_of_a_query(host: SshHost, world: Any, words: str) -> None:
    database = reader(host, world[1])
    await world[0].execute("INSERT INTO dataset VALUES ($1, '', '{\"database_ids\": [1, 2]}')", words)
    assert await database.databases_of(datasets=[words]) == {words: 2}
    assert await database.annotation_counts(datasets=[words]) == {words: 0}


async def test_nothing_can_be_written(host: SshHost, world: Any) -> None:
    database = reader(host, world[1])
    with pytest.raises(Unavailable, match="read-only transaction"):
        async with database._reading() as connection:
            await connection.execute("DELETE FROM dataset")
    with pytest.raises(Unavailable, match="read-write"):
        async with database._reading() as connection:
            await connection.execute("SELECT 1; SET TRANSACTION READ WRITE")
    assert await database.dataset_ids() == [NEW, MIDDLE, OLD]


async def test_a_lost_connection_and_a_closed_tunnel_are_made_anew(host: SshHost, world: Any) -> None:
    database = reader(host, world[1])
    assert len(await database.dataset_ids()) == 3
    connection = await host.connection()
    connection.abort()
    await connection.wait_closed()
    assert len(await database.dataset_ids()) == 3
    await database.close()
    assert len(await database.dataset_ids()) == 3


async def test_what_is_wrong_is_said(host: SshHost, world: Any, tmp_path: Any) -> None:
    writer, settings = world
    async with writer.transaction():
        await writer.execute("LOCK TABLE dataset")
        with pytest.raises(Unavailable, match="did not answer within 1 s"):
            await reader(host, settings, timeout=1).dataset_ids()
    with pytest.raises(BadSettings, match="does not let us in"):
        await reader(host, settings, name="nothing").dataset_ids()
    with pytest.raises(BadSettings, match="does not let us in"):
        await reader(host, settings, user="nobody").dataset_ids()
    with pytest.raises(BadSettings, match="is not as METASPACE makes it"):
        await reader(host, settings, name="postgres").dataset_ids()
    with pytest.raises(Unavailable, match="cannot be read"):
        await reader(host, settings, port=free_port()).dataset_ids()
