"""What differs between two trees, by one ``git diff-tree --stdin``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import Unavailable
from integrations.history import parsing

if TYPE_CHECKING:
    from bot.domain.changes import Change
    from integrations.history.git import Git
    from integrations.history.objects import Objects
    from integrations.history.process import Process

_RAW = ("-r", "-z", "--raw", "--no-abbrev")
_RENAMES = ("-M", "-l2000")


class Differences:
    """Compares trees, with renames found by contents."""

    def __init__(self, git: Git, objects: Objects) -> None:
        self._git = git
        self._objects = objects
        self._process: Process | None = None

    def close(self) -> None:
        """End the process; asking again starts it anew."""
        if self._process is not None:
            self._process.close()
        self._process = None

    def between(self, old: str, new: str) -> tuple[Change, ...]:
        """The files that differ. Raises Unavailable for a damaged repository."""
        if self._process is None:
            self._process = self._git.start("diff-tree", "--stdin", *_RAW, *_RENAMES)
        try:
            return tuple(parsing.parse_raw(self._process.pair(old, new)))
        except BrokenPipeError:
            self.close()
        return self._without_contents(old, new)

    def _without_contents(self, old: str, new: str) -> tuple[Change, ...]:
        """Where the clone lacks some contents (a partial clone), those files are left out of finding renames."""
        plain = self._once(old, new, "--no-renames")
        left_out = tuple(
            change
            for change in plain
            if any(blob and not self._objects.get(blob) for blob in (change.old_blob, change.new_blob))
        )
        if not left_out:
            raise Unavailable("Git could not compare the two commits.", hint="git fsck on the clone")
        outside = [f":(top,exclude,literal){change.path}" for change in left_out]
        return (*self._once(old, new, *_RENAMES, paths=(":/", *outside)), *left_out)

    def _once(self, old: str, new: str, *options: str, paths: tuple[str, ...] = ()) -> tuple[Change, ...]:
        limits = ("--", *paths) if paths else ()
        raw = self._git.run("diff-tree", *_RAW, *options, old, new, *limits)
        return tuple(parsing.parse_raw(raw.encode("utf-8", "surrogateescape")))
