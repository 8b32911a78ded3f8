"""A review: the facts about a range ``base...head`` that a releaser has to know, and their form as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.domain.findings import Finding, Kind, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.domain.changes import Commit, Ref, Relation
    from bot.domain.notes import Note
    from bot.domain.strategy import Strategy
    from bot.domain.version import Bump, Version

__all__ = ["Finding", "Kind", "PullRequest", "Review", "Severity", "VersionProposal", "pull_requests"]

_SQUASHED = re.compile(r"\s*\(#(\d{1,9})\)\s*$")
_MERGED = re.compile(r"^Merge pull request #(\d{1,9})\b")


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as its commit on the branch shows it; ``author`` is the commit's."""

    number: int
    title: str
    author: str
    sha: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionProposal:
    """The version to give this range; ``current`` is the newest version that base contains, None where there is none."""

    current: Version | None
    proposed: Version | None
    bump: Bump
    milestone_candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """The facts about a range. ``blind_spots`` are what could not be seen, ``remarks`` what is worth knowing besides.

    ``lacking`` are the commits that base has and head lacks: hotfixes that would be lost.
    """

    base: Ref
    head: Ref
    merge_base: str | None
    relation: Relation
    compare_url: str
    commits: tuple[Commit, ...]
    pull_requests: tuple[PullRequest, ...]
    findings: tuple[Finding, ...]
    strategy: Strategy
    version: VersionProposal
    notes: tuple[Note, ...]
    blind_spots: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    lacking: tuple[Commit, ...] = ()

    def of_kind(self, *kinds: Kind) -> tuple[Finding, ...]:
        """The findings of some kinds, in order."""
        return tuple(finding for finding in self.findings if finding.kind in kinds)

    def to_json(self) -> dict[str, Any]:
        """The object that ``releasebot review --json`` prints."""
        return {
            "base": _ref(self.base),
            "head": _ref(self.head),
            "merge_base": self.merge_base,
            "relation": self.relation.value,
            "compare_url": self.compare_url,
            "commits": len(self.commits),
            "pull_requests": [
                {"number": pr.number, "title": pr.title, "author": pr.author, "sha": pr.sha}
                for pr in self.pull_requests
            ],
            "findings": [finding.to_json() for finding in self.findings],
            "strategy": self.strategy.to_json(),
            "version": _version(self.version),
            "notes": [{"kind": note.kind.value, "title": note.title, "number": note.number} for note in self.notes],
            "blind_spots": list(self.blind_spots),
            "remarks": list(self.remarks),
        }


def pull_requests(commits: Iterable[Commit]) -> tuple[PullRequest, ...]:
    """The pull requests behind commits, each once, newest first.

    METASPACE squashes (``subject (#N)``; of several numbers the last is its own), and merged some with a merge commit.
    """
    found: dict[int, PullRequest] = {}
    for commit in commits:
        if squashed := _SQUASHED.search(commit.subject):
            number, title = int(squashed[1]), commit.subject[: squashed.start()]
        elif merged := _MERGED.match(commit.subject):
            number, title = int(merged[1]), _branch_title(commit.subject)
        else:
            continue
        found.setdefault(number, PullRequest(number, title.strip() or commit.subject, commit.author, commit.sha))
    return tuple(found.values())


def _branch_title(subject: str) -> str:
    """GitHub's merge subject names only the branch: its last part, in words."""
    branch = subject.rsplit("/", 1)[-1]
    return re.sub(r"[-_]+", " ", branch).strip()


def _ref(ref: Ref) -> dict[str, str]:
    return {"ref": ref.ref, "sha": ref.sha}


def _version(version: VersionProposal) -> dict[str, Any]:
    return {
        "current": str(version.current) if version.current else None,
        "proposed": str(version.proposed) if version.proposed else None,
        "bump": version.bump.value,
        "milestone_candidates": list(version.milestone_candidates),
    }
