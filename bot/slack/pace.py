"""How fast the outbox may write: Slack's rates, coalesced edits, back-off. It only decides; the outbox acts."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.slack.outbox import Row


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. Slack allows about one post a second and channel, and 50 edits a minute in all."""

    post: float = 1.0  # between two posts in a channel
    edit: float = 3.0  # between two edits of one message; what came in between is one edit
    edits: float = 1.2  # between two edits of any messages
    settle: float = 2.0  # before an unconfirmed message is looked for a second time
    retry: float = 1.0  # after no answer; doubled each time up to `longest`
    longest: float = 30.0
    refused: float = 60.0  # before a message that Slack did not take is tried again
    poll: float = 5.0  # between two looks for rows that others wrote


class Schedule:
    """Which row is next, and when. Times are the monotonic clock's, in this process alone."""

    def __init__(self, pace: Pace, now: Callable[[], float] = time.monotonic) -> None:
        self.pace, self._now = pace, now
        self._next_post: dict[str, float] = defaultdict(float)
        self._channel_from: dict[str, float] = defaultdict(float)
        self._row_from: dict[str, float] = defaultdict(float)
        self._edited: dict[str, float] = {}
        self._next_edit = 0.0
        self._failures: dict[str, int] = defaultdict(int)

    def next(self, rows: Sequence[Row]) -> tuple[Row, float]:
        """Return the row to send and the seconds to wait before: last states and announcements, then new messages in their order."""
        now = self._now()
        due = [(max(0.0, self._from(row) - now), _rank(row), at) for at, row in enumerate(rows)]
        wait, _, at = min(due)
        return rows[at], wait

    def _from(self, row: Row) -> float:
        channel = row.wish.channel
        times = [self._row_from[row.key], self._channel_from[channel]]
        if not row.ts:
            times.append(self._next_post[channel])
        else:
            times.append(self._next_edit)
            if not row.wish.final and row.key in self._edited:
                times.append(self._edited[row.key] + self.pace.edit)
        return max(times)

    def succeeded(self, row: Row) -> None:
        """Note that it was sent just now."""
        now = self._now()
        self._failures.pop(row.wish.channel, None)
        self._edited[row.key] = now  # a fresh post counts: the first edit may wait as well
        if row.ts:
            self._next_edit = now + self.pace.edits
        else:
            self._next_post[row.wish.channel] = now + self.pace.post
        if row.wish.final:
            self._edited.pop(row.key, None)
            self._row_from.pop(row.key, None)

    def hold(self, row: Row, seconds: float) -> None:
        """Slack named the time to wait: for the channel's posts, or for all edits."""
        until = self._now() + seconds
        if row.ts:
            self._next_edit = until
        else:
            self._channel_from[row.wish.channel] = until

    def back_off(self, row: Row) -> None:
        """Nobody answered: leave the whole channel alone for a while."""
        channel = row.wish.channel
        wait = min(self.pace.retry * 2 ** self._failures[channel], self.pace.longest)
        self._failures[channel] += 1
        self._channel_from[channel] = self._now() + wait

    def refuse(self, row: Row) -> None:
        """Slack does not take this one: try it again much later, others go on."""
        self._row_from[row.key] = self._now() + self.pace.refused

    def leave(self, row: Row) -> None:
        """Another process sends it: look again later."""
        self._row_from[row.key] = self._now() + self.pace.poll


def _rank(row: Row) -> int:
    if row.ts:
        return 0 if row.wish.final else 2
    alone = not (row.wish.thread_key or row.wish.thread)
    return 0 if row.wish.final and alone else 1  # an announcement: a step waits for it
