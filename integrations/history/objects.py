"""A repository's objects, by one ``git cat-file --batch``. Blobs and trees never change, so they are kept."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from integrations.history import parsing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from integrations.history.git import Git
    from integrations.history.parsing import Entry
    from integrations.history.process import Object, Process

_LARGEST_KEPT, _MOST_KEPT = 200_000, 32_000_000  # characters
_MOST_TREES = 20_000
_AT_ONCE = 60  # names, even the longest: they fit the smallest pipe


class Objects:
    """Asks for objects by name. Several threads may ask: questions are put one after another."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._process: Process | None = None
        self._lock = threading.RLock()
        self._trees: dict[str, Mapping[str, Entry]] = {}
        self._side_by_side: frozenset[str] = frozenset()
        self._ways: set[str] = set()
        self._texts: dict[str, str] = {}
        self._kept = 0

    def close(self) -> None:
        """End the process; asking again starts it anew."""
        if self._process is not None:
            self._process.close()
        self._process = None

    def get(self, name: str) -> Object | None:
        """An object by any name; None where the clone lacks it."""
        return self._ask([name])[0]

    def _ask(self, names: Sequence[str]) -> list[Object | None]:
        with self._lock:
            if self._process is None:
                self._process = self._git.start("cat-file", "--batch")
            try:
                return self._process.objects(names)
            except BrokenPipeError:  # a partial clone lacks one of them, and Git ends at that
                self.close()
                return [None] if len(names) == 1 else [self.get(name) for name in names]

    def _ask_all(self, names: Iterable[str]) -> Iterator[tuple[str, Object]]:
        """What the clone has of some objects: waiting for each in turn would take longer than reading them."""
        wanted = list(dict.fromkeys(names))
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            yield from ((name, found) for name, found in zip(some, self._ask(some), strict=True) if found)

    def expect(self, blobs: Iterable[str]) -> None:
        """Keep the texts of many blobs."""
        for blob, (_, kind, contents) in self._ask_all(blob for blob in blobs if blob not in self._texts):
            if kind == "blob":
                self._keep(blob, contents.decode("utf-8", "replace"))

    def text(self, blob: str) -> str | None:
        """The text of a blob; None where the clone lacks it. What is no UTF-8 is replaced, never refused."""
        if blob not in self._texts:
            found = self.get(blob)
            text = found[2].decode("utf-8", "replace") if found and found[1] == "blob" else None
            self._keep(blob, text)
            return text
        return self._texts[blob]

    def _keep(self, blob: str, text: str | None) -> None:
        """What the clone lacks may be fetched meanwhile, so that is asked for again."""
        if text is None or len(text) > _LARGEST_KEPT:
            return
        if self._kept + len(text) > _MOST_KEPT:
            self._texts, self._kept = {}, 0
        self._texts[blob] = text
        self._kept += len(text)

    def lacking(self, blobs: Iterable[str]) -> set[str]:
        """Those of some blobs that the clone does not have."""
        wanted = set(blobs)
        return wanted.difference(name for name, _ in self._ask_all(wanted))

    def expect_trees(self, commits: Iterable[str]) -> None:
        """Take the trees of commits that will be gone through one after another: the way to a path is read in all of them at once."""
        self._side_by_side = frozenset(commits)
        self._ways = set()

    def files(self, tree: str, under: str) -> Mapping[str, str]:
        """Path → blob of every file at or below ``under``.

        The way there goes through trees, of which consecutive commits share most: asking Git for each path costs far more.
        """
        path = under.strip("/")
        if tree in self._side_by_side and path not in self._ways:
            self._ways.add(path)
            self._read_ways(path)
        found: Entry | None = (tree, True)
        for name in path.split("/") if path else ():
            found = self._entries(found[0]).get(name) if found and found[1] else None
        if found is None:
            return {}
        if not found[1]:
            return {path: found[0]}
        self._read_below(found[0])
        return dict(self._below(found[0], f"{path}/" if path else ""))

    def _read_below(self, tree: str) -> None:
        """Keep all trees inside one, level by level."""
        level = [tree]
        while level:
            self._read(level)
            inner = (self._trees.get(each, {}).values() for each in level)
            level = [sha for entries in inner for sha, is_folder in entries if is_folder]

    def _read_ways(self, path: str) -> None:
        level = list(self._side_by_side)
        for name in path.split("/"):
            self._read(level)
            entries = (self._trees.get(tree, {}).get(name) for tree in level)
            level = list({entry[0] for entry in entries if entry and entry[1]})

    def _read(self, trees: Iterable[str]) -> None:
        for name, found in self._ask_all(tree for tree in trees if tree not in self._trees):
            self._keep_tree(name, found)

    def _below(self, tree: str, prefix: str) -> Iterator[tuple[str, str]]:
        for name, (sha, is_folder) in self._entries(tree).items():
            if is_folder:
                yield from self._below(sha, f"{prefix}{name}/")
            else:
                yield f"{prefix}{name}", sha

    def _entries(self, tree: str) -> Mapping[str, Entry]:
        known = self._trees.get(tree)
        return known if known is not None else self._keep_tree(tree, self.get(tree))

    def _keep_tree(self, tree: str, found: Object | None) -> Mapping[str, Entry]:
        entries = dict(parsing.parse_tree(found[2], len(tree) // 2)) if found else {}
        if len(self._trees) >= _MOST_TREES:
            self._trees = {}
        self._trees[tree] = entries
        return entries
