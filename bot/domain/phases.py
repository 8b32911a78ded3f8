"""The phases of an environment's lock: which steps of a release need it, and which work beside another release. Pure.

The lock covers what changes what is live. A plan without marks holds it from its start to its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from bot.domain.plan import Plan, PlannedStep


class Phase(StrEnum):
    """Where a release stands with its environment's lock."""

    WHOLE = "whole"  # it has the lock from its start to its end
    BEFORE = "before"  # it does not need it yet
    LOCKED = "locked"  # it needs it: has it, or waits for it
    AFTER = "after"  # it has given it back


@dataclass(frozen=True, slots=True)
class WentLive:
    """Another release of the same environment that was proved live meanwhile."""

    release: str  # "R12"
    version: str
    head: str
    at: datetime


def marked(plan: Plan) -> bool:
    """Tell whether only a part of the plan needs the lock."""
    return bool(plan.locked_from or plan.locked_until)


def begins_unlocked(plan: Plan) -> bool:
    """Tell whether the release may begin while another one has the environment."""
    return bool(plan.steps) and _span(plan)[0] > 0


def needs_lock(plan: Plan, key: str) -> bool:
    """Tell whether the step of that key is done under the lock; raises KeyError for one that the plan does not have."""
    first, last = _span(plan)
    return first <= _places(plan)[key] <= last


def last_locked(plan: Plan, key: str) -> bool:
    """Tell whether the lock is given back once the step of that key is over."""
    return bool(plan.locked_until) and _places(plan)[key] >= _span(plan)[1]


def phase(plan: Plan, current: str) -> Phase:
    """Return the phase in which the step of that key is done; an empty key means that all are over."""
    if not marked(plan):
        return Phase.WHOLE
    first, last = _span(plan)
    place = _places(plan)[current] if current else len(plan.steps)
    if place < first:
        return Phase.BEFORE
    return Phase.LOCKED if place <= last else Phase.AFTER


def resolved(keys: Sequence[str], planned: Collection[str], *, first: str, last: str) -> tuple[str, str]:
    """Return the marks of a plan: those of its checklist, whose ``keys`` stand in order, where some were left out.

    A phase begins with the first step that is there, and ends with the last one. Where none of it is there, the whole
    release is locked: empty marks.
    """
    begin = next((key for key in keys[keys.index(first) :] if key in planned), "") if first else ""
    end = next((key for key in reversed(keys[: keys.index(last) + 1]) if key in planned), "") if last else ""
    if (first and not begin) or (last and not end) or (begin and end and keys.index(end) < keys.index(begin)):
        return "", ""
    return begin, end


def outside(keys: Sequence[str], first: str, last: str) -> frozenset[str]:
    """Return the keys of the steps that are done without the lock."""
    begin = keys.index(first) if first in keys else 0
    end = keys.index(last) if last in keys else len(keys) - 1
    return frozenset(key for place, key in enumerate(keys) if not begin <= place <= end)


def demand_within(plan: Plan, steps: Sequence[PlannedStep], changing: Collection[str]) -> None:
    """Raise `Conflict` where an edit takes a step that changes what is live out of the lock. ``changing``: step ids."""
    free = outside([step.key for step in steps], plan.locked_from, plan.locked_until) if marked(plan) else frozenset()
    for step in steps:
        if step.key in free and step.step in changing:
            raise Conflict(
                f"“{step.title}” changes what is live, so it is done under the lock; nothing was changed.",
                hint="/release plan shows where the lock is taken and given back",
            )


def demand_alone(plan: Plan, others: Iterable[tuple[str, Plan]]) -> None:
    """Raise `Conflict` where another open release, by name, works beside the lock already: the indices are one pair."""
    for name, other in others:
        if begins_unlocked(other):
            raise Conflict(
                f"{name} ({other.version}) prepares {plan.environment} beside its lock already, and two would write to"
                " the same indices; nothing was started.",
                hint=f"wait for {name}, or /release abort {name} REASON",
                changed="Nothing.",
            )


def _places(plan: Plan) -> dict[str, int]:
    return {step.key: place for place, step in enumerate(plan.steps)}


def _span(plan: Plan) -> tuple[int, int]:
    places = _places(plan)
    first = places[plan.locked_from] if plan.locked_from else 0
    return first, places[plan.locked_until] if plan.locked_until else len(plan.steps) - 1
