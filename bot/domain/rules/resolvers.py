"""How METASPACE's GraphQL server reads document fields: a heuristic over its TypeScript, line by line, not a parser.

A read is a line with ``_source.field`` or a use of ``field`` below ``const { field } = hit._source``. A fallback is what
people write against a missing field: ``||``, ``??``, ``?.``, ``&&``, a comparison with null or undefined, an ``if``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.domain.rules.reading import Reading

ROOT = "metaspace/graphql"
_SOURCE_FILE = re.compile(r"^metaspace/graphql/(?:src/modules/.*|[\w.-]+)\.(?:ts|js)$")
_NOT_SOURCE = re.compile(r"(\.spec\.|\.test\.|/tests?/|/__|migrations/|\.d\.ts$)")
_DESTRUCTURED = re.compile(r"\{([^{}]*)\}\s*(?::\s*[\w<>\[\]]+)?\s*=\s*[\w.?]*_source\b")
_QUERY = re.compile(r"\b(term|terms|range|exists|match|prefix|wildcard|regexp)\b")
_CONDITION = re.compile(r"\bif\s*\(|\?|&&|must_not|should\b|case\b")
_FUNCTION_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Read:
    """One place where the server uses a document field."""

    path: str
    line: int
    text: str
    target: str  # the GraphQL field that is being resolved, as far as it can be seen
    fallback: bool
    opened: bool  # something inside it is used at once: a missing field throws


@dataclass(frozen=True, slots=True)
class _Source:
    path: str
    text: str
    lines: tuple[str, ...]

    def naming(self, word: str) -> Iterator[tuple[int, str]]:
        """The numbered lines, if the word occurs at all."""
        return enumerate(self.lines) if word in self.text else iter(())


def sources(reading: Reading) -> tuple[_Source, ...]:
    """The server's own code in the head."""
    if reading.kept is None:
        reading.kept = tuple(_sources(reading))
    return reading.kept  # type: ignore[return-value]


def _sources(reading: Reading) -> Iterator[_Source]:
    found = _paths(reading)
    reading.expect(blob for blob in found.values() if blob not in _TEXTS)
    for path, blob in found.items():
        text = _text(reading, blob, path)
        if "_source" in text or "term" in text:
            yield _Source(path, text, _lines(text))


def reads(field: str, code: tuple[_Source, ...]) -> Iterator[Read]:
    """Every use of a document field by resolvers."""
    direct = re.compile(rf"_source\??\.{re.escape(field)}\b|_source\??\.?\[['\"]{re.escape(field)}['\"]\]")
    for source in code:
        for number, line in source.naming(field):
            if direct.search(line):
                yield _read(source, number, direct)
            elif (match := _DESTRUCTURED.search(line)) and field in re.split(r"[\s,:]+", match[1]):
                yield from _uses(source, number, re.compile(rf"(?<![\w.'\"]){re.escape(field)}\b(?!\s*:)"))


def required_filters(field: str, code: tuple[_Source, ...]) -> Iterator[Read]:
    """Query clauses on a field that no condition surrounds: documents without the field are never found."""
    named = re.compile(rf"['\"]?\b{re.escape(field)}\b['\"]?\s*:")
    for source in code:
        for number, line in source.naming(field):
            if not (_QUERY.search(line) and named.search(line)):
                continue
            around = " ".join(source.lines[max(0, number - 3) : number + 1])
            if not _CONDITION.search(around):
                yield Read(source.path, number + 1, line.strip(), "", fallback=False, opened=False)


def resolvers(type_field: str, code: tuple[_Source, ...]) -> Iterator[tuple[str, int, str]]:
    """(path, line, text) of places that give a GraphQL field its value: ``name(…) {``, ``name: …``, where its type is resolved."""
    kind, name = type_field.rsplit(".", 1)
    pattern = re.compile(rf"^\s*(?:async\s+)?['\"]?{re.escape(name)}['\"]?\s*(?::|\()")
    for source in code:
        for number, line in source.naming(name) if _resolves(source.path, kind) else ():
            if pattern.search(line):
                yield source.path, number + 1, "\n".join(source.lines[number : number + 6])


def _resolves(path: str, kind: str) -> bool:
    """Whether a file is where a type's fields get their values: its own, its module's, or the one file that once held all."""
    *_, folder, _, name = f"//{path}".rsplit("/", 3)
    stem = name.split(".", 1)[0]
    return stem in (kind, "resolvers") or kind.casefold() in (folder.casefold(), path.rsplit("/", 2)[-2].casefold())


def has_fallback(text: str) -> bool:
    """Whether a piece of code shows a fallback of any kind."""
    return (
        re.search(r"\|\||\?\?|\?\.|[!=]==?\s*(?:null|undefined)|(?:null|undefined)\s*[!=]==?|&&|\bif\s*\(", text)
        is not None
    )


def _paths(reading: Reading) -> Mapping[str, str]:
    found = reading.files(commit=reading.new, under=ROOT)
    return {path: blob for path, blob in found.items() if _SOURCE_FILE.match(path) and not _NOT_SOURCE.search(path)}


_TEXTS: dict[str, str] = {}
_MOST_TEXTS = 4000


def _text(reading: Reading, blob: str, path: str) -> str:
    """A blob never changes: it is read once, and kept only if it matters here."""
    if blob not in _TEXTS:
        if len(_TEXTS) > _MOST_TEXTS:
            _TEXTS.clear()
        text = reading.blob(blob, path)
        _TEXTS[blob] = text if "_source" in text or "term" in text else ""
    return _TEXTS[blob]


@lru_cache(maxsize=512)
def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.splitlines())


def _uses(source: _Source, start: int, pattern: re.Pattern[str]) -> Iterator[Read]:
    guarded = False
    for number in range(start + 1, min(start + _FUNCTION_LENGTH, len(source.lines))):
        line = source.lines[number]
        if re.match(r"^ {0,2}[}\]]", line):
            return
        if pattern.search(line):
            found = _read(source, number, pattern)
            guarded = guarded or found.fallback
            yield (
                found
                if found.fallback or not guarded
                else Read(found.path, found.line, found.text, found.target, fallback=True, opened=found.opened)
            )


def _read(source: _Source, number: int, pattern: re.Pattern[str]) -> Read:
    line = source.lines[number]
    match = pattern.search(line)
    rest = line[match.end() :] if match else ""
    before = source.lines[number - 1] if number else ""
    fallback = has_fallback(line) or (has_fallback(before) and "if" in before) or rest.lstrip().startswith("?")
    return Read(source.path, number + 1, line.strip(), _target(source, number), fallback, rest[:1] in (".", "["))


def _target(source: _Source, number: int) -> str:
    """The property or resolver that a line belongs to: its own key, or the nearest head of a function above."""
    own = re.match(r"\s*['\"]?(\w+)['\"]?\s*:\s", source.lines[number])
    if own:
        return own[1]
    for line in reversed(source.lines[max(0, number - _FUNCTION_LENGTH) : number + 1]):
        head = re.match(r"^\s{0,4}(?:async\s+)?(\w+)\s*(?:\(.*\)\s*\{|:\s*(?:async\s*)?\()", line)
        if head and head[1] not in ("if", "for", "while", "switch", "function"):
            return head[1]
    return ""
