"""The graph of commits, from one ``git log``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bot.domain.changes import Commit, Relation
from bot.domain.errors import Unavailable
from integrations.history import parsing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from integrations.history.git import Git


class Graph:
    """Commits as they were loaded. A set of commits is a number with a bit for each: they differ and meet in one operation."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._nodes: list[parsing.Node] = []  # by their bits
        self._bits: dict[str, int] = {}
        self._loaded: list[int] = []  # where each load began
        self._reached: dict[str, int] = {}

    def load(self, tips: Iterable[str]) -> None:
        """Read what lies behind commits, as far as it is not known yet."""
        wanted = [sha for sha in dict.fromkeys(tips) if sha not in self._bits]
        if not wanted:
            return
        text = self._git.run(
            "log",
            "-z",
            "--no-show-signature",
            "--encoding=UTF-8",
            f"--format={parsing.LOG_FORMAT}",
            "--stdin",
            feed="\n".join([*wanted, *(f"^{sha}" for sha in self._reached)]),
        )
        self._loaded.append(len(self._nodes))
        for record in filter(None, text.split("\0")):
            node = parsing.node(record)
            if node.commit.sha not in self._bits:
                self._bits[node.commit.sha] = len(self._nodes)
                self._nodes.append(node)

    def tree(self, sha: str) -> str | None:
        """The tree of a commit that is loaded."""
        return self._nodes[self._bits[sha]].tree if sha in self._bits else None

    def contains(self, tip: str, sha: str) -> bool:
        """Whether a commit is another or lies behind it."""
        return sha in self._bits and bool(self._behind(tip) >> self._bits[sha] & 1)

    def between(self, base: str, head: str) -> tuple[Commit, ...]:
        """``base..head``, newest first: what was loaded later lies behind nothing that was loaded before."""
        left = self._behind(head) & ~self._behind(base)
        found: list[Commit] = []
        for start in reversed(self._loaded):
            found += [self._nodes[bit].commit for bit in _bits(left >> start, start)]
            left &= (1 << start) - 1
        return tuple(found)

    def relate(self, base: str, head: str) -> tuple[str | None, Relation]:
        """The merge base, and how head stands to base."""
        if base == head:
            return base, Relation.IDENTICAL
        if self.contains(head, base):
            return base, Relation.AHEAD
        if self.contains(base, head):
            return head, Relation.BEHIND
        with contextlib.suppress(Unavailable):
            return self._git.run("merge-base", base, head).strip() or None, Relation.DIVERGED
        return None, Relation.DIVERGED

    def _behind(self, tip: str) -> int:
        """A commit and all that it reaches."""
        if tip not in self._reached:
            seen = 0
            queue = [tip]
            while queue:
                sha = queue.pop()
                bit = self._bits.get(sha)
                if bit is None or seen >> bit & 1:
                    continue
                seen |= self._reached.get(sha, 1 << bit)
                queue += () if sha in self._reached else self._nodes[bit].commit.parents
            self._reached[tip] = seen
        return self._reached[tip]


def _bits(number: int, start: int) -> Iterator[int]:
    """The bits that are set, lowest first, counted from ``start``."""
    while number:
        lowest = number & -number
        yield start + lowest.bit_length() - 1
        number ^= lowest
