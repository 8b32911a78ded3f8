"""What a migration does to PostgreSQL's tables, read from the SQL in it and from TypeORM's calls.

Facts about locks are PostgreSQL's (documentation of ALTER TABLE and of explicit locking, version 11 and later).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Weight(StrEnum):
    """How long an effect holds others up, by the size of its table."""

    INSTANT = "instant"  # catalogue only, a short lock
    SCAN = "scan"  # reads the whole table while others wait
    REWRITE = "rewrite"  # writes the whole table while others wait
    ROWS = "rows"  # changes rows one by one; readers go on


@dataclass(frozen=True, slots=True)
class Effect:
    """One statement's effect. ``columns`` are those it touches; ``breaks_old`` if code from before cannot work after it."""

    verb: str
    table: str
    weight: Weight
    columns: tuple[str, ...] = ()
    breaks_old: bool = False
    line: int = 0

    def __str__(self) -> str:
        columns = f" ({', '.join(self.columns)})" if self.columns else ""
        return f"{self.verb} {self.table}{columns}"


_NAME = r'((?:"?[\w]+"?\.)?"?[\w]+"?)'
# now() is stable, not volatile: PostgreSQL evaluates it once, and rewrites nothing.
_VOLATILE = re.compile(
    r"\b(clock_timestamp|random|uuid_generate_\w+|gen_random_uuid|nextval)\s*\(|serial\b|generated\b.*\bas\b",
    re.IGNORECASE,
)
_LITERAL = re.compile(
    r"`(?P<back>(?:[^`\\]|\\.)*)`|'''(?P<t1>.*?)'''|\"\"\"(?P<t2>.*?)\"\"\"|\"(?P<d>(?:[^\"\\\n]|\\.)*)\"|'(?P<s>(?:[^'\\\n]|\\.)*)'",
    re.DOTALL,
)
_STATEMENT = re.compile(r"^\s*(create|alter|drop|update|insert|delete|truncate|with)\b", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_CODE_COMMENT = re.compile(r"^\s*(?://|#|\*).*$", re.MULTILINE)
_DOWN = re.compile(r"\bdown\s*\(\s*\w+\s*:|\basync\s+down\s*\(|\bfunction\s+down\b")


def effects(text: str, path: str) -> list[Effect]:
    """The effects of a migration's way up, in order."""
    if path.endswith(".sql"):
        return list(_from_sql(text, 1))
    way_up = text[: match.start()] if path.endswith((".ts", ".js")) and (match := _DOWN.search(text)) else text
    code = _CODE_COMMENT.sub("", way_up)
    found: list[Effect] = []
    for match in _LITERAL.finditer(code):
        literal = next((group for group in match.groups() if group is not None), "")
        if _STATEMENT.match(literal):
            found += _from_sql(literal.replace('\\"', '"').replace("\\'", "'"), code.count("\n", 0, match.start()) + 1)
    return found + list(_from_calls(code))


def _from_sql(sql: str, first_line: int) -> Iterator[Effect]:
    clean = _COMMENT.sub("", sql)
    for statement in clean.split(";"):
        squeezed = " ".join(statement.split())
        if squeezed:
            yield from _effects_of(squeezed, first_line)


def _effects_of(sql: str, line: int) -> Iterator[Effect]:
    for pattern, verb, weight, breaks in _SIMPLE:
        if match := pattern.match(sql):
            yield Effect(verb, _bare(match[1]), weight, breaks_old=breaks, line=line)
            return
    if match := re.match(rf"update (?:only )?{_NAME}(?: (?:as )?(?!set\b)\w+)? set (.*)", sql, re.IGNORECASE):
        columns = re.findall(r'(?:^|,)\s*\(?\s*"?(\w+)"?\s*(?==)', _outside_brackets(match[2]))
        yield Effect("back-fills", _bare(match[1]), Weight.ROWS, tuple(dict.fromkeys(columns)), line=line)
    elif match := re.match(rf"alter table (?:if exists )?(?:only )?{_NAME} (.*)", sql, re.IGNORECASE):
        table = _bare(match[1])
        for action in _split(match[2]):
            yield _alteration(table, action, line)
    elif match := re.search(rf"\b(?:update {_NAME} set|insert into {_NAME}|delete from {_NAME} )", sql, re.IGNORECASE):
        yield Effect("back-fills", _bare(match[1] or match[2] or match[3]), Weight.ROWS, line=line)


_SIMPLE = (
    (
        re.compile(rf"create (?:unlogged )?table (?:if not exists )?{_NAME}", re.IGNORECASE),
        "creates",
        Weight.INSTANT,
        False,
    ),
    (re.compile(rf"drop table (?:if exists )?{_NAME}", re.IGNORECASE), "drops", Weight.INSTANT, True),
    (re.compile(rf"truncate (?:table )?{_NAME}", re.IGNORECASE), "empties", Weight.INSTANT, True),
    (
        re.compile(rf"create (?:unique )?index concurrently .*? on {_NAME}", re.IGNORECASE),
        "indexes, others go on,",
        Weight.ROWS,
        False,
    ),
    (re.compile(rf"create (?:unique )?index .*?\bon {_NAME}", re.IGNORECASE), "indexes", Weight.SCAN, False),
    (re.compile(rf"insert into {_NAME}.*\bselect\b", re.IGNORECASE), "copies rows into", Weight.ROWS, False),
    (re.compile(rf"insert into {_NAME}", re.IGNORECASE), "adds rows to", Weight.ROWS, False),
    (re.compile(rf"delete from {_NAME}", re.IGNORECASE), "deletes rows of", Weight.ROWS, False),
)


def _alteration(table: str, action: str, line: int) -> Effect:
    words = action.strip()
    column = r'"?(?!(?:column|constraint)\b)(\w+)"?'
    if match := re.match(rf"add constraint .*?(foreign key|check|unique|primary key|exclude)", words, re.IGNORECASE):
        kind = match[1].lower()
        weight = Weight.INSTANT if "not valid" in words.lower() or "using index" in words.lower() else Weight.SCAN
        return Effect(f"adds a {kind} to", table, weight, line=line)
    if re.match(r"add (?:primary|unique|foreign|check)", words, re.IGNORECASE):
        return Effect("adds a constraint to", table, Weight.SCAN, line=line)
    if match := re.match(rf"add (?:column )?(?:if not exists )?{column} (.*)", words, re.IGNORECASE):
        rewrites = _VOLATILE.search(match[2]) is not None
        verb = "adds a column with a computed default to" if rewrites else "adds a column to"
        return Effect(verb, table, Weight.REWRITE if rewrites else Weight.INSTANT, (match[1],), line=line)
    if match := re.match(rf"alter (?:column )?{column} (?:set data )?type\b", words, re.IGNORECASE):
        return Effect("changes a column's type in", table, Weight.REWRITE, (match[1],), breaks_old=True, line=line)
    if match := re.match(rf"alter (?:column )?{column} set not null", words, re.IGNORECASE):
        return Effect("forbids null in", table, Weight.SCAN, (match[1],), line=line)
    if match := re.match(rf"drop (?:column )(?:if exists )?{column}", words, re.IGNORECASE):
        return Effect("drops a column of", table, Weight.INSTANT, (match[1],), breaks_old=True, line=line)
    if match := re.match(rf"rename (?:column )?{column} to {column}", words, re.IGNORECASE):
        return Effect("renames in", table, Weight.INSTANT, (match[1], match[2]), breaks_old=True, line=line)
    if re.match(r"rename to", words, re.IGNORECASE):
        return Effect("renames", table, Weight.INSTANT, breaks_old=True, line=line)
    return Effect("alters", table, Weight.INSTANT, line=line)


_CALL = re.compile(
    r"queryRunner\s*\.\s*(createTable|dropTable|addColumns?|dropColumns?|changeColumn|renameColumn|createIndex|createForeignKey)"
    r"\s*\(\s*(?:new\s+\w+\s*\(\s*\{\s*name\s*:\s*)?['\"`]([\w.]+)['\"`](?:\s*,\s*['\"`](\w+)['\"`])?"
)
_CALLS = {
    "createTable": ("creates", Weight.INSTANT, False),
    "dropTable": ("drops", Weight.INSTANT, True),
    "addColumn": ("adds a column to", Weight.INSTANT, False),
    "addColumns": ("adds columns to", Weight.INSTANT, False),
    "dropColumn": ("drops a column of", Weight.INSTANT, True),
    "dropColumns": ("drops columns of", Weight.INSTANT, True),
    "changeColumn": ("changes a column of", Weight.REWRITE, True),
    "renameColumn": ("renames in", Weight.INSTANT, True),
    "createIndex": ("indexes", Weight.SCAN, False),
    "createForeignKey": ("adds a foreign key to", Weight.SCAN, False),
}


def _from_calls(code: str) -> Iterator[Effect]:
    for match in _CALL.finditer(code):
        verb, weight, breaks = _CALLS[match[1]]
        columns = (match[3],) if match[3] else ()
        yield Effect(verb, _bare(match[2]), weight, columns, breaks, code.count("\n", 0, match.start()) + 1)


def _bare(name: str) -> str:
    """A table's name without schema and quotes."""
    return name.replace('"', "").rsplit(".", 1)[-1].lower()


def _split(actions: str) -> Iterator[str]:
    depth = start = 0
    for index, char in enumerate(actions):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            yield actions[start:index]
            start = index + 1
    yield actions[start:]


def _outside_brackets(text: str) -> str:
    """An assignment list up to its FROM or WHERE, with strings and bracketed parts blanked."""
    plain = re.sub(r"'(?:[^']|'')*'", "''", text)
    while (shorter := re.sub(r"\([^()]*\)", " ", plain)) != plain:
        plain = shorter
    return re.split(r"\b(?:from|where|returning)\b", plain, maxsplit=1, flags=re.IGNORECASE)[0]
