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
_VOLATILE = (
    r"(?:\b(?:clock_timestamp|random|uuid_generate_\w+|gen_random_uuid|nextval)\s*\(|serial\b|generated\b.*\bas\b)"
)
_LITERAL = re.compile(
    r"`(?P<back>(?:[^`\\]|\\.)*)`|'''(?P<t1>.*?)'''|\"\"\"(?P<t2>.*?)\"\"\"|\"(?P<d>(?:[^\"\\\n]|\\.)*)\"|'(?P<s>(?:[^'\\\n]|\\.)*)'",
    re.DOTALL,
)
_STATEMENT = re.compile(
    r"^\s*(create|alter|drop|update|insert|delete|truncate|with|do|vacuum|reindex|cluster)\b", re.IGNORECASE
)
_CONSTANT = re.compile(r"\b(\w+)\s*(?::\s*\w+\s*)?=\s*(?P<quote>['\"`])([\w.\"]+)(?P=quote)")
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
    names = {match[1]: match[3] for match in _CONSTANT.finditer(code)}
    for match in _LITERAL.finditer(code):
        literal = next((group for group in match.groups() if group is not None), "")
        literal = re.sub(r"\$?\{(\w+)\}", lambda place: names.get(place[1], place[0]), literal)
        if _STATEMENT.match(literal):
            found += _from_sql(literal.replace('\\"', '"').replace("\\'", "'"), code.count("\n", 0, match.start()) + 1)
    return found + list(_from_calls(code))


def _from_sql(sql: str, first_line: int) -> Iterator[Effect]:
    clean = _COMMENT.sub("", sql)
    for statement in clean.split(";"):
        squeezed = " ".join(statement.split())
        if squeezed:
            yield from _effects_of(squeezed, first_line)


_COLUMN = r'"?(?!(?:column|constraint)\b)(\w+)"?'


def _pattern(text: str) -> re.Pattern[str]:
    """A pattern in which NAME stands for a table and COLUMN for a column."""
    return re.compile(
        text.replace("NAME", _NAME).replace("COLUMN", _COLUMN).replace("VOLATILE", _VOLATILE), re.IGNORECASE
    )


_UPDATE = _pattern(r"update (?:only )?NAME(?: (?:as )?(?!set\b)\w+)? set (.*)")
_ALTER = _pattern("alter table (?:if exists )?(?:only )?NAME (.*)")
_INSIDE = _pattern(r"\b(?:update NAME set|insert into NAME|delete from NAME )")
_Form = tuple[re.Pattern[str], str, Weight, bool]
_SIMPLE: tuple[_Form, ...] = tuple(
    (_pattern(text), verb, weight, breaks)
    for text, verb, weight, breaks in (
        ("create (?:unlogged )?table (?:if not exists )?NAME", "creates", Weight.INSTANT, False),
        ("drop table (?:if exists )?NAME", "drops", Weight.INSTANT, True),
        ("truncate (?:table )?NAME", "empties", Weight.INSTANT, True),
        ("create (?:unique )?index concurrently .*? on NAME", "indexes, others go on,", Weight.ROWS, False),
        (r"create (?:unique )?index .*?\bon NAME", "indexes", Weight.SCAN, False),
        (r"insert into NAME.*\bselect\b", "copies rows into", Weight.ROWS, False),
        ("insert into NAME", "adds rows to", Weight.ROWS, False),
        ("delete from NAME", "deletes rows of", Weight.ROWS, False),
        (r"vacuum (?:\(?\s*full\b.*?\)?) ?(?:analyze )?NAME", "rewrites", Weight.REWRITE, False),
        ("cluster (?:verbose )?NAME", "rewrites", Weight.REWRITE, False),
        ("reindex table (?!concurrently)NAME", "indexes", Weight.SCAN, False),
    )
)
_ALTERATIONS: tuple[_Form, ...] = tuple(
    (_pattern(text), verb, weight, breaks)
    for text, verb, weight, breaks in (
        (r"add constraint .*(?:not valid|using index)", "adds a constraint to", Weight.INSTANT, False),
        (r"add (?:constraint .*?)?foreign key", "adds a foreign key to", Weight.SCAN, False),
        (r"add (?:constraint .*?)?primary key", "adds a primary key to", Weight.SCAN, False),
        (r"add (?:constraint .*?)?unique", "adds a unique constraint to", Weight.SCAN, False),
        (r"add (?:constraint .*?)?(?:check|exclude)", "adds a check to", Weight.SCAN, False),
        (
            r"add (?:column )?(?:if not exists )?COLUMN (?=.*VOLATILE)",
            "adds a column with a computed default to",
            Weight.REWRITE,
            False,
        ),
        ("add (?:column )?(?:if not exists )?COLUMN ", "adds a column to", Weight.INSTANT, False),
        (r"alter (?:column )?COLUMN (?:set data )?type\b", "changes a column's type in", Weight.REWRITE, True),
        ("alter (?:column )?COLUMN set not null", "forbids null in", Weight.SCAN, False),
        (r"set (?:un)?logged\b", "rewrites", Weight.REWRITE, False),
        ("validate constraint ", "checks, others go on,", Weight.ROWS, False),
        ("drop column (?:if exists )?COLUMN", "drops a column of", Weight.INSTANT, True),
        ("rename to", "renames", Weight.INSTANT, True),
        (r"rename (?:column )?COLUMN to COLUMN", "renames in", Weight.INSTANT, True),
    )
)


def _effects_of(sql: str, line: int) -> Iterator[Effect]:
    for pattern, verb, weight, breaks in _SIMPLE:
        if match := pattern.match(sql):
            yield Effect(verb, _bare(match[1]), weight, breaks_old=breaks, line=line)
            return
    if match := _UPDATE.match(sql):
        columns = re.findall(r'(?:^|,)\s*\(?\s*"?(\w+)"?\s*(?==)', _outside_brackets(match[2]))
        yield Effect("back-fills", _bare(match[1]), Weight.ROWS, tuple(dict.fromkeys(columns)), line=line)
    elif match := _ALTER.match(sql):
        yield from (_alteration(_bare(match[1]), action.strip(), line) for action in _split(match[2]))
    elif match := _INSIDE.search(sql):
        yield Effect("back-fills", _bare(match[1] or match[2] or match[3]), Weight.ROWS, line=line)


def _alteration(table: str, action: str, line: int) -> Effect:
    """The first form that fits; the last fits all."""
    for pattern, verb, weight, breaks in _ALTERATIONS:
        if match := pattern.match(action):
            columns = tuple(group for group in match.groups() if group)
            return Effect(verb, table, weight, columns, breaks_old=breaks, line=line)
    return Effect("alters", table, Weight.INSTANT, line=line)


_CALL = re.compile(
    r"queryRunner\s*\.\s*(createTable|dropTable|renameTable|addColumns?|dropColumns?|changeColumn|renameColumn|createIndex|createForeignKey)"
    r"\s*\(\s*(?:new\s+\w+\s*\(\s*\{[^{}\[\]]*?\bname\s*:\s*)?['\"`]([\w.]+)['\"`](?:\s*,\s*['\"`](\w+)['\"`])?"
)
_COLUMN_NAME = re.compile(r"\bname\s*:\s*['\"`](\w+)['\"`]")
_CALLS = {
    "createTable": ("creates", Weight.INSTANT, False),
    "dropTable": ("drops", Weight.INSTANT, True),
    "renameTable": ("renames", Weight.INSTANT, True),
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
        if match[1].startswith("addColumn"):
            given = _arguments(code, match.start())
            columns = tuple(_COLUMN_NAME.findall(given))
            if re.search(_VOLATILE, given, re.IGNORECASE):
                verb, weight = "adds a column with a computed default to", Weight.REWRITE
        yield Effect(verb, _bare(match[2]), weight, columns, breaks, code.count("\n", 0, match.start()) + 1)


def _arguments(code: str, start: int) -> str:
    """The text of a call, up to the bracket that closes it."""
    depth = 0
    for index in range(code.index("(", start), len(code)):
        depth += (code[index] == "(") - (code[index] == ")")
        if depth == 0:
            return code[start:index]
    return code[start:]


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
