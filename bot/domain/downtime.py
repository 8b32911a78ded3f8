"""How long the site was down during a release, and how long nobody looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


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
    """Return the downtime seen, None when nobody looked, and the seconds of the release in which nobody looked."""
    watched = list(watched)
    if not watched:
        return None, max(0.0, (until - began).total_seconds())
    inside = [
        Span(max(one.began, began), min(one.until, until)) for one in watched if one.until > began and one.began < until
    ]
    unwatched = max(0.0, (until - began).total_seconds() - covered(inside))
    return covered(outages), unwatched
