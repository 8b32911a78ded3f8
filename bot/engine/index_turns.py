"""How a deed on search indices is carried out: who may, what must be so right before, the effect, and the note of it."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from bot import permit
from bot.domain.errors import Conflict, Held, Refused, Unavailable
from bot.domain.index_report import Deed, demand_same, demand_second, release_of
from bot.domain.layout import repair_actions
from bot.domain.release import FINISHED, ReleaseState
from bot.engine import failpoints
from bot.engine.index_guards import failing
from bot.engine.index_jobs import OWN, demand_none_runs, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from bot.domain.index_report import Standing, Wish
    from bot.domain.readmodel import LockView, Person, ReleaseView
    from bot.engine.index_guards import Guard
    from bot.engine.index_jobs import IndexArea
    from bot.ports import Clock

WHERE, BEGUN = "es", "indices.begun"
_PAIRS = "create_inactive"  # the step of a plan that works with both pairs


class Environments(Protocol):
    """Releases and locks (`bot.engine.desk.Desk`)."""

    async def active(self) -> Sequence[ReleaseView]: ...  # noqa: D102  # the desk's own
    async def release(self, release: str, /) -> ReleaseView: ...  # noqa: D102
    async def lock_of(self, environment: str, /) -> LockView | None: ...  # noqa: D102
    async def lock(self, environment: str, /, *, by: Person, reason: str, source: str = "") -> LockView: ...  # noqa: D102
    async def unlock(self, environment: str, /, *, by: Person, source: str = "") -> None: ...  # noqa: D102


class Log(Protocol):
    """Where deeds are noted (`bot.engine.index_log.IndexLog`)."""

    async def note(self, kind: str, *, by: str, source: str, data: Mapping[str, Any]) -> bool:
        """Add an event unless this request has it already."""

    async def has(self, kind: str, *, source: str) -> bool:
        """Tell whether this request has an event of that kind."""


class InTime:
    """Lets an effect go on for about its own deadline: a process that slept meanwhile sends nothing more."""

    def __init__(self, clock: Clock) -> None:
        """``clock`` goes on while the process does not."""
        self._clock = clock

    @asynccontextmanager
    async def outliving(self, seconds: float, /) -> AsyncIterator[None]:
        """Bound what is sent in the block."""
        ends = self._clock.monotonic() + 2 * seconds  # whoever asks leaves room for the effect itself

        def in_time(outliving: float = 0.0, /) -> None:
            if self._clock.monotonic() + outliving > ends:
                raise Unavailable("That took too long, so it was not sent.", hint="/release es status")

        with permit.under(in_time):
            yield


class Turns:
    """Carries deeds out, one request at a time in an environment: who has its lock goes first."""

    def __init__(
        self,
        desk: Environments,
        log: Log,
        clock: Clock,
        standing: Callable[[IndexArea], Awaitable[Standing]],
    ) -> None:
        """``standing`` looks at both pairs."""
        self._desk, self._log, self._clock, self._standing = desk, log, clock, standing

    async def demand_may(self, area: IndexArea, wish: Wish, standing: Standing, *, by: str) -> None:
        """Raise `Held` or `Conflict` where a release, a lock of neither person's, or a job is in the way."""
        await self._demand_free(wish, {wish.asked_by, by})
        if wish.deed is Deed.DROP:
            await self._demand_unneeded(area, wish, standing)
        elif wish.deed is not Deed.REPAIR:
            demand_none_runs(area, await running(area), what="the aliases are not moved under it")

    async def carry_out(
        self, area: IndexArea, wish: Wish, *, by: Person, source: str, guards: Callable[[], Awaitable[list[Guard]]]
    ) -> str:
        """Look again, do it, read back, note it. What was done already is said, and done no more."""
        try:
            demand_second(wish, by, now=self._clock.now())
            if self._is_done(wish, await self._standing(area)):
                return await self._done(wish, by, source, already=True)
            await self._lock(wish, by, source)
            await self._make(area, wish, by, source, guards)
        finally:
            await self._unlock(wish, by, source)
        return await self._done(wish, by, source, already=False)

    async def _make(
        self, area: IndexArea, wish: Wish, by: Person, source: str, guards: Callable[[], Awaitable[list[Guard]]]
    ) -> None:
        await self.demand_may(area, wish, await self._standing(area), by=by.slack)
        if wish.deed in (Deed.SWAP, Deed.SWAP_BACK):
            _demand_all(await guards())
        standing = await self._standing(area)  # the guards may have taken minutes
        _demand_as_shown(wish, standing)
        await self._log.note(BEGUN, by=by.slack, source=source, data=_facts(wish))
        failpoints.reach("before_effect", WHERE)
        try:
            await self._do(area, wish, standing)
        except Unavailable:
            if not self._is_done(wish, await self._standing(area)):  # the answer was lost, perhaps not the request
                raise
        failpoints.reach("after_effect", WHERE)
        if not self._is_done(wish, await self._standing(area)):
            raise Unavailable(
                f"The {wish.deed} was sent, and what stands there now is something else.",
                hint="/release es status",
                changed="Not known: look at the status.",
            )

    async def _do(self, area: IndexArea, wish: Wish, standing: Standing) -> None:
        if wish.deed is Deed.DROP:
            found = standing.candidate(wish.side)
            for place in await area.reindexing.workplaces():
                if place.pair == found.pair and place.release.startswith(OWN):
                    await area.reindexing.remove_workplace(release=place.release)
            for one in found.indices:
                if one is not None:
                    await area.indices.drop(index=one.name, uuid=one.uuid)
        else:
            await area.indices.change_aliases(actions=repair_actions(standing.seen, wish.side))

    @staticmethod
    def _is_done(wish: Wish, standing: Standing) -> bool:
        found = standing.candidate(wish.side)
        if wish.deed is Deed.DROP:
            return not any(found.indices)
        return standing.live is wish.side and found.uuids == wish.uuids

    async def _done(self, wish: Wish, by: Person, source: str, *, already: bool) -> str:
        """Note it once, and say so. A request that finds it done, and had begun, died before the note."""
        if not already or await self._log.has(BEGUN, source=source):
            kind = {Deed.DROP: "dropped", Deed.REPAIR: "repaired"}.get(wish.deed, "swapped")
            await self._log.note(f"indices.{kind}", by=by.slack, source=source, data=_facts(wish))
        failpoints.reach("after_write", WHERE)
        what = "is dropped" if wish.deed is Deed.DROP else "is live"
        return f"{wish.side} {what}{' already' if already else ''} on {wish.environment}."

    async def _lock(self, wish: Wish, by: Person, source: str) -> None:
        """Take the environment's lock where it is free, so that nothing begins there meanwhile; another's is used or refused later."""
        if await self._desk.lock_of(wish.environment) is None:
            await self._desk.lock(wish.environment, by=by, reason=_reason(wish, source), source=source)

    async def _unlock(self, wish: Wish, by: Person, source: str) -> None:
        """Give back the lock that this very request took, also before the bot was restarted; no other."""
        held = await self._desk.lock_of(wish.environment)
        if held is not None and not held.release and (held.owner, held.reason) == (by.slack, _reason(wish, source)):
            with suppress(Conflict):  # the same request, carried out by another replica as well, has just given it back
                await self._desk.unlock(wish.environment, by=by, source=source)

    async def _demand_free(self, wish: Wish, persons: set[str]) -> None:
        held = await self._desk.lock_of(wish.environment)
        if held is None or (not held.release and held.owner in persons):
            return
        if held.release and wish.deed is Deed.REPAIR:
            stands = (await self._desk.release(held.release)).state is not ReleaseState.RUNNING
            if stands:
                return  # it stands still: perhaps because of this very thing
        who = f"{held.release} holds it" if held.release else f"<@{held.owner}> has locked it: {held.reason}"
        raise Held(
            f"{wish.environment} is not free for a {wish.deed}: {who}.",
            environment=wish.environment,
            hint="/release status",
            changed="Nothing.",
        )

    async def _demand_unneeded(self, area: IndexArea, wish: Wish, standing: Standing) -> None:
        """Raise `Conflict` while a job writes to the pair (or may, for all that is known), or an open release needs it."""
        found = standing.candidate(wish.side)
        writing = [one for one in await running(area) if one.may_write(found.pair)]
        demand_none_runs(area, writing, what="what it writes to is not dropped under it")
        places = {one.release for one in await area.reindexing.workplaces() if one.pair == found.pair}
        makers = {release_of(one.made_by) for one in found.indices if one is not None}
        for one in await self._desk.active():
            mine = one.environment == wish.environment and one.state not in FINISHED
            if mine and (one.id in places | makers or any(step.step == _PAIRS for step in one.plan.steps)):
                raise Conflict(
                    f"{one.id} ({one.plan.strategy}) is open and needs {found.pair.dataset}; nothing was dropped.",
                    hint=f"/release status, or /release abort {one.id} REASON first",
                )


def _reason(wish: Wish, source: str) -> str:
    return f"es {wish.deed} ({source.partition(' ')[0]})"[:200]


def _facts(wish: Wish) -> dict[str, object]:
    """Return what the log keeps of a deed."""
    return {
        "environment": wish.environment,
        "deed": str(wish.deed),
        "side": str(wish.side),
        "uuids": list(wish.uuids),
        "asked_by": wish.asked_by,
        "exceptions": list(wish.exceptions),
        "ignored": list(wish.ignored),
    }


def _demand_all(found: Sequence[Guard]) -> None:
    if wrong := failing(found):
        more = f" And {len(wrong) - 1} more." if wrong[1:] else ""
        raise Refused(
            f"Not so any more: {wrong[0].name.lower()} – {wrong[0].evidence}.{more}",
            hint="/release es compare",
            changed="Nothing.",
        )


def _demand_as_shown(wish: Wish, standing: Standing) -> None:
    found = standing.candidate(wish.side)
    if wish.deed is Deed.DROP:
        if standing.live is None or standing.live is wish.side:
            raise Refused(
                f"{wish.side} is not the inactive pair; it is not dropped. {standing.fault}".strip(),
                hint="/release es status",
                changed="Nothing.",
            )
        shown = zip(found.uuids, wish.uuids, strict=True)
        if all(now in ("", then) for now, then in shown):  # one of the two may be gone: an earlier try dropped it
            return
    elif wish.deed is not Deed.REPAIR and standing.live is not wish.side.other:
        raise Conflict(
            f"The aliases have changed since you were shown them; nothing was done. {standing.fault}".strip(),
            hint="/release es status",
        )
    demand_same(wish, found)
