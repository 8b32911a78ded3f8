"""People and questions to authors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.engine.tables import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "people_links",
        sa.Column("identity", sa.String(length=320), nullable=False),
        sa.Column("slack", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("identity"),
    )
    op.create_table(
        "inquiries",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("thread", sa.String(length=64), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", UtcTime(timezone=True), nullable=False),
        sa.Column("remind_at", UtcTime(timezone=True), nullable=True),
        sa.Column("reminded", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("inquiries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_inquiries_remind_at"), ["remind_at"], unique=False)

    op.create_table(
        "author_questions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("inquiry", sa.String(length=40), nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("identity", sa.String(length=320), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slack", sa.String(length=64), nullable=False),
        sa.Column("paths", sa.JSON(), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", UtcTime(timezone=True), nullable=False),
        sa.Column("closed_at", UtcTime(timezone=True), nullable=True),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["inquiry"], ["inquiries.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("author_questions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_author_questions_identity"), ["identity"], unique=False)
        batch_op.create_index(batch_op.f("ix_author_questions_inquiry"), ["inquiry"], unique=False)

    op.create_table(
        "asked_pulls",
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("question", sa.String(length=40), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["question"], ["author_questions.id"]),
        sa.PrimaryKeyConstraint("environment", "number"),
    )
    with op.batch_alter_table("asked_pulls", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_asked_pulls_question"), ["question"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("asked_pulls", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_asked_pulls_question"))

    op.drop_table("asked_pulls")
    with op.batch_alter_table("author_questions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_author_questions_inquiry"))
        batch_op.drop_index(batch_op.f("ix_author_questions_identity"))

    op.drop_table("author_questions")
    with op.batch_alter_table("inquiries", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_inquiries_remind_at"))

    op.drop_table("inquiries")
    op.drop_table("people_links")
