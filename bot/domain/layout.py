"""Which pair is live, why nobody can say, and which alias changes may be made. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.errors import Refused
from bot.domain.indices import AliasAction, Side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.indices import Pair, Seen


class Fault(StrEnum):
    """What may be wrong with an alias, or with the two of them together."""

    MISSING = "missing"
    SQUATTED = "squatted"  # an index has the alias's name: something wrote while the alias was not there
    FOREIGN = "foreign"
    DOUBLED = "doubled"
    LOST = "lost"  # it points at an index that is not there any more
    HALF_SWAPPED = "half swapped"


@dataclass(frozen=True, slots=True)
class Sound:
    """Both aliases point at one index each, of one side. ``present``: which indices of the inactive pair exist."""

    live: Side
    pair: Pair
    inactive: Pair
    present: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A side that both aliases could be pointed at, for a person to choose; ``holds`` says what is in it."""

    side: Side
    holds: str
    actions: tuple[AliasAction, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """The aliases do not name one pair. ``said`` is a sentence for each fault; no candidate: no alias change alone repairs it."""

    faults: tuple[Fault, ...]
    said: str
    candidates: tuple[Candidate, ...]


def layout(seen: Seen) -> Sound | Broken:
    """Tell which pair is live, or why nobody can say.

    Which of two sides is right, no look at the aliases can tell: a person chooses among those that exist whole.
    """
    faults = [fault for alias in _names(seen) if (fault := _fault(seen, alias))]
    sides = {_sides(seen)[seen.pointing[alias][0]] for alias in _names(seen)} if not faults else set()
    if len(sides) == 1:
        live = sides.pop()
        inactive = seen.aliases.pair(live.other)
        present = tuple(name for name in inactive.names if name in seen.indices)
        return Sound(live, seen.aliases.pair(live), inactive, present)
    if not faults:
        faults = [(Fault.HALF_SWAPPED, _half_swapped(seen))]
    squatted = any(fault is Fault.SQUATTED for fault, _ in faults)
    candidates = () if squatted else tuple(_candidate(seen, side) for side in Side if not _unfit(seen, side))
    kinds = tuple(dict.fromkeys(fault for fault, _ in faults))
    return Broken(kinds, " ".join(said for _, said in faults), candidates)


def swap_actions(seen: Seen) -> tuple[AliasAction, ...]:
    """Return the four actions that make the inactive pair live; raises `Refused` where the pairs are not sound and whole."""
    found = layout(seen)
    if isinstance(found, Broken):
        raise Refused(found.said, hint="/release es status", changed="Nothing.")
    return repair_actions(seen, found.live.other)


def back_actions(seen: Seen, *, to: Side) -> tuple[AliasAction, ...]:
    """Return the four actions that make the old pair live again; nothing where it is. Raises `Refused` as a swap does."""
    found = layout(seen)
    return () if isinstance(found, Sound) and found.live is to else swap_actions(seen)


def repair_actions(seen: Seen, side: Side) -> tuple[AliasAction, ...]:
    """Return what makes both aliases point at ``side`` and at nothing else; raises `Refused` where that side is not whole.

    Removals come first, which makes no difference to Elasticsearch: all actions of a request take effect at once.
    """
    if unfit := _unfit(seen, side):
        raise Refused(f"The {side} pair cannot be made live: {unfit}", hint="/release es status", changed="Nothing.")
    actions = []
    for alias, index in zip(_names(seen), seen.aliases.pair(side).names, strict=True):
        if alias in seen.indices:
            raise Refused(_squatted(alias), hint="look at what wrote it, and delete it by hand", changed="Nothing.")
        pointing = seen.pointing.get(alias, ())
        actions += [AliasAction(add=False, alias=alias, index=other) for other in pointing if other != index]
        if index not in pointing:
            actions.append(AliasAction(add=True, alias=alias, index=index))
    return tuple(actions)


def room_needed(seen: Seen) -> int:
    """Return the bytes that a new pair needs before it is begun: 1.3 times the live pair. Raises `Refused` where none is live."""
    found = layout(seen)
    if isinstance(found, Broken):
        raise Refused(found.said, hint="/release es status", changed="Nothing.")
    return math.ceil(sum(seen.indices[name].size for name in found.pair.names) * 13 / 10)


def _names(seen: Seen) -> tuple[str, str]:
    return (seen.aliases.dataset, seen.aliases.annotation)


def _sides(seen: Seen) -> Mapping[str, Side]:
    return {name: side for side in Side for name in seen.aliases.pair(side).names}


def _fault(seen: Seen, alias: str) -> tuple[Fault, str] | None:
    pointing = seen.pointing.get(alias, ())
    ours = [f"{alias}-{side}" for side in Side]
    if alias in seen.indices:
        return Fault.SQUATTED, _squatted(alias)
    if not pointing:
        return Fault.MISSING, f"The alias {alias} is not there: METASPACE finds nothing through it."
    if foreign := [name for name in pointing if name not in ours]:
        return Fault.FOREIGN, f"The alias {alias} points at {', '.join(foreign)}, not at {' or '.join(ours)} alone."
    if len(pointing) > 1:
        return Fault.DOUBLED, f"The alias {alias} points at {' and '.join(pointing)} at once: readers see both."
    if pointing[0] not in seen.indices:
        return Fault.LOST, f"The alias {alias} points at {pointing[0]}, which is not there."
    return None


def _squatted(alias: str) -> str:
    return f"An index is called {alias}, where an alias should be: something wrote while the alias was not there."


def _half_swapped(seen: Seen) -> str:
    on = [f"{alias} points at {seen.pointing[alias][0]}" for alias in _names(seen)]
    return f"Half swapped: {' and '.join(on)}, so datasets and annotations do not belong together."


def _unfit(seen: Seen, side: Side) -> str:
    for name in seen.aliases.pair(side).names:
        index = seen.indices.get(name)
        if index is None:
            return f"{name} is not there."
        if index.health == "red" or not index.open:
            return f"{name} is {'red' if index.open else 'closed'}."
    return ""


def _candidate(seen: Seen, side: Side) -> Candidate:
    held = [f"{name} {seen.indices[name].documents} documents" for name in seen.aliases.pair(side).names]
    return Candidate(side, ", ".join(held), repair_actions(seen, side))
