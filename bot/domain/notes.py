"""Release notes in METASPACE's form and words: ``[Task] Mono mass #1388``.

The kinds are those of METASPACE's tag messages: Task, Bug and Dependabot (``Deps`` in older ones).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEADING = "> Release notes:"


class NoteKind(StrEnum):
    """What a line of the notes is about; also their order."""

    TASK = "Task"
    BUG = "Bug"
    DEPENDABOT = "Dependabot"


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the notes; ``number`` is the pull request, None for a line that a person wrote freely."""

    kind: NoteKind
    title: str
    number: int | None = None


class Titled(Protocol):
    """A pull request, as far as notes need one."""

    @property
    def number(self) -> int:
        """The pull request's number."""

    @property
    def title(self) -> str:
        """The title as it was merged."""

    @property
    def labels(self) -> Sequence[str]:
        """The names of its labels, as far as known."""


class Reviewed(Protocol):
    """A review, as far as notes need one."""

    @property
    def pull_requests(self) -> Sequence[Titled]:
        """Newest first."""


_NUMBER = re.compile(r"\s*\(#\d+\)\s*$")
_COMPONENT = re.compile(r"^\[[\w ./-]{1,40}\]\s*:?\s*")
_PREFIX = re.compile(
    r"^(?P<type>feat(?:ure)?|fix(?:es)?|bug(?:fix)?|hotfix|task|chore|build|ci|docs?|refactor|perf|style|test|update)"
    r"(?:\([^)]*\))?(?P<mark>!?:\s*|/\s*)",
    re.IGNORECASE,
)
_DEPENDENCY = re.compile(
    r"\bbumps?\b.+\bfrom\b.+\bto\b|^bump\b.*\bgroup\b|\bdependabot\b|^\(?deps(-dev)?\)?:", re.IGNORECASE
)
_DEPENDENCY_TYPE = re.compile(r"^(build|chore)\(deps(-dev)?\)", re.IGNORECASE)
_BUG = re.compile(
    r"\b(fix(e[sd])?|fixing|bugs?|bugfix(es)?|hotfix|errors?|broken|crash(es)?|typos?|regressions?|workaround|wrong)\b",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"^\s*>?\s*\[(?P<kind>[\w ]+)\]\s*(?P<title>.*?)\s*(?:(?<=\s)\(?#(?P<number>\d{1,9})\)?)?\s*$", re.ASCII
)
_KINDS = {
    **dict.fromkeys(("task", "feat"), NoteKind.TASK),
    **dict.fromkeys(("bug", "bugs", "fix", "hotfix"), NoteKind.BUG),
    **dict.fromkeys(("dependabot", "deps"), NoteKind.DEPENDABOT),
}
_BUG_LABELS = frozenset({"bug", "bugfix", "hotfix", "regression"})
_TASK_LABELS = frozenset({"enhancement", "feature", "improvement", "task"})
_DEPENDENCY_LABELS = frozenset({"dependencies", "dependabot"})
_LONGEST_TITLE = 200


def draft(review: Reviewed) -> list[Note]:
    """A line for every pull request of a review, for a person to pick from and reword."""
    return draft_all(review.pull_requests)


def draft_all(pulls: Sequence[Titled]) -> list[Note]:
    """Tasks first, then bugs, then dependencies; within each in the order of merging (``pulls`` come newest first)."""
    notes = [Note(kind_of(pr.title, pr.labels), clean(pr.title), pr.number) for pr in reversed(pulls)]
    order = list(NoteKind)
    return sorted(notes, key=lambda note: order.index(note.kind))


def kind_of(title: str, labels: Iterable[str] = (), issue_labels: Iterable[str] = ()) -> NoteKind:
    """A dependency first, by label or title; then the labels of pull request and issue; then prefix and words of the title.

    Everything else is a task.
    """
    own, issue = _names(labels), _names(issue_labels)
    if own & _DEPENDENCY_LABELS or _DEPENDENCY_TYPE.match(title) or _DEPENDENCY.search(title):
        return NoteKind.DEPENDABOT
    for named in (own, issue):
        if named & _BUG_LABELS:
            return NoteKind.BUG
        if named & _TASK_LABELS:
            return NoteKind.TASK
    prefix = _PREFIX.match(_COMPONENT.sub("", title))
    if prefix and prefix["type"].casefold().startswith(("fix", "bug", "hotfix")):
        return NoteKind.BUG
    if prefix and prefix["type"].casefold().startswith(("feat", "task")):
        return NoteKind.TASK
    return NoteKind.BUG if _BUG.search(title) else NoteKind.TASK


def kind_named(word: str) -> NoteKind | None:
    """The kind that a word between brackets means, in today's vocabulary or an older one; None for another word."""
    return _KINDS.get(word.strip().casefold())


def clean(title: str) -> str:
    """A title in users' words: without number, component, branch-like prefix and control characters; first letter large."""
    text = _NUMBER.sub("", plain(title))
    for pattern in (_COMPONENT, _PREFIX, _COMPONENT):
        text = pattern.sub("", text, count=1)
    text = text.strip().rstrip(".").strip() or _NUMBER.sub("", plain(title)).strip() or "(no title)"
    return text_of(text)


def text_of(text: str) -> str:
    """What somebody wrote, as the text of one line: no control characters, not too long, first letter large."""
    line = plain(text)
    line = line if len(line) <= _LONGEST_TITLE else line[: _LONGEST_TITLE - 1].rstrip() + "…"
    return line[:1].upper() + line[1:]


def plain(text: str) -> str:
    """Any text on one line, with single spaces and nothing that does not print."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def tag_message(notes: Sequence[Note]) -> str:
    """The annotated tag's message in METASPACE's form."""
    return "\n".join([HEADING, *(f">   {line(note)}" for note in notes)]) + "\n"


def line(note: Note) -> str:
    """One note as it stands in a tag, without the quote sign."""
    number = f" #{note.number}" if note.number is not None else ""
    return f"[{note.kind}] {note.title}{number}"


def parse(message: str) -> list[Note]:
    """The notes of a tag message, tolerant of its older forms; lines of another form are no notes."""
    return [note for text in message.splitlines() if (note := parse_line(text))]


def parse_line(text: str) -> Note | None:
    """Read one line such as ``[Bug] Colours #12``; None for another form."""
    match = _LINE.match(text)
    kind = kind_named(match["kind"]) if match else None
    if not match or not kind or not match["title"]:
        return None
    return Note(kind, match["title"], int(match["number"]) if match["number"] else None)


def _names(labels: Iterable[str]) -> set[str]:
    """Labels without their group and their emoji: ``type: bug``, ``kind/bug`` and ``bug :beetle:`` all say bug."""
    bare = (re.sub(r":\w+:", "", label).casefold() for label in labels)
    return {re.split(r"[:/]", label)[-1].strip() for label in bare}
