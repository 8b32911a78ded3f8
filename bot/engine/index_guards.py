"""What must hold before the aliases are moved to the other pair, each with evidence. The step and the command ask the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.comparing import differences, dynamic_fields
from bot.domain.errors import Unavailable
from bot.engine.index_looks import Look, compared

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from bot.domain.indices import Comparison, Definition, Definitions, Index, Pair
    from bot.ports import Ports
    from bot.search_ports import SearchIndices

_USABLE = {"green", "yellow"}
_FEW = 5
LAYOUT = "The aliases are in order: each points at one index, both at the same side"
PRESENT = "Both indices of the other pair exist and are open"
HEALTH = "Both are green or yellow"
DATASETS = "They hold exactly PostgreSQL's datasets"
ANNOTATIONS = "They hold exactly each dataset's annotations"
CAUGHT_UP = "Every dataset's document is as in the live pair"
VISIBLE = "No dataset is more or less visible than in the live pair"
DELETED = "Nothing that was deleted is in them"
FRESH = "The catch-up is fresh"
RESOLVED = "No dataset that failed is left over"
SAMPLES = "Sample queries agree with the live pair"
DEFINITIONS = "Mappings and analysis are those that the code creates"


@dataclass(frozen=True, slots=True)
class Guard:
    """One thing that must hold. ``name`` is a sentence that is true while it ``holds``; ``evidence`` is what was seen."""

    name: str
    holds: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class CatchUp:
    """When the pairs were last made equal, and for how many seconds that counts as fresh."""

    at: datetime | None
    fresh: float


async def guards(
    ports: Ports,
    *,
    wanted: Definitions | None,
    exceptions: Collection[str] = (),
    ignored: Collection[str] = (),
    failed: Mapping[str, str] | None = None,
    caught_up: CatchUp | None = None,
) -> list[Guard]:
    """Look at everything that a swap rests on. All must hold; the first that makes others senseless ends the list.

    ``wanted``: what the new code creates; None where there is nothing to compare with (a swap back), and then nothing is said of it.
    ``exceptions``: datasets that a person excuses from being there, whole and caught up; never from being gone or hidden.
    ``ignored``: fields (dotted) that the new code adds, removes or changes, left out where the pairs' documents are compared.
    ``failed``: dataset → METASPACE's words, of the jobs that filled the pair. ``caught_up``: when; None compares alone.

    Raises `Unavailable` where a system does not answer, or the environment has no Elasticsearch: then nothing may be swapped.
    """
    if ports.indices is None or ports.datasets is None:
        raise Unavailable("This environment names no Elasticsearch or no database.", hint="releasebot doctor")
    look = Look(await ports.indices.look())
    standing = list(_standing(look))
    if not all(one.holds for one in standing) or look.live is None or look.inactive is None:
        return standing
    live, new = look.live, look.inactive
    found = await compared(ports.indices, ports.datasets, live=live, new=new, exceptions=exceptions, ignored=ignored)
    first, second = await asyncio.gather(
        ports.indices.sample(pair=live, without=ignored), ports.indices.sample(pair=new, without=ignored)
    )
    result = [
        *standing,
        *_content(found, exceptions),
        _samples(first, second, exceptions),
        *_history(failed, caught_up, ports.clock.now(), exceptions),
    ]
    if wanted is not None:
        result.append(await _definitions(ports.indices, new, wanted))
    return result


def failing(found: Sequence[Guard]) -> list[Guard]:
    """Return the guards that do not hold, in order."""
    return [one for one in found if not one.holds]


def _standing(look: Look) -> Iterator[Guard]:
    """Judge what stands there, by one look alone."""
    pointing = "; ".join(f"{alias} → {', '.join(names) or 'nothing'}" for alias, names in look.seen.pointing.items())
    yield Guard(LAYOUT, look.live is not None, pointing)
    if look.inactive is None:
        return
    there = {name: look.seen.indices.get(name) for name in look.inactive.names}
    absent = [name for name, one in there.items() if one is None or not one.open]
    found = [one for one in there.values() if one is not None]
    missing = f"missing or closed: {', '.join(absent)}"
    yield Guard(PRESENT, not absent, missing if absent else ", ".join(_index(one) for one in found))
    if not absent:
        healthy = all(one.health in _USABLE for one in found)
        yield Guard(HEALTH, healthy, ", ".join(f"{one.name} is {one.health}" for one in found))


def _index(one: Index) -> str:
    return f"{one.name} with {one.documents:,} documents"


def _content(found: Comparison, exceptions: Collection[str]) -> Iterator[Guard]:
    excused = f"; excused: {some(sorted(exceptions))}" if exceptions else ""
    wrong = [f"{len(found.missing)} missing: {some(found.missing)}"] if found.missing else []
    wrong += [f"{len(found.surplus)} too many: {some(found.surplus)}"] if found.surplus else []
    yield Guard(DATASETS, not wrong, ("; ".join(wrong) or f"all {found.datasets:,}") + excused)
    counts = [f"{one} has {there:,}, not {due:,}" for one, (due, there) in sorted(found.counts.items())]
    yield Guard(
        ANNOTATIONS,
        not counts,
        (f"{len(counts)} differ: {some(counts)}" if counts else f"{found.annotations:,}") + excused,
    )
    without = f" (without {', '.join(found.ignored)})" if found.ignored else ""
    differ = f"{len(found.differing)} differ{without}: {some(found.differing)}"
    yield Guard(CAUGHT_UP, not found.differing, (differ if found.differing else f"none differs{without}") + excused)
    hidden = f"{len(found.visibility)} differ: {some(found.visibility)}" if found.visibility else "none differs"
    yield Guard(VISIBLE, not found.visibility, hidden)
    back = f"{len(found.surplus)} would come back: {some(found.surplus)}" if found.surplus else "none would come back"
    yield Guard(DELETED, not found.surplus, back)


def _samples(live: Mapping[str, str], new: Mapping[str, str], exceptions: Collection[str]) -> Guard:
    """With excused datasets the answers may differ by these; all else of the content was compared one by one."""
    names = sorted(live.keys() | new.keys())
    differ = [name for name in names if live.get(name) != new.get(name)]
    said = f"{len(names)} agree" if not differ else f"{len(differ)} of {len(names)} differ: {some(differ)}"
    if differ and exceptions:
        said += f"; they may, for {len(exceptions)} excused"
    return Guard(SAMPLES, bool(names) and (not differ or bool(exceptions)), said if names else "no query was answered")


def _history(
    failed: Mapping[str, str] | None, caught_up: CatchUp | None, now: datetime, exceptions: Collection[str]
) -> Iterator[Guard]:
    if failed is not None:
        left = sorted(failed.keys() - set(exceptions))
        yield Guard(RESOLVED, not left, f"{len(left)} failed: {some(left)}" if left else "none")
    if caught_up is not None:
        age = (now - caught_up.at).total_seconds() if caught_up.at else None
        holds = age is not None and age <= caught_up.fresh
        said = f"{age:.0f} s ago, {caught_up.fresh:.0f} s at most" if age is not None else "there was none"
        yield Guard(FRESH, holds, said)


async def _definitions(indices: SearchIndices, new: Pair, wanted: Definitions) -> Guard:
    pairs: tuple[tuple[str, Definition], ...] = (
        (new.dataset, wanted.dataset),
        (new.annotation, wanted.annotation),
    )
    wrong, extra = [], []
    for name, definition in pairs:
        found = await indices.definition(index=name)
        wrong += [f"{name}: {one}" for one in differences(definition, found)]
        extra += [f"{name}: {one}" for one in dynamic_fields(definition, found)]
    noted = f"; {len(extra)} dynamic fields besides: {some(extra)}" if extra else ""
    return Guard(DEFINITIONS, not wrong, (some(wrong) if wrong else "as the code creates them") + noted)


def some(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more
