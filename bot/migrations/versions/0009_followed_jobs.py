"""Jobs that outlive releases, and releases that take their environment's lock later."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.engine.tables import UtcTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("releases", sa.Column("waits", sa.Text(), nullable=False, server_default=""))
    op.add_column("lock_waits", sa.Column("release", sa.BigInteger(), nullable=True))
    op.create_index("ix_lock_waits_release", "lock_waits", ["release"], unique=False)
    op.create_table(
        "followed_jobs",
        sa.Column("id", _BIG, autoincrement=True, nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("release", _BIG, nullable=True),
        sa.Column("owner", sa.BigInteger(), nullable=True),
        sa.Column("step", sa.String(length=128), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("seen", sa.JSON(), nullable=True),
        sa.Column("seen_at", UtcTime(timezone=True), nullable=True),
        sa.Column("started_at", UtcTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.Column("exit_status", sa.Integer(), nullable=True),
        sa.Column("milestone", sa.Integer(), nullable=False),
        sa.Column("showed", sa.JSON(), nullable=False),
        sa.Column("stop_by", sa.String(length=64), nullable=False),
        sa.Column("stop_reason", sa.Text(), nullable=False),
        sa.Column("ask_workers", sa.Integer(), nullable=True),
        sa.Column("ask_by", sa.String(length=64), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("due_at", UtcTime(timezone=True), nullable=False),
        sa.Column("closed_at", UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["release"], ["releases.number"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("environment", "host", "name"),
    )
    with op.batch_alter_table("followed_jobs", schema=None) as batch_op:
        for name in ("name", "kind", "due_at"):
            batch_op.create_index(batch_op.f(f"ix_followed_jobs_{name}"), [name], unique=False)


def downgrade() -> None:
    op.drop_table("followed_jobs")
    op.drop_index("ix_lock_waits_release", "lock_waits")
    op.drop_column("lock_waits", "release")
    op.drop_column("releases", "waits")  # not by a batch: that would drop the whole table, to which others point
