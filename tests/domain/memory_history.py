"""A repository in memory: commits are dictionaries of path → text."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.domain.changes import Change, Commit, Range, Ref, Relation, Status, Tag
from bot.domain.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def _sha(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class MemoryHistory:
    """Two commits, ``old`` and ``new``, with what lies between them. ``lacking`` paths have no contents, as in a partial clone."""

    def __init__(
        self,
        old: Mapping[str, str],
        new: Mapping[str, str],
        *,
        subjects: Sequence[str] = (),
        lacking: Sequence[str] = (),
        renames: Mapping[str, str] | None = None,
    ) -> None:
        self._trees = {"old": dict(old), "new": dict(new)}
        self._lacking = {_sha(self._trees[side].get(path, "")) for path in lacking for side in ("old", "new")}
        self._blobs = {_sha(text): text for tree in self._trees.values() for text in tree.values()}
        self._renames = dict(renames or {})
        self._subjects = subjects

    def compare(self, *, base: str, head: str) -> Range:
        when = datetime(2026, 1, 1, tzinfo=UTC)
        commits = tuple(Commit(_sha(subject), subject, "Ada", "ada@example.org", when) for subject in self._subjects)
        return Range(Ref(base, "old"), Ref(head, "new"), "old", Relation.AHEAD, commits, tuple(self._changes()))

    def _changes(self) -> list[Change]:
        old, new = self._trees["old"], self._trees["new"]
        found = [
            Change(Status.RENAMED, path, source, _sha(old[source]), _sha(new[path]))
            for source, path in self._renames.items()
        ]
        gone = set(self._renames) | set(self._renames.values())
        for path in sorted((old.keys() | new.keys()) - gone):
            before, after = old.get(path), new.get(path)
            if before == after:
                continue
            status = Status.ADDED if before is None else Status.DELETED if after is None else Status.MODIFIED
            blobs = ["" if text is None else _sha(text) for text in (before, after)]
            found.append(Change(status, path, "", *blobs))
        return found

    def blob(self, *, blob: str) -> str | None:
        return None if blob in self._lacking else self._blobs.get(blob)

    def expect(self, *, blobs: Iterable[str]) -> None:
        """Everything is at hand."""

    def files(self, *, commit: str, under: str) -> Mapping[str, str]:
        tree = self._trees[commit]
        return {
            path: _sha(text) for path, text in tree.items() if path == under or path.startswith(under.rstrip("/") + "/")
        }

    def version_tags(self) -> Sequence[Tag]:
        return [Tag(Version(1, 0, 0), "old")]

    def version_at(self, *, commit: str) -> Version | None:
        return Version(1, 0, 0) if commit == "old" else None

    def web_url(self) -> str:
        return "https://github.com/example/metaspace"
