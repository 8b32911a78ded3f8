"""The tables of changed plans: drafts of edits before a release exists, and plans exported as issues."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # SQLAlchemy reads the annotations
from typing import Any

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from bot.engine.tables import Base


class PlanDraftRow(Base):
    """Edits of a plan that nobody has started yet; they are made again on the plan that is started."""

    __tablename__ = "plan_drafts"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    environment: Mapped[str] = mapped_column(String(64))
    by: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    edits: Mapped[list[Any]] = mapped_column(default=list)


class IssueExportRow(Base):
    """A plan that is to be an issue on GitHub. ``due_at`` moves on by compare-and-set: of several replicas, one looks after it.

    ``tried_at``: an issue may have been made then, and is looked for before another one is. ``remarks``: what the bot says
    to a box that a person ticked, by the step's key. ``closed_at``: there is nothing more to write.
    """

    __tablename__ = "issue_exports"

    release: Mapped[int] = mapped_column(ForeignKey("releases.number"), primary_key=True, autoincrement=False)
    asked_by: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]
    tried_at: Mapped[datetime | None]
    issue: Mapped[int | None]
    url: Mapped[str] = mapped_column(Text, default="")
    remarks: Mapped[dict[str, Any]] = mapped_column(default=dict)
    problem: Mapped[str] = mapped_column(Text, default="")
    due_at: Mapped[datetime] = mapped_column(index=True)
    closed_at: Mapped[datetime | None]
