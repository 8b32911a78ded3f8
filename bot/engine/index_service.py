"""The search indices of every environment, as commands ask for them (`bot.engine.index_office`).

A deed runs outside of the click's transaction, in the request that the intake keeps until it has ended: a bot that dies in the
middle begins it again. That is harmless, for each effect is conditional in the world itself: aliases are removed with
``must_exist``, an index is dropped by its uuid and created only where it is not there. What was done is noted once for each request.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.errors import Conflict, Refused, ReleaseError, WrongUse
from bot.domain.index_report import (
    Candidate,
    Compared,
    Deed,
    Standing,
    Wish,
    demand_room,
    mark_of,
)
from bot.domain.indices import Side
from bot.domain.layout import Sound, layout
from bot.engine import index_probe
from bot.engine.guard import guarded
from bot.engine.index_guards import guards
from bot.engine.index_jobs import IndexJobs, failures, running, workplace_of
from bot.engine.index_looks import Look, compared
from bot.engine.index_turns import InTime, Turns

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bot.domain.index_report import RunningJob, Selection, Started
    from bot.domain.indices import Pair
    from bot.domain.readmodel import Person
    from bot.domain.reindexing import Target
    from bot.engine.index_guards import Guard
    from bot.engine.index_jobs import Follower, IndexArea
    from bot.engine.index_office import Tell
    from bot.engine.index_turns import Environments, Log
    from bot.ports import Clock


class IndexService:
    """`bot.engine.index_office.IndexOffice` over the ports of every environment."""

    def __init__(
        self,
        areas: Mapping[str, IndexArea],
        *,
        desk: Environments,
        log: Log,
        clock: Clock,
        follower: Follower | None = None,
    ) -> None:
        """``desk`` knows releases and locks; ``follower`` tells people how jobs go."""
        bounded = InTime(clock)
        self._areas = {name: replace(one, ports=guarded(one.ports, bounded)) for name, one in areas.items()}
        self._clock, self._jobs, self._log = clock, IndexJobs(follower), log
        self._turns = Turns(desk, log, clock, self._standing)

    async def status(self, environment: str) -> Standing:
        """Return both pairs and the jobs; one that cannot be asked of is said, not raised."""
        area, problem = self._area(environment), ""
        jobs: tuple[RunningJob, ...] = ()
        try:
            jobs = await running(area)
        except ReleaseError as error:
            problem = error.message
        return await self._standing(area, jobs, problem)

    async def compare(self, environment: str, *, ignored: Collection[str] = (), tell: Tell | None = None) -> Compared:
        """Compare both pairs and PostgreSQL; see `IndexOffice`."""
        area = self._area(environment)
        standing = await self._standing(area)
        live, new = _both(standing)
        await _told(tell, f"comparing {live.pair.dataset} and {new.pair.dataset} with PostgreSQL, dataset by dataset")
        found = await compared(area.indices, area.datasets, live=live.pair, new=new.pair, ignored=ignored)
        return Compared(environment, live.pair, new.pair, found, self._clock.now())

    async def create(self, environment: str, *, release: str = "", by: Person, source: str) -> Pair:
        """Create the inactive pair, index by index; one that this very request made before counts as made."""
        area = self._area(environment)
        standing = await self._standing(area)
        _, new = _order(standing)
        mark = mark_of(by.slack, source, release)
        foreign = [one for one in new.indices if one is not None and one.made_by != mark]
        if foreign:
            raise Conflict(
                f"{foreign[0].name} is there already, made {foreign[0].created_at:%Y-%m-%d %H:%M} UTC by "
                f"{made_by(foreign[0].made_by)}, with {foreign[0].documents:,} documents; nothing was created.",
                hint=f"/release es drop {environment}",
            )
        demand_room(standing.seen, await area.indices.room())
        place = await workplace_of(area, new, release=release)
        wanted = await area.reindexing.definitions(workplace=place)
        made = []
        for name, there, definition in zip(
            new.pair.names, new.indices, (wanted.dataset, wanted.annotation), strict=True
        ):
            if there is None:
                await area.indices.create(index=name, definition=definition, made_by=mark)
                made.append(name)
        said = {"environment": environment, "indices": list(new.pair.names), "commit": place.commit, "made": made}
        await self._log.note("indices.created", by=by.slack, source=source, data=said)
        return new.pair

    async def wish(
        self,
        deed: Deed,
        environment: str,
        *,
        by: Person,
        side: Side | None = None,
        exceptions: tuple[str, ...] = (),
        ignored: tuple[str, ...] = (),
        tell: Tell | None = None,
    ) -> tuple[Wish, Standing, list[Guard]]:
        """Look at all that a deed rests on; see `IndexOffice`."""
        area = self._area(environment)
        standing = await self.status(environment)
        chosen = standing.candidate(_side(deed, standing, side))
        wish = Wish(
            deed,
            environment,
            chosen.side,
            chosen.pair.names,
            chosen.uuids,
            by.slack,
            self._clock.now(),
            exceptions,
            ignored,
        )
        await self._turns.demand_may(area, wish, standing, by=by.slack)
        found = await self._guards(area, wish, tell) if deed in (Deed.SWAP, Deed.SWAP_BACK) else []
        return wish, standing, found

    async def carry_out(self, wish: Wish, *, by: Person, source: str, tell: Tell | None = None) -> str:
        """Do it, after looking at everything again; see `IndexOffice`."""
        area = self._area(wish.environment)

        async def looked() -> list[Guard]:
            return await self._guards(area, wish, tell)

        return await self._turns.carry_out(area, wish, by=by, source=source, guards=looked)

    async def index(self, environment: str, target: Target, wanted: Selection, *, by: Person, source: str) -> Started:
        """Start a job; see `IndexOffice`."""
        area = self._area(environment)
        standing = await self._standing(area)
        started = await self._jobs.start(area, standing, target, wanted, by=by, source=source)
        said = {
            "environment": environment,
            "target": str(target),
            "job": started.name,
            "datasets": started.datasets,
            "choice": str(wanted.choice),
            "indices": list(started.pair.names),
            "forgotten": started.forgotten,
        }
        await self._log.note("indices.job_started", by=by.slack, source=source, data=said)
        return started

    async def prove(self, environment: str, started: Started) -> str:
        """Wait until a job's first dataset is judged; see `IndexOffice`."""
        area = self._area(environment)
        live, other = _order(await self._standing(area))
        if started.pair != other.pair:
            return "It writes to the live pair, as is meant."
        return await index_probe.prove(area, self._clock, started.name, other.pair, live.pair)

    async def _guards(self, area: IndexArea, wish: Wish, tell: Tell | None) -> list[Guard]:
        """Evaluate the guards of a swap; what the code creates is not asked for the way back, whose indices served before."""
        standing = await self._standing(area)
        _, new = _both(standing)
        await _told(tell, f"comparing {new.pair.dataset} with what is live and with PostgreSQL, dataset by dataset")
        wanted, failed = None, None
        if wish.deed is Deed.SWAP:
            place = await workplace_of(area, new)
            wanted = await area.reindexing.definitions(workplace=place)
            failed = await failures(area, new.pair)
        return await guards(area.ports, wanted=wanted, exceptions=wish.exceptions, ignored=wish.ignored, failed=failed)

    async def _standing(self, area: IndexArea, jobs: tuple[RunningJob, ...] = (), jobs_problem: str = "") -> Standing:
        seen = await area.indices.look()
        pairs = {side: seen.aliases.pair(side) for side in Side}
        first, second = (
            Candidate(side, pair, (seen.indices.get(pair.dataset), seen.indices.get(pair.annotation)))
            for side, pair in pairs.items()
        )
        look = Look(seen)
        return Standing(area.name, seen, look.side, look.fault, (first, second), self._clock.now(), jobs, jobs_problem)

    def _area(self, environment: str) -> IndexArea:
        if environment not in self._areas:
            raise WrongUse(
                f"There is no environment {environment[:40]!r}; nothing was done.", hint="/release es status"
            )
        return self._areas[environment]


def made_by(mark: str) -> str:
    """Say who made an index, by the mark in its ``_meta``."""
    return mark.partition(" ")[0] or "somebody without the bot"


def _order(standing: Standing) -> tuple[Candidate, Candidate]:
    """Return the live side and the other one; raises `Refused` while the aliases are out of order."""
    if standing.live is None:
        raise Refused(
            f"{standing.fault} Until that is repaired nobody knows which pair is live.",
            hint=f"/release es repair {standing.environment}",
            changed="Nothing.",
        )
    return standing.candidate(standing.live), standing.candidate(standing.live.other)


def _both(standing: Standing) -> tuple[Candidate, Candidate]:
    """Return both pairs, each of which is there; raises `Refused`."""
    live, new = _order(standing)
    if not new.whole:
        raise Refused(
            f"There is no inactive pair: {' and '.join(new.pair.names)} are not both there and open.",
            hint=f"/release es create {standing.environment}",
            changed="Nothing.",
        )
    return live, new


def _side(deed: Deed, standing: Standing, side: Side | None) -> Side:
    """Return the side that a deed is about. Raises `Refused`, or `Conflict` where there is nothing to do."""
    match deed:
        case Deed.SWAP | Deed.SWAP_BACK:
            return _both(standing)[1].side
        case Deed.DROP:
            _, new = _order(standing)
            if not any(new.indices):
                raise Conflict("There is no inactive index to drop; nothing was done.", hint="/release es status")
            return new.side
        case Deed.REPAIR:
            if not standing.fault:
                raise Conflict("The aliases are in order; nothing was done.", hint="/release es status")
            fit = _repairable(standing)
            if not fit or (side is not None and side not in fit):
                raise Refused(
                    f"{standing.fault} That side cannot take over as it is.",
                    hint="/release es status; what is missing comes from a snapshot, what has an alias's name goes by hand",
                    changed="Nothing.",
                )
            return side or fit[0]


def _repairable(standing: Standing) -> list[Side]:
    """Return the sides that both aliases could point at."""
    found = layout(standing.seen)
    return [] if isinstance(found, Sound) else [one.side for one in found.candidates]


async def _told(tell: Tell | None, text: str) -> None:
    if tell is not None:
        await tell(text)
