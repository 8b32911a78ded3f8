"""Why a step fails: what was behind the same failure before and what ended it, or what usually is behind it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

MOST = 3
_LONGEST = 300
_PARTS = (
    (re.compile(r"https?://\S+"), "…"),
    (re.compile(r"<@[UW][A-Z0-9]+>"), "somebody"),
    (re.compile(r"\bR\d+(-\w+)*(-\d+)?\b"), "R…"),
    (re.compile(r"(?<!\w)(?:~|\.{1,2})?(?:/[\w.@+-]+){2,}/?"), "/…"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,40}\b"), "…"),
    (re.compile(r"\d+(?:[.:,-]\d+)*"), "N"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, slots=True)
class PastFailure:
    """A failure of the same step in an earlier release or attempt. ``ending``: what a person did, and what came of it."""

    message: str
    at: datetime
    ending: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """One likely cause. ``count`` 0 means that it was not seen here: it is only what usually is behind such a failure."""

    what: str
    count: int = 0
    last: datetime | None = None
    endings: tuple[str, ...] = ()  # the most frequent first


def normalised(message: str) -> str:
    """Leave out what differs between two failures of one kind: numbers, commits, paths, addresses, people."""
    for pattern, instead in _PARTS:
        message = pattern.sub(instead, message)
    return message.strip()[:_LONGEST]


def likely(message: str, past: Iterable[PastFailure], general: Sequence[str]) -> tuple[Cause, ...]:
    """Return up to three causes: this very failure as it was seen before, then the step's others, the most frequent first.

    Where none was seen, what usually is behind a failure of the step, without a count.
    """
    kinds: dict[str, list[PastFailure]] = defaultdict(list)
    for one in past:
        kinds[normalised(one.message)].append(one)
    same = normalised(message)
    order = sorted(kinds, key=lambda kind: (kind != same, -len(kinds[kind]), kind))
    seen = tuple(_cause(kinds[kind]) for kind in order[:MOST])
    return seen or tuple(Cause(what) for what in general[:MOST])


def ending(kind: str, *, reason: str, seconds: float, worked: bool) -> str:
    """Say what ended a failure: a retry that worked or not, a skip, an abort, a rollback."""
    why = f": {reason[:120]}" if reason else ""
    match kind:
        case "retry" if worked:
            return f"retry worked after {_rough(seconds)}"
        case "retry":
            return "retry failed again"
        case "skip":
            return f"skipped{why}"
        case "abort":
            return f"aborted{why}"
        case "roll_back":
            return f"rolled back{why}"
        case _:
            return ""


def _cause(failures: Sequence[PastFailure]) -> Cause:
    newest = max(failures, key=lambda one: one.at)
    endings = Counter(one.ending for one in failures if one.ending)
    return Cause(
        newest.message[:_LONGEST], len(failures), newest.at, tuple(what for what, _ in endings.most_common(MOST))
    )


def _rough(seconds: float) -> str:
    """Round to what people remember, so that equal endings count as one."""
    if seconds < 90:  # noqa: PLR2004  # seconds
        return "about a minute"
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 90 else f"{round(minutes / 60)} hours"  # noqa: PLR2004
