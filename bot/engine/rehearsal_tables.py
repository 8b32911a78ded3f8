"""The table of rehearsals, and what it says about a plan."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # SQLAlchemy reads the annotations
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from bot.domain.errors import WrongUse
from bot.domain.rehearsal import Rehearsal, RehearsalState, RehearsedStep, standing
from bot.domain.release import StepState
from bot.engine.tables import Base, BigId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.plan import Plan
    from bot.domain.rehearsal import Standing

_LOOKED_AT = 50  # rehearsals of an environment, the newest


class RehearsalRow(Base):
    """One rehearsal. ``owner`` is the process that has it, on ``host``; one that was not ``seen_at`` for long is gone.

    ``world`` is the embedded world's folder. ``told``: Slack's message says how it ended.
    """

    __tablename__ = "rehearsals"

    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    environment: Mapped[str] = mapped_column(String(64), index=True)
    release: Mapped[int | None] = mapped_column(BigInteger)
    by: Mapped[str] = mapped_column(String(64))
    again: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(16), index=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    head: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(64))
    checklist: Mapped[str] = mapped_column(String(200))
    fingerprint: Mapped[str] = mapped_column(String(64))
    binds: Mapped[dict[str, Any]]
    steps: Mapped[list[Any]]
    note: Mapped[str] = mapped_column(Text, default="")
    hint: Mapped[str] = mapped_column(Text, default="")
    permalink: Mapped[str] = mapped_column(Text, default="")
    world: Mapped[str] = mapped_column(Text, default="")
    host: Mapped[str] = mapped_column(String(200), default="")
    owner: Mapped[str] = mapped_column(String(64))
    seen_at: Mapped[datetime]
    stop_by: Mapped[str] = mapped_column(String(64), default="")
    told: Mapped[bool] = mapped_column(default=False)


def name_of(number: int) -> str:
    """Return "H3"."""
    return f"H{number}"


def number_of(rehearsal: str) -> int:
    """Return the number in "H3"; raises `WrongUse` for anything else."""
    digits = rehearsal[1:] if rehearsal[:1].upper() == "H" else ""
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 9:  # noqa: PLR2004  # fits every integer column
        raise WrongUse(f"There is no rehearsal {rehearsal[:40]!r}.", hint="/release rehearse")
    return int(digits)


def read(row: RehearsalRow) -> Rehearsal:
    """Read one."""
    return Rehearsal(
        id=name_of(row.number),
        environment=row.environment,
        by=row.by,
        started_at=row.started_at,
        head=row.head,
        version=row.version,
        checklist=row.checklist,
        fingerprint=row.fingerprint,
        state=RehearsalState(row.state),
        finished_at=row.finished_at,
        binds=row.binds,
        steps=tuple(RehearsedStep(**{**one, "state": StepState(one["state"])}) for one in row.steps),
        note=row.note,
        hint=row.hint,
        again=row.again,
        release=f"R{row.release}" if row.release else "",
        permalink=row.permalink,
    )


def steps_out(steps: Iterable[RehearsedStep]) -> list[Any]:
    """Write steps."""
    return [
        {"key": one.key, "title": one.title, "state": str(one.state), "seconds": one.seconds, "said": one.said}
        for one in steps
    ]


async def standing_of(session: AsyncSession, plan: Plan) -> Standing:
    """Return what the environment's rehearsals say about a plan."""
    query = select(RehearsalRow).where(RehearsalRow.environment == plan.environment)
    rows = await session.scalars(query.order_by(RehearsalRow.number.desc()).limit(_LOOKED_AT))
    return standing(plan, [read(row) for row in rows])
