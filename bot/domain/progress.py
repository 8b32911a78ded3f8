"""How fast a long job goes, how long it still takes, when that is worth a word. Pure; times in seconds, rates per second."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    Point = tuple[datetime, int]

WINDOW = timedelta(hours=1)  # what a rate is measured over
_ENOUGH = timedelta(minutes=2)  # of history, or so many things done, before its own rate is believed
_ENOUGH_DONE = 20
MILESTONES = (25, 50, 75)
STALLED = timedelta(minutes=30)  # without anything done, though somebody works
SOONEST, BURST = timedelta(seconds=5), 3  # between two edits of one message, and how many may come so close
USUAL = timedelta(seconds=16)  # between two edits in the long run: 225 an hour


@dataclass(frozen=True, slots=True)
class Run:
    """An earlier job of the same kind that ended whole."""

    done: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """How fast it goes, and how long that makes what is left. ``measured``: by itself; else by earlier jobs of its kind."""

    rate: float
    left: float
    measured: bool


def rate(history: Sequence[Point], now: datetime, window: timedelta = WINDOW) -> float | None:
    """Return how many were done per second over the last ``window``; None where that cannot be told.

    ``history`` is (time, done so far), oldest first. The time since its last point counts as well: who stands still slows down.
    """
    begin = now - window
    inside = [point for point in history if point[0] >= begin]
    before = [point for point in history if point[0] < begin]
    points = [*_at(begin, before[-1], inside[0]), *inside] if before and inside else inside
    if not points:
        return 0.0 if before else None
    (first_at, first), (_, last) = points[0], points[-1]
    seconds = (max(now, points[-1][0]) - first_at).total_seconds()
    return (last - first) / seconds if seconds > 0 else None


def _at(moment: datetime, before: Point, after: Point) -> list[Point]:
    """Return what was done at a moment between two points, as if it had gone on evenly."""
    whole = (after[0] - before[0]).total_seconds()
    part = (moment - before[0]).total_seconds() / whole if whole > 0 else 1.0
    return [(moment, round(before[1] + part * (after[1] - before[1])))]


def usual_rate(runs: Iterable[Run]) -> float | None:
    """Return the rate of earlier jobs, the one in the middle: a single odd one does not count."""
    rates = [one.done / one.seconds for one in runs if one.done > 0 and one.seconds > 0]
    return median(rates) if rates else None


def estimate(left: int, history: Sequence[Point], now: datetime, runs: Iterable[Run] = ()) -> Estimate | None:
    """Tell how long ``left`` more will take: by the last hour once it says enough, else by earlier jobs; None where nothing does."""
    own = rate(history, now)
    if own and _enough(history, now):
        return Estimate(own, left / own, measured=True)
    usual = usual_rate(runs)
    if usual:
        return Estimate(usual, left / usual, measured=False)
    return Estimate(own, left / own, measured=True) if own else None


def _enough(history: Sequence[Point], now: datetime) -> bool:
    return now - history[0][0] >= _ENOUGH or history[-1][1] - history[0][1] >= _ENOUGH_DONE


def percent(done: int, total: int) -> int:
    """Return the whole percent that are done, never 100 before all are; of nothing, all is done."""
    return min(100 * done // total, 100) if total > 0 else 100


def passed(told: int, done: int, total: int) -> int:
    """Return the highest milestone that was reached and not told yet, or 0. All done is the end, and no milestone."""
    reached = [one for one in MILESTONES if told < one <= percent(done, total) and done < total]
    return max(reached, default=0)


def stalled_since(history: Sequence[Point], now: datetime) -> datetime | None:
    """Return since when nothing was done, where that is so long that somebody should know."""
    if not history:
        return None
    last = next((at for at, done in history if done == history[-1][1]), history[-1][0])
    return last if now - last >= STALLED else None


def may_edit(edits: Sequence[datetime], now: datetime, *, matters: bool) -> bool:
    """Tell whether a message may be edited, after these ``edits`` of it (oldest first).

    What ``matters`` is shown after a few seconds, though no more than `BURST` times in a row; what only counts on waits longer.
    In the long run it is one edit each `USUAL`.
    """
    if not edits:
        return True
    if not matters:
        return now - edits[-1] >= USUAL and _affordable(edits, now)
    return now - edits[-1] >= SOONEST and _affordable(edits, now)


def _affordable(edits: Sequence[datetime], now: datetime) -> bool:
    return len(edits) < BURST or now - edits[-BURST] >= BURST * USUAL


def thinned(history: Sequence[Point], most: int) -> tuple[Point, ...]:
    """Return at most ``most`` points of a history: the first and the last stay, the rest is taken evenly."""
    if len(history) <= most:
        return tuple(history)
    step = (len(history) - 1) / (most - 1)
    return tuple(history[round(number * step)] for number in range(most))
