"""The tables of people and of the questions to authors."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # SQLAlchemy reads the annotations
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from bot.engine.tables import Base


class LinkRow(Base):
    """Who an author is in Slack: somebody said so. ``identity`` is a GitHub login or a commit's e-mail, in small letters."""

    __tablename__ = "people_links"

    identity: Mapped[str] = mapped_column(String(320), primary_key=True)
    slack: Mapped[str] = mapped_column(String(64))
    by: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


class InquiryRow(Base):
    """A thread in which authors are asked. ``remind_at`` moves on by compare-and-set; empty: nobody is reminded any more."""

    __tablename__ = "inquiries"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    environment: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(64))
    thread: Mapped[str] = mapped_column(String(64), default="")  # of the review, by its ts; else the inquiry is its own
    asked_by: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]
    remind_at: Mapped[datetime | None] = mapped_column(index=True)
    reminded: Mapped[int] = mapped_column(default=0)


class AuthorQuestionRow(Base):
    """A question to one author. The first answer closes it: ``closed_at`` is set by compare-and-set."""

    __tablename__ = "author_questions"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    inquiry: Mapped[str] = mapped_column(ForeignKey("inquiries.id"), index=True)
    environment: Mapped[str] = mapped_column(String(64))
    identity: Mapped[str] = mapped_column(String(320), index=True)
    name: Mapped[str] = mapped_column(Text)
    slack: Mapped[str] = mapped_column(String(64), default="")
    paths: Mapped[list[Any]] = mapped_column(default=list)
    asked_by: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON, nullable=True)
    source: Mapped[str] = mapped_column(String(200), default="")  # the click that answered: taken once, told again


class AskedPullRow(Base):
    """A pull request is asked about once in an environment, however often a longer range has it again."""

    __tablename__ = "asked_pulls"

    environment: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    question: Mapped[str] = mapped_column(ForeignKey("author_questions.id"), index=True)
    title: Mapped[str] = mapped_column(Text)
