"""Drafting the notes from what GitHub knows of each pull request: its labels, its text, the issue that it closes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.domain import notes
from bot.domain.notes import Note, NoteKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bot.domain.changes import Commit
    from bot.domain.notes import Titled
    from bot.domain.world import IssueInfo, PullRequestInfo


@dataclass(frozen=True, slots=True)
class Draft:
    """Notes that nobody has confirmed yet. ``left_out`` are lines that the tag does not get, kept for who wants them back.

    ``pull_requests`` are all numbers of the range. ``titles_only``: GitHub was not there to ask.
    """

    lines: tuple[Note, ...] = ()
    left_out: tuple[Note, ...] = ()
    pull_requests: tuple[int, ...] = ()
    titles_only: bool = False

    @property
    def text(self) -> str:
        """The lines of the notes, as they stand in a tag."""
        return "\n".join(notes.line(one) for one in self.lines)

    def params(self) -> dict[str, Any]:
        """What a plan keeps of it for the step that confirms the notes."""
        left_out = "\n".join(notes.line(one) for one in self.left_out)
        said = {"left_out": left_out, "titles_only": self.titles_only}
        return {"draft": self.text, **{name: value for name, value in said.items() if value}}

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Draft:
        """Read what `params` wrote (``draft``), or what a form collected (``text``)."""
        text = values.get("text", values.get("draft"))
        return cls(
            tuple(notes.parse(str(text or ""))),
            tuple(notes.parse(str(values.get("left_out") or ""))),
            titles_only=bool(values.get("titles_only")),
        )


def draft(
    pulls: Sequence[Titled],
    *,
    known: Mapping[int, PullRequestInfo] | None = None,
    issues: Mapping[int, IssueInfo] | None = None,
) -> Draft:
    """Make a line for every pull request (``pulls`` come newest first), in the order of `notes.draft_all`.

    ``known`` is what GitHub says of them, None when it was not there to ask; ``issues`` are those that they close.
    """
    asked, linked = known or {}, issues or {}
    closers = Counter(number for pull in asked.values() for number in set(pull.issues))
    found = [_line(pull, asked.get(pull.number), linked, closers) for pull in reversed(pulls)]
    order = list(NoteKind)
    ordered = sorted(found, key=lambda pair: order.index(pair[0].kind))
    return Draft(
        lines=tuple(note for note, wanted in ordered if wanted),
        left_out=tuple(note for note, wanted in ordered if not wanted),
        pull_requests=tuple(sorted(pull.number for pull in pulls)),
        titles_only=known is None and bool(pulls),
    )


def of_commits(commits: Sequence[Commit]) -> Draft:
    """The draft of a range without a pull request: the subjects of its commits (newest first), merges left away."""
    written = [one.subject for one in reversed(commits) if not one.parents[1:]]
    found = dict.fromkeys(Note(notes.kind_of(one), notes.clean(one)) for one in written)
    order = list(NoteKind)
    return Draft(lines=tuple(sorted(found, key=lambda note: order.index(note.kind))))


def release_note(body: str) -> str | None:
    """The words that a pull request's text has for its users; empty when it says that there is nothing to tell.

    A line ``Release note: …``, a section under that heading, or a fenced block ``release-note``: the first that is found.
    None where there is none. Comments of HTML and quotations do not count.
    """
    text = _COMMENT.sub("", body)
    fenced = _FENCED.search(text)
    found = fenced["text"] if fenced else _written(_CODE.sub("", text).splitlines())
    if found is None:
        return None
    said = notes.plain(_MARKUP.sub(r"\1", found)).strip(" *_")
    return "" if said.casefold().rstrip(".") in _NOTHING else said


def _line(
    pull: Titled, known: PullRequestInfo | None, issues: Mapping[int, IssueInfo], closers: Mapping[int, int]
) -> tuple[Note, bool]:
    """One pull request's line, and whether it belongs into the notes."""
    title = known.title if known else pull.title
    labels = known.labels if known else pull.labels
    kind = notes.kind_of(title, labels)
    if known is None or kind is NoteKind.DEPENDABOT:  # its text quotes the release notes and issues of somebody else
        return Note(kind, notes.clean(title), pull.number), True
    closed = [issues[number] for number in known.issues if number in issues]
    kind = notes.kind_of(title, labels, [label for issue in closed for label in issue.labels])
    said = release_note(known.body)
    if said:
        own = notes.parse_line(said)
        return Note(own.kind if own else kind, notes.text_of(own.title if own else said), pull.number), True
    alone = len(known.issues) == 1 and len(closed) == 1 and closers[closed[0].number] == 1
    return Note(kind, notes.clean(closed[0].title if alone else title), pull.number), said is None


def _written(lines: Sequence[str]) -> str | None:
    for place, line in enumerate(lines):
        match = _ONE_LINE.match(line)
        if match and match["text"].strip():
            return match["text"]
        if match or _HEADING.match(line):
            return " ".join(_paragraph(lines[place + 1 :]))
    return None


def _paragraph(lines: Iterable[str]) -> Iterator[str]:
    """The first lines that say something, up to an empty one or the next heading."""
    begun = False
    for line in lines:
        if line.lstrip().startswith("#") or (begun and not line.strip()):
            return
        if line.strip():
            begun = True
            yield _BULLET.sub("", line.strip())


_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_CODE = re.compile(r"^(`{3,}|~{3,}).*?(?:^\1|\Z)|^\s*>.*?$", re.DOTALL | re.MULTILINE)
_FENCED = re.compile(r"^```\s*release-notes?\s*$(?P<text>.*?)(?:^```|\Z)", re.DOTALL | re.MULTILINE | re.IGNORECASE)
_ONE_LINE = re.compile(r"^\s*(?:[-*+]\s+)?[*_]*release[ -]notes?[*_]*\s*:[*_]*(?P<text>.*)$", re.IGNORECASE)
_HEADING = re.compile(r"^\s*#{1,6}\s*release[ -]notes?\s*:?\s*#*\s*$", re.IGNORECASE)
_BULLET = re.compile(r"^(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?")
_MARKUP = re.compile(r"\[([^\][]*)\]\(https?://[^)\s]*\)")  # a link of Markdown: its words stay
_NOTHING = frozenset({"", "none", "no", "n/a", "na", "-", "–", "nothing", "not needed", "skip"})
