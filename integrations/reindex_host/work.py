"""What is left to do, in which order, and how much of it one run of METASPACE's script is given. No clock, no files."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

STREAK = 5  # failures in a row after which something else than a dataset is wrong
_GROWTH = 8  # a run is given at most so many times the datasets that were measured
_OVERHEAD = 10  # a run is worth so many times its start
_LONGEST = 60.0  # seconds until the next failure in a row is risked


class Pace:
    """How long a start and a dataset take, by what was seen lately. Seconds."""

    def __init__(self, aim: float) -> None:
        """``aim``: what a run should last at least."""
        self.aim, self.start, self.each, self.seen = aim, 0.0, 0.0, 0

    def started(self, seconds: float) -> None:
        """Take the time from a start to the first dataset."""
        self.start = seconds if not self.start else 0.7 * self.start + 0.3 * seconds

    def took(self, seconds: float) -> None:
        """Take the time of one dataset."""
        self.seen += 1
        self.each += (seconds - self.each) / min(self.seen, 50)

    def size(self, left: int, workers: int) -> int:
        """Return how many datasets to give: as many as the aim asks for, fewer when all workers are to end together.

        Toward the end each run gets half of a fair share, though never less than is worth a start.
        """
        if not self.seen:
            return 1
        each = max(self.each, 1e-4)
        wanted = math.ceil(max(self.aim, _OVERHEAD * self.start) / each)
        fair = max(math.ceil(left / workers / 2), math.ceil(self.start / each))
        return max(1, min(wanted, fair, math.ceil(left / workers), _GROWTH * self.seen))


class Work:
    """The datasets of an order and what became of them. Every one is in one place only."""

    def __init__(
        self, datasets: Sequence[str], *, done: set[str], gone: set[str], failed: dict[str, Any], tries: int
    ) -> None:
        """``failed`` is what earlier runs wrote: each is tried again ``tries`` times."""
        known = set(datasets)
        self.total, self.tries = len(known), tries
        self.done, self.gone = done & known, gone & known
        self.failed: dict[str, Any] = {
            one: said for one, said in failed.items() if one in known - self.done - self.gone
        }
        self.queue = deque(one for one in dict.fromkeys(datasets) if one not in self.done | self.gone)
        self.again: list[tuple[float, str]] = []  # when each is due, and which
        self.tried: dict[str, int] = {}
        self.streak, self.streak_since = 0, 0.0

    @property
    def finished(self) -> int:
        """How many need nothing more."""
        return len(self.done) + len(self.gone)

    @property
    def left(self) -> int:
        """How many are to be handed out, now or later."""
        return len(self.queue) + len(self.again)

    @property
    def trouble(self) -> bool:
        """Whether something else than the datasets seems to be wrong."""
        return self.streak >= STREAK

    def risk(self, rest: float) -> float:
        """Return the seconds to wait in trouble before one dataset is risked."""
        return min(_LONGEST, rest / 30 * 2.0 ** min(self.streak - STREAK, 20))

    def take(self, size: int, now: float) -> list[str]:
        """Return what to do next: a failed dataset whose time has come, by itself, or the next of the queue."""
        self.again.sort()
        if self.again and self.again[0][0] <= now:
            return [self.again.pop(0)[1]]
        return [self.queue.popleft() for _ in range(min(size, len(self.queue)))]

    def first(self, datasets: Collection[str]) -> None:
        """Let these come first: a run was killed while it worked on them. What it had told before needs no more, or has its time."""
        settled = self.done | self.gone | {one for _, one in self.again}
        self.queue = deque(
            sorted((one for one in self.queue if one not in settled), key=lambda one: one not in datasets)
        )

    def give_back(self, datasets: Sequence[str]) -> None:
        """Take back what was not done: it comes first."""
        self.queue.extendleft(one for one in reversed(datasets) if one not in self.done | self.gone)

    def settle(self, kind: str, dataset: str) -> None:
        """Note that a dataset is ``done`` or ``gone``, or ``undone``: it is in work still."""
        if kind == "undone":
            self.done.discard(dataset)
            self.gone.discard(dataset)
            return
        (self.done if kind == "done" else self.gone).add(dataset)
        self.failed.pop(dataset, None)
        self.streak = 0

    def fail(self, dataset: str, said: str, now: float, rest: float) -> None:
        """Note a failed try. The next one comes after a rest that grows; when all are used up, it stays failed."""
        tried = self.tried[dataset] = self.tried.get(dataset, 0) + 1
        self.failed[dataset] = {"tries": self.failed.get(dataset, {"tries": 0})["tries"] + 1, "said": said}
        if tried == 1:
            self.stumble(now)
        if tried < self.tries:
            self.again.append((now + rest * 4.0 ** (tried - 1), dataset))

    def stumble(self, now: float) -> None:
        """Note that something failed, a start perhaps, with nothing done since the last."""
        self.streak_since = self.streak_since if self.streak else now
        self.streak += 1
