"""The fields of dataset and annotation documents as an exporter's code writes them."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.rules import es_sql
from bot.domain.rules.es_code import Code
from bot.domain.rules.es_flow import Flow
from bot.domain.rules.es_roles import ANNOTATION, DATASET

if TYPE_CHECKING:
    from bot.domain.rules.es_nodes import Guard


@dataclass(frozen=True, slots=True)
class Write:
    """One place where a document gets a field: ``doc[name] = value``, under conditions, inside a function."""

    role: str
    name: str
    value: ast.expr
    guards: tuple[Guard, ...]
    function: str
    line: int
    part: int | None = None  # the element of a tuple that cannot be taken apart
    is_removal: bool = False  # under its conditions, the field is taken out


@dataclass(frozen=True, slots=True)
class Removal:
    """``del doc[name]`` or ``doc.pop(name)``."""

    role: str
    name: str
    line: int
    function: str

    def undoes(self, write: Write, code: Code) -> bool:
        """Whether a field is taken out again after it was written: further down, or below the call that writes it."""
        if (self.role, self.name) != (write.role, write.name) or write.is_removal:
            return False
        if self.function == write.function:
            return self.line > write.line
        return write.function in code.reached_from(self.function, before=self.line)


@dataclass(slots=True)
class Field:
    """A document's field: the query's column and the writes that make it."""

    name: str
    line: int
    column: es_sql.Column | None = None
    writes: list[Write] = field(default_factory=list)


@dataclass(slots=True)
class Documents:
    """Everything known about an exporter's documents. ``skipped`` are dataset fields kept out of annotation documents."""

    code: Code
    flow: Flow
    fields: dict[str, dict[str, Field]]
    copied: bool
    skipped: frozenset[str]
    columns: dict[str, dict[str, es_sql.Column]]  # of the queries, also those that never reach a document
    bindings: object = None  # found when values are first compared

    def copies(self, name: str) -> bool:
        """Whether a dataset field is copied into every annotation document."""
        return self.copied and name.split(".", 1)[0] not in self.skipped


def read(tree: ast.Module) -> Documents:
    """Find all fields of both kinds of document."""
    from bot.domain.rules.es_collect import Collector

    code = Code.read(tree)
    flow = Flow(code)
    collector = Collector(code, flow)
    collector.collect()
    fields: dict[str, dict[str, Field]] = {DATASET: {}, ANNOTATION: {}}
    for text, expression in flow.queries.items():
        for role in flow.query_roles(text):
            _take_columns(fields[role], text, _standing(expression, code))
    columns = {role: {name: each.column for name, each in fields[role].items() if each.column} for role in fields}
    for gone in collector.removals:
        fields[gone.role].pop(gone.name, None)
    for write in collector.writes:
        if any(removal.undoes(write, code) for removal in collector.removals):
            continue
        if write.is_removal and write.name not in fields[write.role]:
            continue
        found = fields[write.role].setdefault(write.name, Field(write.name, write.line))
        found.writes.append(write)
    skips = collector.skips
    taken_out = {gone.name for gone in collector.removals if gone.role == ANNOTATION}
    return Documents(code, flow, fields, skips is not None, (skips or frozenset()) | taken_out, columns)


def _standing(expression: ast.expr, code: Code) -> ast.expr:
    """Where a query's text stands, behind the name that was used for it."""
    name = expression.id if isinstance(expression, ast.Name) else getattr(expression, "attr", "")
    return code.constants.get(name, expression)


def _take_columns(fields: dict[str, Field], text: str, expression: ast.expr) -> None:
    for column in es_sql.columns(text).values():
        line = expression.lineno + text.count("\n", 0, column.offset) if expression.lineno else 0
        fields[column.name] = Field(column.name, line, column)
