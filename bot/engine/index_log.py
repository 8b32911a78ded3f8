"""What was done with search indices, in the log of events: who, what, asked by which message; each request once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from bot.engine import audit
from bot.engine.tables import EventRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.engine.store import Store
    from bot.ports import Clock


class IndexLog:
    """Writes events of no release. Raises `bot.engine.store.StoreUnavailable`."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        """``store`` must be open."""
        self._store, self._clock = store, clock

    async def note(self, kind: str, *, by: str, source: str, data: Mapping[str, Any]) -> bool:
        """Add an event unless this request has it already; tell whether it was added."""
        async with self._store.writing() as session:
            await audit.turn(session)  # of two at once, the second sees what the first wrote
            if await session.scalar(_same(kind, source)) is not None:
                return False
            await audit.append(session, release=None, kind=kind, at=self._clock.now(), by=by, source=source, data=data)
            return True

    async def has(self, kind: str, *, source: str) -> bool:
        """Tell whether this request has an event of that kind."""
        async with self._store.reading() as session:
            return await session.scalar(_same(kind, source)) is not None


def _same(kind: str, source: str) -> Any:
    return select(EventRow.id).where(EventRow.kind == kind, EventRow.source == source).limit(1)
