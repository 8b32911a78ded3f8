"""The table of jobs on servers that are followed: each has a message in Slack until it has ended, however that was."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # SQLAlchemy reads the annotations
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bot.engine.tables import Base, BigId


class FollowedRow(Base):
    """A job that is followed. ``due_at`` moves on by compare-and-set: of several replicas, one looks after it.

    ``seen`` is the job's own ledger as it was last read, ``showed`` when its message was last edited and what that said.
    ``release``: in whose thread it is told; ``owner``: whose loose end it is, another one after a rollback. ``stop_by`` and
    ``ask_workers`` are what a person asked for, and what whoever looks after it carries out. ``closed_at``: its end was told.
    """

    __tablename__ = "followed_jobs"
    __table_args__ = (UniqueConstraint("environment", "host", "name"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    environment: Mapped[str] = mapped_column(String(64))
    host: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(100), index=True)
    kind: Mapped[str] = mapped_column(String(32), index=True)
    title: Mapped[str] = mapped_column(Text)
    release: Mapped[int | None] = mapped_column(ForeignKey("releases.number"))
    owner: Mapped[int | None] = mapped_column(BigInteger)
    step: Mapped[str] = mapped_column(String(128), default="")
    by: Mapped[str] = mapped_column(String(64), default="")
    made_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16))
    seen: Mapped[dict[str, Any] | None] = mapped_column(JSON, nullable=True)
    seen_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    exit_status: Mapped[int | None]
    milestone: Mapped[int] = mapped_column(default=0)
    showed: Mapped[dict[str, Any]] = mapped_column(default=dict)
    stop_by: Mapped[str] = mapped_column(String(64), default="")
    stop_reason: Mapped[str] = mapped_column(Text, default="")
    ask_workers: Mapped[int | None]
    ask_by: Mapped[str] = mapped_column(String(64), default="")
    problem: Mapped[str] = mapped_column(Text, default="")
    due_at: Mapped[datetime] = mapped_column(index=True)
    closed_at: Mapped[datetime | None]
