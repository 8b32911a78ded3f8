"""Approvals, delegations, rollbacks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.engine.tables import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rolls_back", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("questions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("purpose", sa.String(length=16), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("void", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("reminded_at", UtcTime(timezone=True), nullable=True))
    op.create_table(
        "approvals",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("release", big, nullable=False),
        sa.Column("question", sa.String(length=32), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("voice", sa.String(length=64), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.Column("glass", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("looked", sa.Boolean(), nullable=False),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.Column("ended_why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["release"], ["releases.number"]),
        sa.ForeignKeyConstraint(["question"], ["questions.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_approvals_release"), ["release"], unique=False)
        batch_op.create_index(batch_op.f("ix_approvals_question"), ["question"], unique=False)
    op.create_table(
        "delegations",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("of", sa.String(length=64), nullable=False),
        sa.Column("to", sa.String(length=64), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("since", UtcTime(timezone=True), nullable=False),
        sa.Column("until", UtcTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("delegations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_delegations_of"), ["of"], unique=False)
        batch_op.create_index(batch_op.f("ix_delegations_to"), ["to"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("delegations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_delegations_to"))
        batch_op.drop_index(batch_op.f("ix_delegations_of"))

    op.drop_table("delegations")
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_approvals_question"))
        batch_op.drop_index(batch_op.f("ix_approvals_release"))

    op.drop_table("approvals")
    # Column by column, never by making the table anew: other tables refer to its rows.
    for column in ("reminded_at", "void", "purpose"):
        op.drop_column("questions", column)
    op.drop_column("releases", "rolls_back")
