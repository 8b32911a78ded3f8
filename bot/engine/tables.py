"""The tables. Rows that say what happened (events, decisions) are only ever added to; the others say how things stand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, DateTime, ForeignKey, Integer, String, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect


class UtcTime(TypeDecorator[datetime]):
    """An aware time, stored in UTC. A naive one is a bug, and refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # SQLAlchemy's signature
        """Refuse a time without a zone; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """SQLite keeps no zone: what it gives back is UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


BigId = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only in INTEGER primary keys


class Base(DeclarativeBase):
    """All tables of the bot."""

    type_annotation_map = {datetime: UtcTime, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012  # SQLAlchemy's own form


class ReleaseRow(Base):
    """One release. ``fence`` rises with every claim: a runner that holds an older one writes nothing more.

    ``waits``: why it does not have the environment's lock, which its next step needs.
    """

    __tablename__ = "releases"

    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    environment: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    plan: Mapped[dict[str, Any]]
    fingerprint: Mapped[str] = mapped_column(String(64))
    checklist: Mapped[str] = mapped_column(Text, default="")
    started_by: Mapped[str] = mapped_column(String(64))
    rolls_back: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(Text, default="")
    debts: Mapped[list[Any]] = mapped_column(default=list)
    waits: Mapped[str] = mapped_column(Text, default="")
    channel: Mapped[str] = mapped_column(String(64), default="")
    thread: Mapped[str] = mapped_column(String(64), default="")
    lease_owner: Mapped[str] = mapped_column(String(64), default="")
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, default=0)


class StepRow(Base):
    """One step of a release. ``in_effect``: its `run` was begun and nothing is known of its end."""

    __tablename__ = "steps"

    release: Mapped[int] = mapped_column(ForeignKey("releases.number"), primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    position: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(default=0)
    in_effect: Mapped[bool] = mapped_column(default=False)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    summary: Mapped[str] = mapped_column(Text, default="")
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    output: Mapped[dict[str, Any] | None] = mapped_column(JSON, nullable=True)
    progress: Mapped[str] = mapped_column(Text, default="")
    problem: Mapped[dict[str, Any] | None] = mapped_column(JSON, nullable=True)
    decided_by: Mapped[str] = mapped_column(String(64), default="")
    reason: Mapped[str] = mapped_column(Text, default="")


class QuestionRow(Base):
    """A question to people. The first answer closes it: ``closed_at`` is set by compare-and-set. ``engine``: not the step's own.

    One with ``purpose`` "approval" is closed by the runner once enough people have approved; ``void`` says what took its
    approvals away.
    """

    __tablename__ = "questions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    release: Mapped[int] = mapped_column(ForeignKey("releases.number"), index=True)
    step: Mapped[str] = mapped_column(String(128))
    attempt: Mapped[int]
    question: Mapped[dict[str, Any]]
    fingerprint: Mapped[str] = mapped_column(String(64))
    engine: Mapped[bool] = mapped_column(default=False)
    purpose: Mapped[str] = mapped_column(String(16), default="")
    void: Mapped[str] = mapped_column(Text, default="")
    reminded_at: Mapped[datetime | None]
    asked_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON, nullable=True)


class ApprovalRow(Base):
    """One person's yes as it stands: the decision behind it is kept for ever, this ends when it no longer counts.

    ``looked``: the runner has evaluated what it rests on since it was given.
    """

    __tablename__ = "approvals"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    release: Mapped[int] = mapped_column(ForeignKey("releases.number"), index=True)
    question: Mapped[str] = mapped_column(ForeignKey("questions.id"), index=True)
    by: Mapped[str] = mapped_column(String(64))
    voice: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    glass: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str] = mapped_column(Text, default="")
    looked: Mapped[bool] = mapped_column(default=False)
    ended_at: Mapped[datetime | None]
    ended_why: Mapped[str] = mapped_column(Text, default="")


class DelegationRow(Base):
    """Somebody lets somebody else approve in their stead for a while. ``roles``: those that they had when saying so."""

    __tablename__ = "delegations"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    of: Mapped[str] = mapped_column(String(64), index=True)
    to: Mapped[str] = mapped_column(String(64), index=True)
    roles: Mapped[list[Any]]
    since: Mapped[datetime]
    until: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text, default="")
    source: Mapped[str] = mapped_column(String(200), default="")


class DecisionRow(Base):
    """What a person said and what became of it; also what came too late."""

    __tablename__ = "decisions"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    release: Mapped[int] = mapped_column(ForeignKey("releases.number"), index=True)
    step: Mapped[str] = mapped_column(String(128), default="")
    question: Mapped[str] = mapped_column(String(32), default="")
    kind: Mapped[str] = mapped_column(String(16))
    by: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    value: Mapped[str] = mapped_column(Text, default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    form: Mapped[dict[str, Any] | None] = mapped_column(JSON, nullable=True)
    source: Mapped[str] = mapped_column(String(200), default="")
    effective: Mapped[bool] = mapped_column(default=True)


class EventRow(Base):
    """The append-only log, written by `bot.engine.audit.append` alone: chained by hash, and triggers refuse every change."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    release: Mapped[int | None] = mapped_column(BigInteger, index=True)
    step: Mapped[str] = mapped_column(String(128), default="")
    kind: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(64), default="")
    source: Mapped[str] = mapped_column(String(200), default="")
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class ChainRow(Base):
    """Number and hash of the newest event; whoever adds one locks this row."""

    __tablename__ = "chain"

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))


class LockRow(Base):
    """Who holds an environment. ``by_hand``: a person's own lock, which outlives the release that borrowed it."""

    __tablename__ = "locks"

    environment: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime]
    release: Mapped[int | None] = mapped_column(ForeignKey("releases.number"))
    by_hand: Mapped[bool] = mapped_column(default=False)


class FreezeRow(Base):
    """A window in which no release starts, or with ``thaw`` an exception to the settings' windows. ``ends`` moves when it is lifted."""

    __tablename__ = "freezes"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    environment: Mapped[str] = mapped_column(String(64), index=True)
    starts: Mapped[datetime]
    ends: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(64))
    thaw: Mapped[bool] = mapped_column(default=False)


class WatchRow(Base):
    """A span in which the site was watched during a release; ``until`` moves on with the probe."""

    __tablename__ = "watches"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    release: Mapped[int] = mapped_column(ForeignKey("releases.number"), index=True)
    began: Mapped[datetime]
    until: Mapped[datetime]


class OutageRow(Base):
    """The site was down from ``began`` to ``until``, as far as the probe saw; ``over`` once it was seen up again."""

    __tablename__ = "outages"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    release: Mapped[int] = mapped_column(ForeignKey("releases.number"), index=True)
    began: Mapped[datetime]
    until: Mapped[datetime]
    over: Mapped[bool] = mapped_column(default=False)
    detail: Mapped[str] = mapped_column(Text, default="")


class CursorRow(Base):
    """How far a reader of the log has read."""

    __tablename__ = "cursors"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, default=0)
