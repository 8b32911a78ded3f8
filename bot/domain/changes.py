"""What changed between two commits, and the port through which a repository is read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from bot.domain.version import Version


class Relation(StrEnum):
    """How head stands to base, in GitHub's words."""

    AHEAD = "ahead"
    BEHIND = "behind"
    DIVERGED = "diverged"
    IDENTICAL = "identical"


class Status(StrEnum):
    """What happened to a file; the letters are Git's."""

    ADDED = "A"
    MODIFIED = "M"
    DELETED = "D"
    RENAMED = "R"
    TYPE = "T"


@dataclass(frozen=True, slots=True)
class Ref:
    """A name as a person gave it, and the commit it meant."""

    ref: str
    sha: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A version tag and the commit that it marks."""

    version: Version
    sha: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit; ``parents`` has two or more entries for a merge."""

    sha: str
    subject: str
    author: str
    author_email: str
    committed_at: datetime
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One file's change. ``old_path`` is set for renames; blobs are Git object names, empty where the file is absent."""

    status: Status
    path: str
    old_path: str = ""
    old_blob: str = ""
    new_blob: str = ""

    @property
    def before(self) -> str:
        """The path in the older commit."""
        return self.old_path or self.path


@dataclass(frozen=True, slots=True)
class Range:
    """``base..head``: commits are those head has and base lacks; changes are ``merge_base..head``, newest commit first.

    ``lacking`` are the commits that base has and head lacks, merges left out: hotfixes that a release of head would undo.
    """

    base: Ref
    head: Ref
    merge_base: str | None
    relation: Relation
    commits: tuple[Commit, ...]
    changes: tuple[Change, ...]
    blind_spots: tuple[str, ...] = ()
    lacking: tuple[Commit, ...] = ()


class History(Protocol):
    """A repository, read and never written. Blocking: call it in a thread. Raises WrongUse for names that are no commits."""

    def compare(self, *, base: str, head: str) -> Range:
        """What head has that base lacks."""

    def blob(self, *, blob: str) -> str | None:
        """The text of a Git blob by its object name; None where the clone lacks it."""

    def expect(self, *, blobs: Iterable[str]) -> None:
        """Say which blobs will be asked for, so that they can be got ready together. Nothing depends on it but time."""

    def files(self, *, commit: str, under: str) -> Mapping[str, str]:
        """Path → blob of every file below a folder (or of one file); empty where there is none."""

    def version_tags(self) -> Sequence[Tag]:
        """Tags of the form x.y.z, in numeric order."""

    def version_at(self, *, commit: str) -> Version | None:
        """The version that marks a commit, else the newest one that it contains; None where it contains none."""

    def web_url(self) -> str:
        """The repository's page for people, without a final slash; empty where unknown."""
