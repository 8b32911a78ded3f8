"""How long the site was down during a release, and how long nobody looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime


GAP = 5.0  # seconds between two looks that count as watching all the while: a probe looks at moments


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time; ``until`` is never before ``began``."""

    began: datetime
    until: datetime


def covered(spans: Iterable[Span]) -> float:
    """Return the seconds that the spans cover together; what two of them share counts once."""
    total, reached = 0.0, None
    for span in sorted(spans, key=lambda one: one.began):
        start = span.began if reached is None or span.began > reached else reached
        if span.until > start:
            total += (span.until - start).total_seconds()
            reached = span.until
        elif reached is None:
            reached = span.until
    return total


def measured(
    watched: Iterable[Span], outages: Iterable[Span], *, began: datetime, until: datetime
) -> tuple[float | None, float]:
    """Return the downtime seen, None when nobody looked, and the seconds of the release in which nobody looked.

    Only what lies within the release counts. A gap of at most `GAP` seconds between two looks is no gap.
    """
    inside = _within(watched, began, until)
    if not inside:
        return None, max(0.0, (until - began).total_seconds())
    return covered(_within(outages, began, until)), sum(gap for gap in _gaps(inside, began, until) if gap > GAP)


def _within(spans: Iterable[Span], began: datetime, until: datetime) -> list[Span]:
    return [
        Span(max(one.began, began), min(one.until, until)) for one in spans if one.until >= began and one.began <= until
    ]


def _gaps(spans: Iterable[Span], began: datetime, until: datetime) -> Iterator[float]:
    """Give the lengths in seconds of what the spans leave open between ``began`` and ``until``."""
    reached = began
    for span in sorted(spans, key=lambda one: one.began):
        yield (span.began - reached).total_seconds()
        reached = max(reached, span.until)
    yield (until - reached).total_seconds()
