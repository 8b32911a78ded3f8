"""Looks at the site during a release, and keeps what it saw: spans that were watched, and outages."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from bot.engine import audit
from bot.engine.store import StoreUnavailable
from bot.engine.tables import OutageRow, WatchRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.world import Look
    from bot.engine.bell import Bell
    from bot.engine.store import Store
    from bot.ports import Clock, Site

_log = structlog.get_logger()
_KEEP = 2.0  # seconds between two notes that the site is still watched


class Watch:
    """The probe of one environment."""

    def __init__(self, store: Store, *, clock: Clock, interval: float, bell: Bell) -> None:
        """``interval``: seconds between two looks."""
        self._store, self._clock, self._interval, self._bell = store, clock, interval, bell

    @asynccontextmanager
    async def during(self, release: int, site: Site) -> AsyncIterator[None]:
        """Watch while the block runs."""
        task = asyncio.create_task(self._watch(release, site), name=f"watch-{release}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self, release: int, site: Site) -> None:
        seen = _Seen(release)
        while True:
            try:
                await self._note(seen, await site.look())
            except StoreUnavailable as error:
                _log.warning("probe_not_noted", why=error.message)
            except Exception:  # noqa: BLE001  # a bug of the probe's must not end the watch: the span then stays open
                _log.exception("probe_error")
            await self._clock.sleep(seconds=self._interval)

    async def _note(self, seen: _Seen, look: Look) -> None:
        """Write down what changes: the watched span now and then, an outage at its begin, while it lasts, and at its end."""
        now = self._clock.now()
        if look.ok and seen.outage is None and seen.noted and (now - seen.noted).total_seconds() < _KEEP:
            return
        async with self._store.writing() as session:
            await seen.keep_span(session, now)
            changed = await seen.keep_outage(session, look, now)
            if changed:
                kind = "probe.up" if look.ok else "probe.down"
                await audit.append(session, release=seen.release, kind=kind, at=now, data={"detail": look.detail})
        seen.noted = now
        if changed:
            self._bell.ring()


class _Seen:
    """What this watch has open in the database."""

    def __init__(self, release: int) -> None:
        self.release = release
        self.span: int | None = None
        self.outage: int | None = None
        self.noted: datetime | None = None

    async def keep_span(self, session: AsyncSession, now: datetime) -> None:
        """Begin or prolong the watched span."""
        row = await session.get(WatchRow, self.span) if self.span else None
        if row is None:
            row = WatchRow(release=self.release, began=now, until=now)
            session.add(row)
            await session.flush()
        row.until = now
        self.span = row.id

    async def keep_outage(self, session: AsyncSession, look: Look, now: datetime) -> bool:
        """Begin, prolong or end the outage; True when it began or ended."""
        row = await session.get(OutageRow, self.outage) if self.outage else None
        if look.ok:
            if row is None:
                return False
            row.until, row.over, self.outage = now, True, None
            return True
        if row is not None:
            row.until = now
            return False
        row = OutageRow(release=self.release, began=look.at, until=max(now, look.at), detail=look.detail[:500])
        session.add(row)
        await session.flush()
        self.outage = row.id
        return True
