"""The queue for an environment, scheduled starts, reminders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.engine.tables import UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = ("reminders", "scheduled_starts", "lock_waits")


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "lock_waits",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("asked_at", UtcTime(timezone=True), nullable=False),
        sa.Column("told_at", UtcTime(timezone=True), nullable=True),
        sa.Column("claim_until", UtcTime(timezone=True), nullable=True),
        sa.Column("ended", sa.String(length=16), nullable=False),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.Column("open_key", sa.String(length=160), nullable=True),
        sa.Column("shown", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("open_key"),
    )
    op.create_index(op.f("ix_lock_waits_environment"), "lock_waits", ["environment"], unique=False)
    op.create_table(
        "scheduled_starts",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("remind_at", UtcTime(timezone=True), nullable=True),
        sa.Column("soon", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=False),
        sa.Column("release", sa.BigInteger(), nullable=True),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("shown", sa.Integer(), nullable=False),
        sa.Column("claimed_until", UtcTime(timezone=True), nullable=True),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("source"),
    )
    op.create_index(op.f("ix_scheduled_starts_environment"), "scheduled_starts", ["environment"], unique=False)
    op.create_index(op.f("ix_scheduled_starts_state"), "scheduled_starts", ["state"], unique=False)
    op.create_table(
        "reminders",
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("last_at", UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
