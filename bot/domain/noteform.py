"""The notes as text fields, and back: one or more boxes a kind, and one for what is left out.

A line is a title and ``#number``. Its box says its kind, so moving a line into another box regroups it, and moving it
within a box reorders it. A box is never empty: `NOTHING` stands in one that has no line, because a text field that comes
back empty may also be one that nobody touched. A field may also come back on one line (a Slack that draws no field of several
lines): then a line ends after the number of a pull request.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.domain import notes
from bot.domain.notes import Note, NoteKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from bot.domain.drafting import Draft

NOTHING = "–"
ROOM = 2400  # UTF-16 units in a box; Slack takes 3,000, so there is room to write
MOST_LINES = 300
LONGEST = 400  # characters of a line
LEFT_OUT = "left-out"
WHOLE = "notes"  # one text for everything, each line with its kind
_GROUPS: tuple[tuple[str, NoteKind | None], ...] = (
    *((kind.value.lower(), kind) for kind in NoteKind),
    (LEFT_OUT, None),
)
_BOX = re.compile(rf"(?P<group>{'|'.join(name for name, _ in _GROUPS)})-\d{{1,3}}")
_END = " \n"  # the space keeps lines apart in a field of one line
_BULLET = re.compile(r"^(?:[–•*-]\s+|[–•*-]$)")
_NUMBER = re.compile(r"(?<=\s)\(?#(?P<number>\d{1,9})\)?(?:(?=[A-Z\[])|(?=\s+[^\s#(]))", re.ASCII)
_BRACKET = re.compile(r"^\[(?P<word>[^\]]*)\]\s*(?P<rest>.*)$")
_TITLE = re.compile(r"^(?P<title>.*?)\s*(?:(?:^|(?<=\s))\(?#(?P<number>\d{1,9})\)?)?$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Box:
    """One text field; ``kind`` is None for what is left out. ``number`` counts from 1 ``of`` the boxes of its group."""

    name: str
    kind: NoteKind | None
    number: int
    of: int
    text: str

    @property
    def filled(self) -> bool:
        """Whether it holds a line."""
        return self.text != NOTHING


def boxes(draft: Draft) -> tuple[Box, ...]:
    """The boxes of a draft, at least one for each kind and one for what is left out; every line stands in one."""
    found: list[Box] = []
    for group, kind in _GROUPS:
        mine = [one for one in draft.lines if one.kind is kind] if kind else draft.left_out
        parts = list(_parts([_written(one) for one in mine])) or [NOTHING]
        found += [Box(f"{group}-{n}", kind, n + 1, len(parts), part) for n, part in enumerate(parts)]
    return tuple(found)


def collect(values: Mapping[str, str | None], draft: Draft) -> Draft:
    """The draft that somebody made of this one. A field that comes back as None was left alone.

    A pull request that stands nowhere any more is left out, not forgotten.
    """
    numbers = {one.number for one in (*draft.lines, *draft.left_out)}
    lines: list[Note] = []
    left_out: list[Note] = []
    for kind, text in _fields(values, draft):
        for written in _lines(text, numbers):
            note = _read(written, kind or _kind_before(written, draft))
            (lines if kind else left_out).append(note)
    kept = {one.number for one in lines if one.number is not None}
    left_out = [one for one in left_out if one.number not in kept]
    seen = kept | {one.number for one in left_out}
    gone = [one for one in (*draft.lines, *draft.left_out) if one.number is not None and one.number not in seen]
    order = list(NoteKind)
    lines.sort(key=lambda one: order.index(one.kind))
    return replace(draft, lines=tuple(lines), left_out=(*left_out, *dict.fromkeys(gone)))


def complaints(values: Mapping[str, str | None], *, filled: Collection[str] = ()) -> dict[str, str]:
    """What keeps the form open, by field. ``filled`` are the fields that held a line when the form was opened."""
    typed = {name: _lines(text) for name, text in values.items() if text is not None and _is_field(name)}
    found = {name: wrong for name, lines in typed.items() if (wrong := next(_wrong(lines), ""))}
    names = [name for name in values if _is_field(name) and not name.startswith(LEFT_OUT)]
    alone = [name for name in names if name not in typed and name in filled]
    counted = sum(len(typed.get(name, ())) for name in names)
    if names and not counted and not alone:
        found.setdefault(names[0], "The notes are empty. Write at least one line: what is new, and #number.")
    if counted > MOST_LINES:
        most = max(names, key=lambda name: len(typed.get(name, ())))
        found.setdefault(most, f"{counted} lines are too many: at most {MOST_LINES}. Move some to “Left out”.")
    return found


def typed(values: Mapping[str, str | None]) -> list[str]:
    """Every line that came back in a form, each box after the other."""
    return [line for name, text in values.items() if text and _is_field(name) for line in _lines(text)]


def _wrong(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        bracket = _BRACKET.match(line)
        if bracket and notes.kind_named(bracket["word"]) is None:
            kinds = ", ".join(NoteKind)
            yield f"“[{bracket['word'][:30]}]” is none of {kinds}. Leave it away: the box says the kind."
        if not _split(bracket["rest"] if bracket else line)[0]:
            yield f"“{line[:40]}” has no title."
        if len(line) > LONGEST:
            yield f"“{line[:40]}…” has {len(line)} characters; at most {LONGEST}."
    twice = [line for line, times in Counter(lines).items() if times > 1]
    if twice:
        yield f"“{twice[0][:60]}” stands here twice."


def _fields(values: Mapping[str, str | None], draft: Draft) -> Iterator[tuple[NoteKind | None, str]]:
    """Every field's kind and text; one that was left alone has the text that it was opened with."""
    whole = values.get(WHOLE)
    if whole is not None:
        yield NoteKind.TASK, whole
        return
    opened = {box.name: box.text for box in boxes(draft)}
    kinds = dict(_GROUPS)
    for name in dict.fromkeys((*opened, *values)):
        if match := _BOX.fullmatch(name):
            text = values.get(name)
            yield kinds[match["group"]], opened.get(name, "") if text is None else text


def _is_field(name: str) -> bool:
    return name == WHOLE or bool(_BOX.fullmatch(name))


def _lines(text: str, numbers: Collection[int | None] | None = None) -> list[str]:
    """The lines that say something; the sign and the heading of a tag message, or a bullet, may stand before them.

    ``numbers`` are those that end a line where there is but one; None lets any.
    """
    written = text.splitlines() if "\n" in text else _parted(text, numbers)
    stripped = (_BULLET.sub("", notes.plain(line).removeprefix(">").strip()).strip() for line in written)
    return [line for line in stripped if line and f"> {line}" != notes.HEADING]


def _parted(text: str, numbers: Collection[int | None] | None) -> Iterator[str]:
    """The lines of a text that lost its line ends: each with a title, ending after its number."""
    begin = 0
    for end in _NUMBER.finditer(text):
        known = numbers is None or int(end["number"]) in numbers
        if known and text[begin : end.start()].strip(f" {NOTHING}-"):
            yield text[begin : end.end()]
            begin = end.end()
    yield text[begin:]


def _read(line: str, kind: NoteKind) -> Note:
    """A kind written before the line wins over that of its box."""
    bracket = _BRACKET.match(line)
    named = notes.kind_named(bracket["word"]) if bracket else None
    title, number = _split(bracket["rest"] if bracket and named else line)
    return Note(named or kind, title or line, number if title else None)


def _split(text: str) -> tuple[str, int | None]:
    match = _TITLE.match(text)
    if match is None:
        return text, None
    return match["title"], int(match["number"]) if match["number"] else None


def _kind_before(line: str, draft: Draft) -> NoteKind:
    """What is left out keeps the kind that it had."""
    title, number = _split(line)
    same = [one for one in (*draft.left_out, *draft.lines) if one.number == number]
    known = [one.kind for one in same if number is not None or one.title == title]
    return known[0] if known else NoteKind.TASK


def _written(note: Note) -> str:
    number = f" #{note.number}" if note.number is not None else ""
    needs_kind = note.title.startswith(("[", ">", NOTHING, "-", "*", "•"))
    return f"[{note.kind}] {note.title}{number}" if needs_kind else f"{note.title}{number}"


def _parts(lines: Iterable[str]) -> Iterator[str]:
    """Whole lines, as many as a box holds."""
    part: list[str] = []
    used = 0
    for line in lines:
        size = len(line.encode("utf-16-le", "replace")) // 2 + len(_END)
        if part and used + size > ROOM:
            yield _END.join(part)
            part, used = [], 0
        part.append(line)
        used += size
    if part:
        yield _END.join(part)
