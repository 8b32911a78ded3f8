"""What differs between two trees, by one ``git diff-tree --stdin``."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from bot.domain.errors import Unavailable
from integrations.history import parsing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.domain.changes import Change
    from integrations.history.git import Git
    from integrations.history.objects import Objects
    from integrations.history.process import Process

_RAW = ("-r", "-z", "--raw", "--no-abbrev")
_RENAMES = ("-M", "-l2000")
_AT_ONCE = 20  # pairs: they fit the smallest pipe
Pair = tuple[str, str]


class Differences:
    """Compares trees, with renames found by contents."""

    def __init__(self, git: Git, objects: Objects) -> None:
        self._git = git
        self._objects = objects
        self._process: Process | None = None
        self._ahead: deque[Pair] = deque()
        self._asked: deque[Pair] = deque()

    def close(self) -> None:
        """End the process; asking again starts it anew."""
        if self._process is not None:
            self._process.close()
        self._process = None
        self._ahead.extendleft(reversed(self._asked))
        self._asked.clear()

    def expect(self, pairs: Iterable[Pair]) -> None:
        """Say which trees will be compared, in order: Git compares them while what came before is judged."""
        self._ahead.extend(pairs)

    def between(self, old: str, new: str) -> tuple[Change, ...]:
        """The files that differ. Raises Unavailable for a damaged repository."""
        try:
            return tuple(parsing.parse_raw(self._answer((old, new))))
        except BrokenPipeError:
            self.close()
        return self._without_contents(old, new)

    def _answer(self, pair: Pair) -> bytes:
        """What Git says of a pair. Answers come in the order of questions: who asks out of turn has Git begin anew."""
        if self._asked and self._asked[0] != pair:
            self.close()
        if not self._asked:
            self._ask_from(pair)
        self._asked.popleft()
        return self._running().answer()

    def _ask_from(self, pair: Pair) -> None:
        row = [pair]
        if pair in self._ahead:
            while self._ahead.popleft() != pair:
                pass
            row += [self._ahead.popleft() for _ in range(min(_AT_ONCE - 1, len(self._ahead)))]
        for old, new in row:
            self._running().ask(old, new)
        self._asked.extend(row)

    def _running(self) -> Process:
        if self._process is None:
            self._process = self._git.start("diff-tree", "--stdin", *_RAW, *_RENAMES)
        return self._process

    def _without_contents(self, old: str, new: str) -> tuple[Change, ...]:
        """Where the clone lacks some contents (a partial clone), those files are left out of finding renames."""
        plain = self._once(old, new, "--no-renames")
        lacking = self._objects.lacking(blob for change in plain for blob in (change.old_blob, change.new_blob) if blob)
        left_out = tuple(change for change in plain if lacking & {change.old_blob, change.new_blob})
        if not left_out:
            raise Unavailable("Git could not compare the two commits.", hint="git fsck on the clone")
        outside = [f":(top,exclude,literal){change.path}" for change in left_out]
        return (*self._once(old, new, *_RENAMES, paths=(":/", *outside)), *left_out)

    def _once(self, old: str, new: str, *options: str, paths: tuple[str, ...] = ()) -> tuple[Change, ...]:
        limits = ("--", *paths) if paths else ()
        raw = self._git.run("diff-tree", *_RAW, *options, old, new, *limits)
        return tuple(parsing.parse_raw(raw.encode("utf-8", "surrogateescape")))
