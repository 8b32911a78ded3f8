"""Plans changed for one release, and exported as issues."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.engine.tables import UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plan_drafts",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.Column("edits", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "issue_exports",
        sa.Column("release", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", UtcTime(timezone=True), nullable=False),
        sa.Column("tried_at", UtcTime(timezone=True), nullable=True),
        sa.Column("issue", sa.Integer(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("remarks", sa.JSON(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("due_at", UtcTime(timezone=True), nullable=False),
        sa.Column("closed_at", UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["release"], ["releases.number"]),
        sa.PrimaryKeyConstraint("release"),
    )
    with op.batch_alter_table("issue_exports", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_issue_exports_due_at"), ["due_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_issue_exports_due_at", table_name="issue_exports")
    op.drop_table("issue_exports")
    op.drop_table("plan_drafts")
