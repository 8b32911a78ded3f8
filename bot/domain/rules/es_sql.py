"""The columns that a SELECT yields, each with a form of its expression that survives reformatting and renamed aliases.

Only what METASPACE's exporter needs of SQL is understood: select lists, sub-selects, joins, CTEs and stars.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?\*/)|(?P<string>'(?:[^']|'')*')|(?P<quoted>"[^"]*")|(?P<word>[A-Za-z_][\w$]*)"""
    r"""|(?P<number>\d[\d.]*)|(?P<sign>%\(\w+\)s|%s|->>|->|\#>>|\#>|::|\|\||<=|>=|<>|!=|.)""",
    re.DOTALL,
)
_SELECT = re.compile(r"\s*(WITH|SELECT)\b", re.IGNORECASE)
_ENDS = frozenset({"where", "group", "order", "limit", "having", "union", "offset", "window", "except", "intersect"})
_JOINS = frozenset({"join", "left", "right", "full", "inner", "outer", "cross", "natural", "lateral"})
_AGGREGATES = frozenset(
    {"max", "min", "sum", "avg", "count", "array_agg", "string_agg", "json_agg", "jsonb_agg", "bool_or"}
)
_NO_ALIAS = frozenset({"end", "null", "true", "false", "on"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word or sign; unquoted words are in lower case, as PostgreSQL reads them."""

    text: str
    start: int
    is_word: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the result. ``by_alias`` names tables as the statement does, ``by_table`` by what they stand for.

    An expression is the same if either form is: an alias may be renamed, and a table may be renamed behind its alias.
    """

    name: str
    by_alias: str
    by_table: str
    offset: int
    tables: frozenset[tuple[str, str]] = frozenset()

    def same_value(self, other: Column) -> bool:
        """Whether both columns hold the same."""
        return self.by_alias == other.by_alias or self.by_table == other.by_table


@dataclass(slots=True)
class _Source:
    alias: str
    table: str
    condition: tuple[Token, ...]
    select: _Select | None = None


@dataclass(slots=True)
class _Select:
    items: list[list[Token]]
    sources: list[_Source]
    tail: list[Token]
    columns: dict[str, Column] = field(default_factory=dict)


def is_select(text: str) -> bool:
    """Whether a string is a query."""
    return _SELECT.match(text) is not None


def columns(sql: str) -> Mapping[str, Column]:
    """Column name → column of a query's outermost select list."""
    return _read(sql).columns


def rows(sql: str) -> str:
    """Which rows a query gives: its tables and conditions, by the tables' names, in no order; how they are sorted is nothing."""
    return _rows(_read(sql))


def _rows(select: _Select) -> str:
    aliases = {source.alias: source for source in select.sources}
    end = _find(select.tail, 0, frozenset({"order", "limit"}))
    tables = [f"({_rows(source.select)})" if source.select else source.table for source in select.sources[:1]]
    return " ".join([*tables, *_resolved(select.tail[:end], aliases)])


def main_table(sql: str) -> str:
    """The table that the rows come from, through sub-selects: its last name, without schema; empty where none is seen."""
    select: _Select | None = _read(sql)
    while select is not None and select.sources:
        source = select.sources[0]
        if source.select is None:
            return source.table.rsplit(".", 1)[-1]
        select = source.select
    return ""


@lru_cache(maxsize=64)
def _read(sql: str) -> _Select:
    return _parse(list(_tokens(sql)), {})


def _tokens(sql: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(sql):
        if match.lastgroup == "skip":
            continue
        text = match.group()
        if match.lastgroup == "quoted":
            yield Token(text[1:-1], match.start(), is_word=True)
        elif match.lastgroup == "word":
            yield Token(text.lower(), match.start(), is_word=True)
        else:
            yield Token(text, match.start(), is_word=False)


def _parse(tokens: list[Token], known: dict[str, _Select]) -> _Select:
    tokens, known = _common_tables(tokens, dict(known))
    start = next((i for i, token in enumerate(tokens) if token.text == "select"), None)
    if start is None:
        return _Select([], [], [])
    start = _after_distinct(tokens, start + 1)
    frm = _find(tokens, start, frozenset({"from"}) | _ENDS)
    end = _find(tokens, frm, _ENDS)
    sources = [_source(part, known) for part in _split_sources(tokens[frm + 1 : end])] if frm < end else []
    select = _Select(list(_split(tokens[start:frm])), sources, tokens[end:])
    select.columns = {column.name: column for item in select.items for column in _columns(item, select)}
    return select


def _common_tables(tokens: list[Token], known: dict[str, _Select]) -> tuple[list[Token], dict[str, _Select]]:
    if not tokens or tokens[0].text != "with":
        return tokens, known
    at = 1
    while at + 1 < len(tokens):
        opening = _find(tokens, at, frozenset({"("}))
        if tokens[at].text == "select" or opening >= len(tokens):
            break
        closing = _closing(tokens, opening)
        known[tokens[at].text] = _parse(tokens[opening + 1 : closing], known)
        at = closing + 2 if closing + 1 < len(tokens) and tokens[closing + 1].text == "," else closing + 1
        if at < len(tokens) and tokens[at].text == "select":
            break
    return tokens[at:], known


def _after_distinct(tokens: list[Token], at: int) -> int:
    if at < len(tokens) and tokens[at].text in ("distinct", "all"):
        at += 1
        if at + 1 < len(tokens) and tokens[at].text == "on":
            at = _closing(tokens, at + 1) + 1
    return at


def _find(tokens: Sequence[Token], start: int, words: frozenset[str]) -> int:
    """The first of some words outside of brackets, or the end."""
    depth = 0
    for index in range(start, len(tokens)):
        text = tokens[index].text
        if depth == 0 and text in words and not (index and tokens[index - 1].text == "."):
            return index
        depth += (text in "([") - (text in ")]") if len(text) == 1 else 0
    return len(tokens)


def _closing(tokens: Sequence[Token], opening: int) -> int:
    depth = 0
    for index in range(opening, len(tokens)):
        depth += (tokens[index].text == "(") - (tokens[index].text == ")")
        if depth == 0:
            return index
    return len(tokens)


def _split(tokens: list[Token]) -> Iterator[list[Token]]:
    while tokens:
        comma = _find(tokens, 0, frozenset({","}))
        yield tokens[:comma]
        tokens = tokens[comma + 1 :]


def _split_sources(tokens: list[Token]) -> Iterator[list[Token]]:
    start = depth = 0
    for index, token in enumerate(tokens):
        if depth == 0 and index > start and (token.text in _JOINS or token.text == ","):
            yield tokens[start:index]
            start = index
        depth += (token.text == "(") - (token.text == ")")
    yield tokens[start:]


def _source(tokens: list[Token], known: dict[str, _Select]) -> _Source:
    while tokens and (tokens[0].text in _JOINS or tokens[0].text == ","):
        tokens = tokens[1:]
    on = _find(tokens, 0, frozenset({"on", "using"}))
    condition, tokens = tuple(tokens[on:]), tokens[:on]
    if tokens and tokens[0].text == "(":
        closing = _closing(tokens, 0)
        alias = tokens[-1].text if closing < len(tokens) - 1 else ""
        return _Source(alias, "(select)", condition, _parse(tokens[1:closing], known))
    name_end = 1
    while name_end + 1 < len(tokens) and tokens[name_end].text == ".":
        name_end += 2
    table = "".join(token.text for token in tokens[:name_end])
    alias = tokens[-1].text if len(tokens) > name_end else table.rsplit(".", 1)[-1]
    return _Source(alias, table, condition, known.get(table))


def _columns(item: list[Token], select: _Select) -> Iterator[Column]:
    if item and item[-1].text == "*" and len(item) in (1, 3):
        for source in select.sources:
            if source.select and item[0].text in ("*", source.alias):
                for column in source.select.columns.values():
                    yield Column(column.name, column.by_alias, column.by_table, column.offset, column.tables)
        return
    name, expression = _named(item)
    if name is not None:
        yield _column(name, expression, item[-1].start, select)


def _named(item: list[Token]) -> tuple[str | None, list[Token]]:
    if not item:
        return None, item
    last = item[-1]
    if len(item) > 2 and item[-2].text == "as":  # noqa: PLR2004 - "expression AS name"
        return last.text, item[:-2]
    if all(token.is_word or token.text == "." for token in item) and (len(item) == 1 or item[-2].text == "."):
        return last.text, item
    before = item[-2] if len(item) > 1 else None
    if last.is_word and before and (before.is_word or before.text[-1] in ")'") and last.text not in _NO_ALIAS:
        return last.text, item[:-1]
    return (item[0].text, item) if item[0].is_word and item[-1].text == ")" else (None, item)


def _column(name: str, tokens: list[Token], offset: int, select: _Select) -> Column:
    while tokens and tokens[0].text == "(" and _closing(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    aliases = {source.alias: source for source in select.sources}
    used = [
        aliases[tokens[i].text]
        for i in range(len(tokens) - 1)
        if tokens[i + 1].text == "." and tokens[i].text in aliases
    ]
    used += select.sources[:1] if not used else []
    parts = [tokens, *(source.condition for source in _unique(used))]
    if any(token.text in _AGGREGATES for token in tokens):
        parts.append(select.tail)
    inner = [source.select for source in _unique(used) if source.select and source is not select.sources[0]]
    by_alias = [" ".join(token.text for token in part) for part in (*parts, *(joined.tail for joined in inner))]
    by_table = [" ".join(_resolved(part, aliases)) for part in parts]
    by_table += [" ".join(_resolved(joined.tail, {each.alias: each for each in joined.sources})) for joined in inner]
    return Column(name, " | ".join(by_alias), " | ".join(by_table), offset, _tables(tokens, aliases, select))


def _unique(sources: Sequence[_Source]) -> list[_Source]:
    return list({id(source): source for source in sources}.values())


def _resolved(tokens: Sequence[Token], aliases: Mapping[str, _Source]) -> Iterator[str]:
    for index, token in enumerate(tokens):
        source = aliases.get(token.text) if index + 1 < len(tokens) and tokens[index + 1].text == "." else None
        if source is None:
            yield token.text
            continue
        column = (
            source.select.columns.get(tokens[index + 2].text) if source.select and index + 2 < len(tokens) else None
        )
        yield f"[{column.by_table}]" if column else source.table


def _tables(tokens: Sequence[Token], aliases: Mapping[str, _Source], select: _Select) -> frozenset[tuple[str, str]]:
    """The (table, column) pairs that an expression reads; a bare word reads the first table."""
    found: set[tuple[str, str]] = set()
    for index, token in enumerate(tokens):
        if index + 2 < len(tokens) and tokens[index + 1].text == "." and token.text in aliases:
            found |= _column_of(aliases[token.text], tokens[index + 2].text)
    if not found and len(tokens) == 1 and tokens[0].is_word and select.sources:
        found = _column_of(select.sources[0], tokens[0].text)
    return frozenset(found)


def _column_of(source: _Source, name: str) -> set[tuple[str, str]]:
    if source.select is None:
        return {(source.table.rsplit(".", 1)[-1], name)}
    column = source.select.columns.get(name)
    return set(column.tables) if column else set()
