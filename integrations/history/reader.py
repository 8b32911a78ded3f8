"""A Git repository's history, read fast and never written.

Three processes serve any number of questions: one ``git log`` for the commits' graph, one ``git diff-tree --stdin`` for
differences, one ``git cat-file --batch`` for contents. Bare, shallow and partial clones work; a partial clone is never
made to fetch (its protocols are all forbidden), so a clone that is being looked at stays exactly as it was.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bot.domain.changes import Change, Commit, Range, Ref, Relation, Tag
from bot.domain.errors import Unavailable, WrongUse
from integrations.history import parsing
from integrations.history.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from types import TracebackType

    from bot.domain.version import Version

_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
_GITHUB = re.compile(r"github\.com[:/]+([\w.-]+/[\w.-]+?)(?:\.git)?/?$")
_LARGEST_KEPT, _MOST_KEPT = 200_000, 32_000_000  # characters
_POSSIBLE_NAME = re.compile(r"[^-:\s\x00-\x1f\x7f][^\s\x00-\x1f\x7f]{0,249}")


class GitHistory:
    """Implements `bot.domain.changes.History` over a clone at ``path``. Close it, or use it in a ``with`` block.

    Several threads may ask: questions to a process are put one after another. Refs are looked up afresh for every comparison, so a
    mirror may be fetched into meanwhile.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._environment = {**os.environ, **_ENVIRONMENT}
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
            self._environment.pop(name, None)
        self._git_dir = _git_directory(Path(path), self._environment)
        self._objects: Process | None = None
        self._differ: Process | None = None
        self._nodes: dict[str, parsing.Node] = {}
        self._ancestors: dict[str, frozenset[str]] = {}
        self._trees: dict[str, tuple[tuple[str, str, bool], ...]] = {}
        self._texts: dict[str, str] = {}
        self._kept = 0
        self._tags: tuple[Tag, ...] | None = None
        self._keep_tags = False
        self._lock = threading.RLock()
        self._url: str | None = None
        self.shallow = (self._git_dir / "shallow").exists()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the reading processes; asking again starts them anew."""
        for process in (self._objects, self._differ):
            if process is not None:
                process.close()
        self._objects = self._differ = None

    # -- the port

    def compare(self, *, base: str, head: str) -> Range:
        """What head has that base lacks. Raises WrongUse for unknown names, Unavailable for a damaged repository."""
        with self._lock:
            return self._compare(base, head)

    def _compare(self, base: str, head: str) -> Range:
        if not self._keep_tags:
            self._tags = None
        old, new = self._resolve(base), self._resolve(head)
        self._load((old.sha, new.sha))
        merge_base, relation = self._relate(old.sha, new.sha)
        commits = self._ordered(self._reached(new.sha) - self._reached(old.sha))
        lacking = self._ordered(self._reached(old.sha) - self._reached(new.sha))
        changes, unread = self._changes(merge_base or old.sha, new.sha)
        blind = (*self._blind_spots(merge_base), *unread)
        hotfixes = tuple(commit for commit in lacking if len(commit.parents) < 2)  # noqa: PLR2004 - a merge has two parents
        return Range(old, new, merge_base, relation, commits, changes, blind, hotfixes)

    def _ordered(self, commits: AbstractSet[str]) -> tuple[Commit, ...]:
        nodes = sorted((self._nodes[sha] for sha in commits), key=lambda node: node.position)
        return tuple(node.commit for node in nodes)

    def blob(self, *, blob: str) -> str | None:
        """The text of a blob; None where the clone lacks it. What is no UTF-8 is replaced, never refused."""
        if blob not in self._texts:
            found = self._object(blob)
            text = found[2].decode("utf-8", "replace") if found and found[1] == "blob" else None
            self._keep(blob, text)
            return text
        return self._texts[blob]

    def _keep(self, blob: str, text: str | None) -> None:
        """A blob never changes. What the clone lacks may be fetched meanwhile, so that is asked for again."""
        if text is None or len(text) > _LARGEST_KEPT:
            return
        if self._kept + len(text) > _MOST_KEPT:
            self._texts, self._kept = {}, 0
        self._texts[blob] = text
        self._kept += len(text)

    def files(self, *, commit: str, under: str) -> Mapping[str, str]:
        """Path → blob of every file at or below ``under`` in a commit."""
        found = self._object(f"{commit}:{under.rstrip('/')}")
        if found is None:
            return {}
        if found[1] == "blob":
            return {under: found[0]}
        return dict(self._walk(found[0], under.rstrip("/") + "/" if under else ""))

    def version_tags(self) -> Sequence[Tag]:
        """Tags x.y.z in numeric order; annotated ones by the commit that they point at."""
        if self._tags is None:
            lines = self._run(
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
            self._load((commit,))
            reached = self._reached(commit)
        return max((tag.version for tag in self.version_tags() if tag.sha in reached), default=None)

    def web_url(self) -> str:
        """GitHub's page of origin, if origin is there; METASPACE's name is taken from nowhere else."""
        if self._url is None:
            self._url = self._read_url()
        return self._url

    def _read_url(self) -> str:
        with contextlib.suppress(Unavailable):
            if match := _GITHUB.search(self._run("config", "--get", "remote.origin.url").strip()):
                return f"https://github.com/{match[1]}"
        return ""

    def prefetch(self, commits: Iterable[str]) -> None:
        """Read the graph behind many commits at once, and keep the tags as they are now: for many questions in a row."""
        self._keep_tags = True
        self._load(tuple(commits))

    # -- names and the graph

    def _resolve(self, name: str) -> Ref:
        if not _POSSIBLE_NAME.fullmatch(name):
            raise WrongUse(f"{name[:60]!r} cannot be the name of a commit.", hint="a tag, a branch or a commit's SHA")
        for candidate in (f"refs/tags/{name}", name, f"refs/remotes/origin/{name}"):
            found = self._object(f"{candidate}^{{commit}}")
            if found is not None and found[1] == "commit":
                return Ref(name, found[0])
        raise WrongUse(f"{name[:60]!r} is no tag, branch or commit here.", hint=self._suggest(name))

    def _suggest(self, name: str) -> str:
        names = self._run("for-each-ref", "--format=%(refname:lstrip=2)", "refs/tags", "refs/heads").splitlines()
        close = difflib.get_close_matches(name, names, n=3)
        known = f"did you mean {' or '.join(close)}?" if close else "git tag and git branch list the names"
        return known + (" This clone is shallow: fetch more of it." if self.shallow else "")

    def _load(self, tips: Sequence[str]) -> None:
        wanted = [sha for sha in dict.fromkeys(tips) if sha not in self._nodes]
        if not wanted:
            return
        arguments = "\n".join([*wanted, *(f"^{sha}" for sha in self._ancestors)])
        text = self._run(
            "log",
            "-z",
            "--no-show-signature",
            "--encoding=UTF-8",
            f"--format={parsing.LOG_FORMAT}",
            "--stdin",
            feed=arguments,
        )
        start = len(self._nodes)
        for position, record in enumerate(filter(None, text.split("\0"))):
            node = parsing.node(record, start + position)
            self._nodes.setdefault(node.commit.sha, node)

    def _reached(self, tip: str) -> frozenset[str]:
        if tip not in self._ancestors:
            seen: set[str] = set()
            queue = [tip]
            while queue:
                sha = queue.pop()
                if sha in seen or sha not in self._nodes:
                    continue
                if sha in self._ancestors:
                    seen |= self._ancestors[sha]
                    continue
                seen.add(sha)
                queue.extend(self._nodes[sha].commit.parents)
            self._ancestors[tip] = frozenset(seen)
        return self._ancestors[tip]

    def _relate(self, base: str, head: str) -> tuple[str | None, Relation]:
        if base == head:
            return base, Relation.IDENTICAL
        if base in self._reached(head):
            return base, Relation.AHEAD
        if head in self._reached(base):
            return head, Relation.BEHIND
        with contextlib.suppress(Unavailable):
            return self._run("merge-base", base, head).strip() or None, Relation.DIVERGED
        return None, Relation.DIVERGED

    def _blind_spots(self, merge_base: str | None) -> Iterator[str]:
        if self.shallow:
            yield "This clone is shallow: commits before its edge were not seen (git fetch --unshallow)."
        if merge_base is None:
            yield "The two sides share no commit that this clone has: they were compared file by file."

    # -- differences

    def _changes(self, old: str, new: str) -> tuple[tuple[Change, ...], tuple[str, ...]]:
        trees = self._nodes[old].tree, self._nodes[new].tree
        if self._differ is None:
            self._differ = self._start("diff-tree", "--stdin", "-r", "-z", "--raw", "--no-abbrev", "-M", "-l2000")
        try:
            return tuple(parsing.parse_raw(self._differ.pair(*trees))), ()
        except BrokenPipeError:
            self._differ.close()
            self._differ = None
        return self._changes_without_contents(*trees)

    def _changes_without_contents(self, old: str, new: str) -> tuple[tuple[Change, ...], tuple[str, ...]]:
        """Renames are found by contents. Where the clone lacks some (a partial clone), those files are left out of it."""
        plain = tuple(parsing.parse_raw(self._diff(old, new, "--no-renames")))
        absent = tuple(
            change for change in plain if any(self._absent(blob) for blob in (change.old_blob, change.new_blob))
        )
        if not absent:
            raise Unavailable("Git could not compare the two commits.", hint="git fsck on the clone")
        outside = [f":(top,exclude,literal){change.path}" for change in absent]
        return (*parsing.parse_raw(self._diff(old, new, "-M", "-l2000", "--", ":/", *outside)), *absent), ()

    def _diff(self, old: str, new: str, *options: str) -> bytes:
        if "--" in options:
            split = options.index("--")
            options, paths = options[:split], options[split:]
        else:
            paths = ()
        return self._run("diff-tree", "-r", "-z", "--raw", "--no-abbrev", *options, old, new, *paths).encode(
            "utf-8", "surrogateescape"
        )

    def _absent(self, blob: str) -> bool:
        return bool(blob) and self._object(blob) is None

    # -- objects

    def _object(self, name: str) -> tuple[str, str, bytes] | None:
        with self._lock:
            if self._objects is None:
                self._objects = self._start("cat-file", "--batch")
            try:
                return self._objects.object(name)
            except BrokenPipeError:
                self._objects.close()
                self._objects = None
                return None

    def _walk(self, tree: str, prefix: str) -> Iterator[tuple[str, str]]:
        for name, sha, is_tree in self._entries(tree):
            if is_tree:
                yield from self._walk(sha, f"{prefix}{name}/")
            else:
                yield f"{prefix}{name}", sha

    def _entries(self, tree: str) -> tuple[tuple[str, str, bool], ...]:
        if tree not in self._trees:
            found = self._object(tree)
            self._trees[tree] = tuple(parsing.parse_tree(found[2], len(tree) // 2)) if found else ()
        return self._trees[tree]

    # -- processes

    def _start(self, *arguments: str) -> Process:
        return Process(["git", f"--git-dir={self._git_dir}", *arguments], self._environment)

    def _run(self, *arguments: str, feed: str = "") -> str:
        command = ["git", f"--git-dir={self._git_dir}", *arguments]
        done = subprocess.run(command, input=feed.encode(), capture_output=True, check=False, env=self._environment)
        if done.returncode:
            reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise Unavailable(
                f"git {arguments[0]} failed: {reason[-1] if reason else done.returncode}", hint="git fsck on the clone"
            )
        return done.stdout.decode("utf-8", "surrogateescape" if arguments[0] == "diff-tree" else "replace")


def _git_directory(path: Path, environment: Mapping[str, str]) -> Path:
    """Where the objects are, for work trees, linked work trees and bare clones alike.

    Git is asked itself: importing GitPython costs more than a whole review. Folders above ``path`` are not searched.
    """
    if not path.is_dir():
        raise WrongUse(f"{path} is no folder.", hint="--repo takes the folder of a clone, bare or not")
    ceiling = {**environment, "GIT_CEILING_DIRECTORIES": str(path.resolve().parent)}
    command = ["git", "-C", str(path), "rev-parse", "--absolute-git-dir"]
    done = subprocess.run(command, capture_output=True, check=False, env=ceiling)
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise WrongUse(
            f"{path} is no Git repository that can be read: {reason[0] if reason else ''}.",
            hint="--repo takes the folder of a clone, bare or not",
        )
    return Path(done.stdout.decode("utf-8", "surrogateescape").strip())
