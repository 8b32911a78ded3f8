"""The tables of what waits for its time: people for an environment, releases for their hour, reminders for the next one."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # SQLAlchemy reads the annotations
from typing import Any

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from bot.engine.tables import Base, BigId


class LockWaitRow(Base):
    """Somebody waits for an environment. ``ended`` is set by compare-and-set; ``shown`` is the state that Slack was given.

    ``open_key`` is unique while it has not ended: nobody waits twice for the same. ``release``: the one that waits, under the
    name of whoever started it.
    """

    __tablename__ = "lock_waits"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    environment: Mapped[str] = mapped_column(String(64), index=True)
    person: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
    claim_until: Mapped[datetime | None]
    ended: Mapped[str] = mapped_column(String(16), default="")
    ended_at: Mapped[datetime | None]
    open_key: Mapped[str | None] = mapped_column(String(160), unique=True)
    shown: Mapped[str] = mapped_column(String(16), default="")
    release: Mapped[int | None] = mapped_column(BigInteger, index=True)


class ScheduledRow(Base):
    """A release that begins at a time. ``state`` and ``at`` change by compare-and-set, in the transaction that starts it.

    ``changed`` counts its changes and ``shown`` those that Slack was given. ``claimed_until``: a replica is looking at it.
    """

    __tablename__ = "scheduled_starts"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    environment: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    at: Mapped[datetime]
    zone: Mapped[str] = mapped_column(String(64))
    request: Mapped[dict[str, Any]]
    plan: Mapped[dict[str, Any]]
    facts: Mapped[dict[str, Any]]
    by: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(64), default="")
    made_at: Mapped[datetime]
    remind_at: Mapped[datetime | None]
    soon: Mapped[int] = mapped_column(BigInteger, default=0)
    asked: Mapped[int] = mapped_column(default=0)
    why: Mapped[str] = mapped_column(Text, default="")
    decided_by: Mapped[str] = mapped_column(String(64), default="")
    release: Mapped[int | None] = mapped_column(BigInteger)
    changed: Mapped[int] = mapped_column(default=1)
    shown: Mapped[int] = mapped_column(default=0)
    claimed_until: Mapped[datetime | None]
    source: Mapped[str] = mapped_column(String(200), unique=True)


class ReminderRow(Base):
    """How often and when people were last reminded of something; moved on by compare-and-set."""

    __tablename__ = "reminders"

    subject: Mapped[str] = mapped_column(String(200), primary_key=True)
    times: Mapped[int] = mapped_column(default=0)
    last_at: Mapped[datetime]
