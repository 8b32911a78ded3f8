"""GraphQL schema files, parsed by graphql-core and merged as METASPACE's server merges them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.domain.rules.reading import Reading

ROOT = "metaspace/graphql"
_BEGINNING = re.compile(r"^(?:extend\s+)?(?:type|interface|input|enum|union|scalar|schema|directive)\b", re.MULTILINE)
BUILT_IN = frozenset({"String", "Int", "Float", "Boolean", "ID"})


@dataclass(frozen=True, slots=True)
class SchemaField:
    """A field, input field or enum value; ``type`` is as written, empty for enum values and members."""

    name: str
    type: str
    arguments: tuple[tuple[str, str, bool], ...]  # name, type, whether it has a default
    path: str
    line: int

    @property
    def required(self) -> bool:
        """Whether the type ends with an exclamation mark."""
        return self.type.endswith("!")


@dataclass(slots=True)
class SchemaType:
    """A type with all its fields, from its definition and its extensions."""

    name: str
    kind: str
    fields: dict[str, SchemaField] = field(default_factory=dict)


@dataclass
class Schema:
    """One version's merged schema; ``broken`` are files that do not parse."""

    types: dict[str, SchemaType] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @cached_property
    def undefined(self) -> list[str]:
        """Types that are used and never defined: such a schema does not build."""
        used = {_named(name) for kind in self.types.values() for each in kind.fields.values() for name in _types(each)}
        return sorted(used - self.types.keys() - BUILT_IN - {""})


@dataclass(frozen=True, slots=True)
class _Definition:
    name: str
    kind: str
    fields: tuple[SchemaField, ...]


def read(reading: Reading, commit: str) -> Schema:
    """The schema of a commit, from every .graphql file of the server."""
    files = sorted(schema_files(reading, commit).items())
    reading.expect(blob for _, blob in files)
    return _merged(tuple((path, reading.blob(blob, path)) for path, blob in files))


@lru_cache(maxsize=32)
def _merged(files: tuple[tuple[str, str], ...]) -> Schema:
    """The schema of some files, by path and text. Most commits leave it as it is, so it is kept, and nobody changes it."""
    from graphql import GraphQLError

    schema = Schema()
    for path, text in files:
        try:
            definitions = _definitions(text, path)
        except (GraphQLError, RecursionError) as error:
            schema.broken.append(f"{path} does not parse ({str(error).splitlines()[0]})")
            continue
        for found in definitions:
            merged = schema.types.setdefault(found.name, SchemaType(found.name, found.kind))
            merged.fields.update({each.name: each for each in found.fields})
    return schema


def schema_files(reading: Reading, commit: str) -> Mapping[str, str]:
    """Path → blob of the server's schema files."""
    below = {
        **reading.files(commit=commit, under=f"{ROOT}/schemas"),
        **reading.files(commit=commit, under=f"{ROOT}/schema.graphql"),
    }
    return {path: blob for path, blob in below.items() if path.endswith((".graphql", ".gql"))}


@lru_cache(maxsize=1024)
def _definitions(text: str, path: str) -> tuple[_Definition, ...]:
    """A file's definitions. Raises GraphQLError. Each is parsed by itself first: most are the same in every version."""
    from graphql import GraphQLError

    found: list[_Definition] = []
    try:
        for start, piece in _pieces(text):
            line = text.count("\n", 0, start)
            found += [_moved(each, path, line) for each in _parsed(piece)]
    except GraphQLError:
        return tuple(_moved(each, path, 0) for each in _parsed(text))
    return tuple(found)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    starts = [0, *(match.start() for match in _BEGINNING.finditer(text)), len(text)]
    for start, end in pairwise(starts):
        if text[start:end].strip():
            yield start, text[start:end]


def _moved(each: _Definition, path: str, line: int) -> _Definition:
    fields = tuple(SchemaField(one.name, one.type, one.arguments, path, one.line + line) for one in each.fields)
    return _Definition(each.name, each.kind, fields)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple[_Definition, ...]:
    from graphql import parse

    if not re.sub(r"#[^\n]*", "", text).strip():
        return ()
    return tuple(_definition_of(node, "") for node in parse(text).definitions if getattr(node, "name", None))


def _definition_of(node: object, path: str) -> _Definition:
    name = getattr(node, "name").value  # noqa: B009 - definitions of every kind share these attributes, not a class
    kind = type(node).__name__.replace("DefinitionNode", "").replace("ExtensionNode", "")
    return _Definition(name, kind, tuple(_fields(node, path)))


def _fields(node: object, path: str) -> Iterator[SchemaField]:
    for attribute in ("fields", "values", "types"):
        for each in getattr(node, attribute, None) or ():
            kind = getattr(each, "type", None)
            name = each.name.value
            arguments = tuple(
                (one.name.value, _written(one.type), one.default_value is not None)
                for one in getattr(each, "arguments", None) or ()
            )
            line = each.loc.start_token.line if each.loc else 0
            default = getattr(each, "default_value", None) is not None
            yield SchemaField(
                name,
                f"{_written(kind)}{' = …' if default else ''}" if kind else "",
                arguments,
                path,
                _named_line(each, line),
            )


def _named_line(node: object, line: int) -> int:
    """The line of the name: a description may stand above it."""
    loc = getattr(getattr(node, "name", None), "loc", None)
    return int(loc.start_token.line) if loc else line


def _written(node: object) -> str:
    """A type as GraphQL writes it; graphql-core's printer is far slower."""
    inner = getattr(node, "type", None)
    if inner is None:
        return str(getattr(node, "name").value)  # noqa: B009 - a named type, the only kind without an inner one
    return f"[{_written(inner)}]" if type(node).__name__ == "ListTypeNode" else f"{_written(inner)}!"


def _types(found: SchemaField) -> Iterator[str]:
    yield found.type.split(" = ")[0]
    yield from (kind for _, kind, _ in found.arguments)


def _named(written: str) -> str:
    return written.strip("[]!")
