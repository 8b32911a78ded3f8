"""A Git repository's history, read fast and never written.

Three processes serve any number of questions: one ``git log`` for the commits' graph, one ``git diff-tree --stdin`` for
differences, one ``git cat-file --batch`` for contents. Bare, shallow and partial clones work; a partial clone is never
made to fetch (its protocols are all forbidden), so a clone that is being looked at stays exactly as it was.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from bot.domain.changes import Range, Ref, Tag
from bot.domain.errors import Unavailable, WrongUse
from integrations.history import parsing
from integrations.history.differences import Differences
from integrations.history.git import Git
from integrations.history.graph import Graph
from integrations.history.objects import Objects

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from bot.domain.version import Version

_GITHUB = re.compile(r"github\.com[:/]+([\w.-]+/[\w.-]+?)(?:\.git)?/?$")
_POSSIBLE_NAME = re.compile(r"[^-:\s\x00-\x1f\x7f][^\s\x00-\x1f\x7f]{0,249}")


class GitHistory:
    """Implements `bot.domain.changes.History` over a clone at ``path``. Close it, or use it in a ``with`` block.

    Several threads may ask: questions to a process are put one after another. Refs are looked up afresh for every comparison, so a
    mirror may be fetched into meanwhile.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._git = Git(path)
        self._objects = Objects(self._git)
        self._graph = Graph(self._git)
        self._differences = Differences(self._git, self._objects)
        self._tags: tuple[Tag, ...] | None = None
        self._kept_tags: Mapping[str, str] = {}
        self._lock = threading.RLock()
        self._url: str | None = None
        self.shallow = (self._git.directory / "shallow").exists()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the reading processes; asking again starts them anew."""
        self._objects.close()
        self._differences.close()

    # -- the port

    def compare(self, *, base: str, head: str) -> Range:
        """What head has that base lacks. Raises WrongUse for unknown names, Unavailable for a damaged repository."""
        with self._lock:
            return self._compare(base, head)

    def _compare(self, base: str, head: str) -> Range:
        if not self._kept_tags:
            self._tags = None
        old, new = self._resolve(base), self._resolve(head)
        self._graph.load((old.sha, new.sha))
        merge_base, relation = self._graph.relate(old.sha, new.sha)
        trees = [self._tree(sha) for sha in (merge_base or old.sha, new.sha)]
        lacking = self._graph.between(new.sha, old.sha)
        return Range(
            old,
            new,
            merge_base,
            relation,
            self._graph.between(old.sha, new.sha),
            self._differences.between(*trees),
            tuple(self._blind_spots(merge_base)),
            tuple(commit for commit in lacking if len(commit.parents) < 2),  # noqa: PLR2004 - a merge has two parents
        )

    def blob(self, *, blob: str) -> str | None:
        """The text of a blob; None where the clone lacks it. What is no UTF-8 is replaced, never refused."""
        return self._objects.text(blob)

    def expect(self, *, blobs: Iterable[str]) -> None:
        """Get the texts of many blobs ready at once."""
        self._objects.expect(blobs)

    def files(self, *, commit: str, under: str) -> Mapping[str, str]:
        """Path → blob of every file at or below ``under`` in a commit."""
        tree = self._tree(commit)
        return self._objects.files(tree, under) if tree else {}

    def version_tags(self) -> Sequence[Tag]:
        """Tags x.y.z in numeric order; annotated ones by the commit that they point at."""
        if self._tags is None:
            lines = self._git.run(
                "for-each-ref", "--format=%(refname:strip=2)%09%(*objectname)%09%(objectname)", "refs/tags"
            )
            self._tags = tuple(sorted(parsing.parse_tags(lines), key=lambda tag: tag.version))
        return self._tags

    def version_at(self, *, commit: str) -> Version | None:
        """The version that marks a commit, else the newest one that it contains."""
        marks = [tag.version for tag in self.version_tags() if tag.sha == commit]
        if marks:
            return max(marks)
        with self._lock:
            self._graph.load((commit,))
            reached = [tag.version for tag in self.version_tags() if self._graph.contains(commit, tag.sha)]
        return max(reached, default=None)

    def web_url(self) -> str:
        """GitHub's page of origin, if origin is there; METASPACE's name is taken from nowhere else."""
        if self._url is None:
            self._url = self._read_url()
        return self._url

    def _read_url(self) -> str:
        with contextlib.suppress(Unavailable):
            if match := _GITHUB.search(self._git.run("config", "--get", "remote.origin.url").strip()):
                return f"https://github.com/{match[1]}"
        return ""

    def prefetch(self, commits: Iterable[str]) -> None:
        """Keep the tags as they are now, and get ready to compare each of many commits with the next."""
        row = list(commits)
        self._kept_tags = {str(tag.version): tag.sha for tag in self.version_tags()}
        self._graph.load(row)
        self._objects.expect_trees(filter(None, map(self._tree, row)))
        bases = (self._graph.relate(old, new)[0] or old for old, new in pairwise(row))
        self._differences.expect((self._tree(base), self._tree(new)) for base, new in zip(bases, row[1:], strict=True))

    # -- names

    def _resolve(self, name: str) -> Ref:
        kept = self._kept_tags.get(name)
        if kept and self._graph.tree(kept):
            return Ref(name, kept)
        if not _POSSIBLE_NAME.fullmatch(name):
            raise WrongUse(f"{name[:60]!r} cannot be the name of a commit.", hint="a tag, a branch or a commit's SHA")
        for candidate in (f"refs/tags/{name}", name, f"refs/remotes/origin/{name}"):
            found = self._objects.get(f"{candidate}^{{commit}}")
            if found is not None and found[1] == "commit":
                return Ref(name, found[0])
        raise WrongUse(f"{name[:60]!r} is no tag, branch or commit here.", hint=self._suggest(name))

    def _suggest(self, name: str) -> str:
        names = self._git.run("for-each-ref", "--format=%(refname:lstrip=2)", "refs/tags", "refs/heads").splitlines()
        close = difflib.get_close_matches(name, names, n=3)
        known = f"did you mean {' or '.join(close)}?" if close else "git tag and git branch list the names"
        return known + (" This clone is shallow: fetch more of it." if self.shallow else "")

    def _tree(self, commit: str) -> str:
        """A commit's tree; empty where the clone lacks the commit."""
        known = self._graph.tree(commit)
        found = None if known else self._objects.get(f"{commit}^{{tree}}")
        return known or (found[0] if found else "")

    def _blind_spots(self, merge_base: str | None) -> Iterator[str]:
        if self.shallow:
            yield "This clone is shallow: commits before its edge were not seen (git fetch --unshallow)."
        if merge_base is None:
            yield "The two sides share no commit that this clone has: they were compared file by file."
