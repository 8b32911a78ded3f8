"""Requests on SQLite: a file of their own beside the database, so that an acknowledgement waits for no other writer.

SQLite lets one writer in at a time and has the others sleep and try again, which under a release's progress took tens of
milliseconds. Here each call is one statement, committed by itself and synced to disk, on one connection.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiosqlite
from sqlalchemy.engine import make_url

from bot.domain.errors import Unavailable
from bot.slack.envelope import Envelope
from bot.slack.store import HELD, KNOWN, SqlIntake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import timedelta

    from bot.engine.store import Store
    from bot.ports import Clock
    from bot.slack.intake import IntakeStore

_TABLE = (
    "CREATE TABLE IF NOT EXISTS intake (id TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, received REAL NOT NULL, "
    "finished REAL, tries INTEGER NOT NULL, holder TEXT NOT NULL)"
)
_TAKE = "INSERT INTO intake VALUES (?, ?, ?, ?, NULL, 1, ?) ON CONFLICT DO NOTHING"
_CLAIM = "UPDATE intake SET holder = ?, tries = tries + 1 WHERE finished IS NULL AND holder <> ? RETURNING id, kind, body, tries, received"
_FINISH = "UPDATE intake SET finished = ?, body = '{}' WHERE id = ?"
_FORGET = "DELETE FROM intake WHERE finished < ?"


@contextlib.asynccontextmanager
async def open_intake(url: str, store: Store, *, clock: Clock, held: timedelta = HELD) -> AsyncIterator[IntakeStore]:
    """Open where requests are kept, for a database of this URL; ``store`` must be open (it holds the lock file).

    ``held``: how long a request is one process's, where several share the database.
    """
    if not store.sqlite:
        yield SqlIntake(store, clock=clock, held=held)
        return
    path = f"{make_url(url).database}-requests"
    try:
        connection = await aiosqlite.connect(path, isolation_level=None)
    except aiosqlite.Error as error:
        raise Unavailable(f"Cannot open {path}: {error}.", hint="check database.url and the disk") from error
    try:
        for line in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA busy_timeout=1500", _TABLE):
            await connection.execute(line)
        yield FileIntake(connection, clock=clock)
    finally:
        await connection.close()


class FileIntake:
    """`bot.slack.intake.IntakeStore` in one SQLite file, which one process has to itself."""

    def __init__(self, connection: aiosqlite.Connection, *, clock: Clock) -> None:
        """``connection`` commits every statement by itself."""
        self._connection, self._clock, self._process = connection, clock, uuid4().hex

    async def take(self, envelope: Envelope) -> bool:
        """Store it; False when one of that id is there already."""
        body, now = json.dumps(dict(envelope.body)), self._clock.now().timestamp()
        return bool((await self._do(_TAKE, envelope.id, envelope.kind, body, now, self._process)).rowcount)

    async def claim(self) -> Sequence[tuple[Envelope, int]]:
        """Return what another process left unfinished, now this one's, oldest first."""
        await self._do(_FORGET, (self._clock.now() - KNOWN).timestamp())
        found = await (await self._do(_CLAIM, self._process, self._process)).fetchall()
        return [
            (Envelope(id=one[0], kind=one[1], body=json.loads(one[2])), one[3])
            for one in sorted(found, key=lambda r: r[4])
        ]

    async def finish(self, envelope_id: str) -> None:
        """Note that it was answered. What was asked is forgotten; the id stays, to know a repetition by."""
        await self._do(_FINISH, self._clock.now().timestamp(), envelope_id)

    async def hold(self) -> None:
        """Nothing to do: there is no other process."""

    async def _do(self, statement: str, *values: Any) -> aiosqlite.Cursor:
        try:
            return await self._connection.execute(statement, values)
        except (aiosqlite.Error, ValueError) as error:  # ValueError: the connection is closed
            raise Unavailable(
                f"The file of requests does not answer: {error}.", hint="make room on the bot's disk"
            ) from error
