"""A code repository's history as data, and the fast import of it into Git. The same input gives the same commit ids."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sandbox.processes import output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

EPOCH = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SUFFIX = ".seed"  # of files that our own tools would otherwise take for ours

RELEASE = "release"
MASTER = "master"


@dataclass(frozen=True, slots=True)
class Person:
    """Who wrote a commit, with the GitHub login."""

    login: str
    name: str
    address: str = ""  # of somebody who does not hide it

    @property
    def email(self) -> str:
        """Their own address, or the one that GitHub gives people who hide theirs, from which the login can be read."""
        return self.address or f"{self.login}@users.noreply.github.com"


# Ada is in the settings by her login, Bo in Slack by his address, and nobody knows who Chen is.
ADA = Person("ada", "Ada Keller")
BO = Person("bo-lindqvist", "Bo Lindqvist", "bo@example.org")
CHEN = Person("chen", "Chen Wu")
DEPENDABOT = Person("dependabot[bot]", "dependabot[bot]")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: ``changes`` maps paths to their new text, None deletes."""

    branch: str
    author: Person
    message: str
    changes: Mapping[str, str | None]
    parent: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag on the commit of that number; without a message it is a lightweight one."""

    name: str
    commit: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class Talk:
    """What stands on GitHub about a pull request, beside its title."""

    labels: tuple[str, ...] = ()
    body: str = ""


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue on GitHub."""

    number: int
    title: str
    labels: tuple[str, ...] = ()


@dataclass
class History:
    """Commits in the making. A commit's number, from 1, is its mark in the import.

    ``base`` is the commit, already in the repository, that each branch's first commit here follows; empty for none.
    """

    commits: list[Commit] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    heads: dict[str, int] = field(default_factory=dict)
    files: dict[str, dict[str, str]] = field(default_factory=lambda: {MASTER: {}})
    next_pull: int = 1500
    talk: dict[int, Talk] = field(default_factory=dict)  # by pull request
    issues: list[Issue] = field(default_factory=list)
    base: str = ""

    def commit(
        self,
        author: Person,
        message: str,
        changes: Mapping[str, str | None],
        *,
        branch: str = MASTER,
        at: datetime | None = None,
    ) -> int:
        """Add a commit to a branch and return its number."""
        at = at or EPOCH + timedelta(hours=19 * len(self.commits))
        self.commits.append(Commit(branch, author, message, dict(changes), self.heads.get(branch), at))
        self.heads[branch] = len(self.commits)
        tree = self.files.setdefault(branch, {})
        for path, text in changes.items():
            if text is None:
                tree.pop(path, None)
            else:
                tree[path] = text
        return len(self.commits)

    def squash(
        self, author: Person, subject: str, changes: Mapping[str, str | None], *, talk: Talk | None = None
    ) -> int:
        """Add a squash-merged pull request to master: ``subject (#N)``, as METASPACE merges. ``talk`` stays on GitHub."""
        self.next_pull += 1
        if talk:
            self.talk[self.next_pull] = talk
        return self.commit(author, f"{subject} (#{self.next_pull})\n", changes)

    def edit(self, path: str, old: str, new: str, *, branch: str = MASTER) -> dict[str, str | None]:
        """Return the change that replaces ``old`` by ``new``, which must be there exactly once."""
        text = self.files[branch][path]
        if text.count(old) != 1:
            raise ValueError(f"{path} holds {old!r} {text.count(old)} times, expected once")
        return {path: text.replace(old, new)}

    def tag(self, name: str, message: str = "") -> None:
        """Tag master's newest commit."""
        self.tags.append(Tag(name, self.heads[MASTER], message))

    def release_here(self) -> None:
        """Bring the release branch to master's newest commit."""
        self.heads[RELEASE] = self.heads[MASTER]
        self.files[RELEASE] = dict(self.files[MASTER])

    def stream(self) -> bytes:
        """Return what ``git fast-import`` reads (git-fast-import(1))."""
        out = BytesIO()
        for number, commit in enumerate(self.commits, 1):
            _write_commit(out, number, commit, self.base)
        for branch, number in self.heads.items():
            out.write(f"reset refs/heads/{branch}\nfrom :{number}\n\n".encode())
        for tag in self.tags:
            _write_tag(out, tag, self.commits[tag.commit - 1])
        return out.getvalue()


def _write_commit(out: BytesIO, number: int, commit: Commit, base: str) -> None:
    stamp = f"{int(commit.at.timestamp())} +0000"
    out.write(f"commit refs/heads/{commit.branch}\nmark :{number}\n".encode())
    out.write(f"author {commit.author.name} <{commit.author.email}> {stamp}\n".encode())
    out.write(f"committer GitHub <noreply@github.com> {stamp}\n".encode())
    _write_data(out, commit.message)
    parent = base if commit.parent is None else f":{commit.parent}"
    if parent:
        out.write(f"from {parent}\n".encode())
    for path, text in commit.changes.items():
        if text is None:
            out.write(f"D {path}\n".encode())
        else:
            mode = "100755" if path.endswith(".sh") else "100644"
            out.write(f"M {mode} inline {path}\n".encode())
            _write_data(out, text)


def _write_tag(out: BytesIO, tag: Tag, commit: Commit) -> None:
    if not tag.message:
        out.write(f"reset refs/tags/{tag.name}\nfrom :{tag.commit}\n\n".encode())
        return
    stamp = f"{int(commit.at.timestamp()) + 1800} +0000"
    out.write(f"tag {tag.name}\nfrom :{tag.commit}\ntagger {ADA.name} <{ADA.email}> {stamp}\n".encode())
    _write_data(out, tag.message)


def _write_data(out: BytesIO, text: str) -> None:
    raw = text.encode()
    out.write(b"data %d\n%b\n" % (len(raw), raw))


async def import_history(history: History, bare: Path) -> None:
    """Make a bare repository of it; `Unavailable` with Git's words when Git refuses."""
    await output(["git", "init", "-q", "--bare", "--initial-branch", MASTER, str(bare)])
    await output(["git", "-C", str(bare), "fast-import", "--quiet", "--force"], stdin=history.stream())


def tree(folder: Traversable, prefix: str = "") -> dict[str, str]:
    """Return the files below one of the package's folders: path → text."""
    found = dict(_walk(folder, PurePosixPath(prefix)))
    return {re.sub(f"{re.escape(SUFFIX)}$", "", path): text for path, text in found.items()}


def _walk(folder: Traversable, prefix: PurePosixPath) -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            yield from _walk(entry, prefix / entry.name)
        else:
            name = ".gitignore" if entry.name == f"gitignore{SUFFIX}" else entry.name
            yield str(prefix / name), entry.read_text(encoding="utf-8")


def playbook() -> dict[str, str]:
    """Return the sandbox's own playbook and roles, as they lie in a METASPACE checkout: ``ansible/aws/…``, ``ansible/roles/…``."""
    return tree(files("sandbox") / "ansible", "ansible")


def seed() -> dict[str, str]:
    """Return the files of the miniature METASPACE, without Ansible."""
    return tree(files("sandbox") / "seed")
