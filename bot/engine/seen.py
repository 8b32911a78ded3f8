"""Failures of a step as they were seen before, and what ended each: read from the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from bot.domain.causes import PastFailure, ending
from bot.engine.tables import EventRow, ReleaseRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

FAILED = ("step.failed", "step.error")
_ENDINGS = ("release.retry", "release.skip", "release.abort", "release.roll_back")
_LOOKED_AT = 50  # failures; older ones say little about today's code
_AFTER = 60  # events behind a failure among which its ending stands


async def seen_before(session: AsyncSession, environment: str, key: str) -> tuple[PastFailure, ...]:
    """Return the newest failures of a step in an environment, the newest first."""
    query = (
        select(EventRow)
        .join(ReleaseRow, ReleaseRow.number == EventRow.release)
        .where(ReleaseRow.environment == environment, EventRow.step == key, EventRow.kind.in_(FAILED))
        .order_by(EventRow.id.desc())
        .limit(_LOOKED_AT)
    )
    failures = (await session.scalars(query)).all()
    return tuple([await _with_ending(session, one) for one in failures])


async def _with_ending(session: AsyncSession, failure: EventRow) -> PastFailure:
    query = select(EventRow).where(EventRow.release == failure.release, EventRow.id > failure.id)
    after = (await session.scalars(query.order_by(EventRow.id).limit(_AFTER))).all()
    said = next((one for one in after if one.kind in _ENDINGS), None)
    message = str(failure.data.get("message", ""))
    if said is None:
        return PastFailure(message, failure.at)
    what = ending(
        said.kind.removeprefix("release."),
        reason=str(said.data.get("reason", "")),
        seconds=(said.at - failure.at).total_seconds(),
        worked=_worked(after, failure.step, said),
    )
    return PastFailure(message, failure.at, what)


def _worked(after: Sequence[EventRow], key: str, said: EventRow) -> bool:
    """A retry worked if the step's next end is a good one."""
    ends = (one for one in after if one.id > said.id and one.step == key and one.kind in ("step.done", *FAILED))
    return next((one.kind == "step.done" for one in ends), False)
