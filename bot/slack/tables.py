"""The tables of requests taken and messages wanted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Column, DateTime, Dialect, Integer, MetaData, String, Table, Text
from sqlalchemy.types import JSON, TypeDecorator

metadata = MetaData()


class Utc(TypeDecorator[datetime]):
    """A point in time, kept and given back in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002  # SQLAlchemy's signature
        """Store UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return UTC."""
        return None if value is None else (value if value.tzinfo else value.replace(tzinfo=UTC))


intake = Table(
    "intake",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("body", JSON, nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("finished_at", Utc),
    Column("tries", Integer, nullable=False),
    Column("holder", String(40), nullable=False),
    Column("held_until", Utc, nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("channel", String(40), nullable=False),
    Column("thread_key", String(200), nullable=False),
    Column("thread", String(40), nullable=False),
    Column("text", Text, nullable=False),
    Column("blocks", JSON, nullable=False),
    Column("broadcast", Boolean, nullable=False),
    Column("final", Boolean, nullable=False),
    Column("file", JSON),
    Column("wanted", Integer, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("ts", String(40), nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("intended_at", Utc),
    Column("error", Text, nullable=False),
    Column("holder", String(40), nullable=False),
    Column("held_until", Utc),
)
