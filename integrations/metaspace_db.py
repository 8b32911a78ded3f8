"""METASPACE's PostgreSQL: which datasets its exporter would index, and with how many annotations. Reads, and nothing else.

What the exporter does was read in METASPACE's ``sm/engine/es_export.py`` (``reindex_ds``, ``ANNOTATIONS_SEL``): for each of the
molecular databases that the dataset's *configuration* names it makes a document of every annotation of the dataset's jobs with
that database, and with the first of them the dataset's own document. So annotations of a database that the configuration does
not name (any more) are not indexed, and a dataset whose configuration names none gets no document at all.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from bot.domain.errors import BadSettings, Unavailable
from bot.telemetry import scrub
from integrations.sshtunnel import LOOPBACK, Tunnel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence
    from datetime import date

    from bot.settings_search import MetaspaceDatabaseSettings
    from integrations.ssh import SshHost

_SLICE = 500  # datasets that one query counts: the annotations of all of them at once would outlive any deadline
_SLACK = 15.0  # seconds that our own deadline is longer than the server's, which says more
_CONNECT = 20.0  # seconds
_HINT = "are metaspace_database's settings right, and does PostgreSQL run on the web server?"
# The configuration's molecular databases, as jsonb whatever the column's type; only this part of it is read.
_DATABASES = "(d.config->'database_ids')::jsonb"
_NUMBER = f"CASE jsonb_typeof({_DATABASES}) WHEN 'array' THEN jsonb_array_length({_DATABASES}) ELSE 0 END"
# An id begins with its date. Compared byte by byte: the order of ids must not hang on the database's language.
_IDS = f"""SELECT d.id FROM dataset d
WHERE ($1::text IS NULL OR d.id COLLATE "C" >= $1::text) AND {_NUMBER} > 0
ORDER BY d.id COLLATE "C" DESC"""  # noqa: S608  # made of the constants above
_LEFT_OUT = f"""SELECT d.id FROM dataset d WHERE {_NUMBER} = 0 ORDER BY d.id COLLATE "C" DESC"""  # noqa: S608
_COUNTS = f"""SELECT d.id, count(a.id) FROM dataset d
LEFT JOIN job j ON j.ds_id = d.id AND {_DATABASES} @> to_jsonb(j.moldb_id)
LEFT JOIN annotation a ON a.job_id = j.id
WHERE d.id = ANY($1::text[]) AND {_NUMBER} > 0
GROUP BY d.id"""  # noqa: S608
_NUMBERS = f"SELECT d.id, {_NUMBER} FROM dataset d WHERE d.id = ANY($1::text[])"  # noqa: S608


class MetaspaceDatabase:
    """Implements `bot.search_ports.DatasetDatabase`.

    Every call has a connection of its own, through a tunnel over the SSH connection that the bot keeps, and one read-only
    transaction that sees the database as it was at its begin. A role that may only read is enough; one that may write is kept from it.
    """

    def __init__(self, ssh: SshHost, settings: MetaspaceDatabaseSettings) -> None:
        """``ssh`` is the web server, from which PostgreSQL is reached."""
        self._ssh, self._settings = ssh, settings
        self._tunnel = Tunnel(ssh, settings.host, settings.port)

    async def close(self) -> None:
        """Close the tunnel; the SSH connection stays."""
        await self._tunnel.close()

    async def dataset_ids(self, *, since: date | None = None) -> Sequence[str]:
        """Return the ids that the exporter would index, newest first; only those since a date where one is given.

        A dataset without molecular databases in its configuration is not among them (`without_databases`).
        """
        async with self._reading() as connection:
            return [row[0] for row in await connection.fetch(_IDS, since.isoformat() if since else None)]

    async def without_databases(self) -> Sequence[str]:
        """Return the ids of the datasets that the exporter gives no document, newest first.

        The live index may have one of theirs all the same: METASPACE writes it when a dataset is made or edited.
        """
        async with self._reading() as connection:
            return [row[0] for row in await connection.fetch(_LEFT_OUT)]

    async def annotation_counts(self, *, datasets: Collection[str] = ()) -> Mapping[str, int]:
        """Return how many annotation documents the exporter makes for each dataset that it indexes, zero included.

        All such datasets when none is named; a dataset that is not there, or not indexed, is left out.
        """
        async with self._reading() as connection:
            wanted = list(datasets) or [row[0] for row in await connection.fetch(_IDS, None)]
            return await _mapping(connection, _COUNTS, wanted)

    async def databases_of(self, *, datasets: Collection[str]) -> Mapping[str, int]:
        """Return how many molecular databases each dataset's configuration names; unknown datasets are left out."""
        async with self._reading() as connection:
            return await _mapping(connection, _NUMBERS, list(datasets))

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[asyncpg.Connection]:
        """Give a connection in a read-only transaction; raises `Unavailable`, `BadSettings`."""
        where, port = self._settings, await self._tunnel.port()
        try:
            connection = await asyncpg.connect(
                host=LOOPBACK,
                port=port,
                database=where.name,
                user=where.user,
                password=where.password.get_secret_value(),  # never None: nobody's own .pgpass is to fill it in
                ssl="prefer",  # it travels inside SSH as far as the web server, and perhaps further
                timeout=_CONNECT,
                command_timeout=where.timeout + _SLACK,
                server_settings={
                    "application_name": "releasebot",
                    "default_transaction_read_only": "on",
                    "statement_timeout": str(int(where.timeout * 1000)),
                    "lock_timeout": "5000",
                    "idle_in_transaction_session_timeout": "120000",
                },
            )
            try:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    yield connection
            finally:
                await connection.close(timeout=5)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Unavailable | BadSettings:
        where = f"METASPACE's database {self._settings.name} on {self._ssh.name}"
        said = scrub(str(error).strip()) or type(error).__name__
        if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError | asyncpg.InvalidCatalogNameError):
            return BadSettings(f"{where} does not let us in: {said}", hint=_HINT)
        if isinstance(error, asyncpg.UndefinedTableError | asyncpg.UndefinedColumnError):
            return BadSettings(f"{where} is not as METASPACE makes it: {said}", hint=_HINT)
        if isinstance(error, asyncpg.QueryCanceledError | TimeoutError):
            hint = "try again when it is less busy, or raise metaspace_database.timeout"
            return Unavailable(f"{where} did not answer within {self._settings.timeout:.0f} s.", hint=hint)
        return Unavailable(f"{where} cannot be read: {said}", hint=_HINT)


async def _mapping(connection: asyncpg.Connection, query: str, datasets: Sequence[str]) -> Mapping[str, int]:
    """Ask a query about some datasets at a time, and return what it says of each."""
    found: dict[str, int] = {}
    for start in range(0, len(datasets), _SLICE):
        rows: Sequence[Any] = await connection.fetch(query, datasets[start : start + _SLICE])
        found.update((row[0], row[1]) for row in rows)
    return found
