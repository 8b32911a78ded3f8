"""A repository's objects, by one ``git cat-file --batch``. Blobs and trees never change, so they are kept."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from integrations.history import parsing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from integrations.history.git import Git
    from integrations.history.parsing import Entry
    from integrations.history.process import Process

_LARGEST_KEPT, _MOST_KEPT = 200_000, 32_000_000  # characters
_MOST_TREES = 20_000


class Objects:
    """Asks for objects by name. Several threads may ask: questions are put one after another."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._process: Process | None = None
        self._lock = threading.RLock()
        self._trees: dict[str, Mapping[str, Entry]] = {}
        self._texts: dict[str, str] = {}
        self._kept = 0

    def close(self) -> None:
        """End the process; asking again starts it anew."""
        if self._process is not None:
            self._process.close()
        self._process = None

    def get(self, name: str) -> tuple[str, str, bytes] | None:
        """(object name, type, contents); None where the clone lacks it."""
        with self._lock:
            if self._process is None:
                self._process = self._git.start("cat-file", "--batch")
            try:
                return self._process.object(name)
            except BrokenPipeError:
                self.close()
                return None

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

    def files(self, tree: str, under: str) -> Mapping[str, str]:
        """Path → blob of every file at or below ``under``.

        The way there goes through trees, of which consecutive commits share most: asking Git for each path costs far more.
        """
        path = under.strip("/")
        found: Entry | None = (tree, True)
        for name in path.split("/") if path else ():
            found = self._entries(found[0]).get(name) if found and found[1] else None
        if found is None:
            return {}
        if not found[1]:
            return {path: found[0]}
        return dict(self._below(found[0], f"{path}/" if path else ""))

    def _below(self, tree: str, prefix: str) -> Iterator[tuple[str, str]]:
        for name, (sha, is_folder) in self._entries(tree).items():
            if is_folder:
                yield from self._below(sha, f"{prefix}{name}/")
            else:
                yield f"{prefix}{name}", sha

    def _entries(self, tree: str) -> Mapping[str, Entry]:
        if tree not in self._trees:
            if len(self._trees) >= _MOST_TREES:
                self._trees = {}
            found = self.get(tree)
            self._trees[tree] = dict(parsing.parse_tree(found[2], len(tree) // 2)) if found else {}
        return self._trees[tree]
