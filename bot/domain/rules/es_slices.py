"""Which statements a local value depends on, inside one module."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.rules.es_nodes import Guard, branches, own_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.domain.rules.es_code import Code
    from bot.domain.rules.es_documents import Documents

_MUTATORS = frozenset(
    {"append", "extend", "update", "add", "insert", "setdefault", "pop", "remove", "sort", "clear", "discard"}
)


@dataclass(frozen=True, slots=True)
class Binding:
    """A statement that gives or changes a variable: how, from what, under which conditions."""

    how: str
    value: ast.expr
    key: ast.expr | None
    guards: tuple[Guard, ...]
    plain: bool = False  # ``name = value``, the form that can be put in the name's place
    part: int | None = None  # ``first, second = value``: which of them
    entry: str | None = None  # the one entry of a dictionary that it concerns, if that is known


class Bindings:
    """All bindings of each function's variables, its returns, and the calls of each function."""

    def __init__(self, code: Code) -> None:
        self.of: defaultdict[tuple[str, str], list[Binding]] = defaultdict(list)
        self.returns: defaultdict[str, list[Binding]] = defaultdict(list)
        self.calls: defaultdict[str, list[tuple[str, ast.Call]]] = defaultdict(list)
        self._code = code
        for name, function in code.functions.items():
            self._walk(function.body, name, ())
            for call, called in code.calls[name]:
                self.calls[called].append((name, call))

    def relevant(self, function: str, variable: str, entry: str = "") -> list[Binding]:
        """The bindings of a variable that matter to one of its entries; without a name, to all of it."""
        found = self.of.get((function, variable), [])
        return [one for one in found if one.entry in (None, entry)] if entry else found

    def inlined(self, function: str, variable: str, entry: str = "") -> Binding | None:
        """The one expression that a variable stands for, if there is just one and nothing changes it."""
        found = self.relevant(function, variable, entry)
        return found[0] if len(found) == 1 and found[0].plain else None

    def _walk(self, body: list[ast.stmt], inside: str, guards: tuple[Guard, ...]) -> None:
        for statement in body:
            for variable, binding in _bound(statement, guards):
                self.of[inside, variable].append(binding)
            for node in own_nodes(statement) if self._code.each(ast.NamedExpr, inside) else ():
                if isinstance(node, ast.NamedExpr):
                    self.of[inside, node.target.id].append(Binding("=", node.value, None, guards, plain=True))
            if isinstance(statement, ast.Return) and statement.value is not None:
                self.returns[inside].append(Binding("return", statement.value, None, guards))
            for inner, extra in branches(statement):
                self._walk(inner, inside, (*guards, *extra))


def bindings(documents: Documents) -> Bindings:
    """The bindings of a module, found once."""
    found = documents.bindings
    if not isinstance(found, Bindings):
        found = documents.bindings = Bindings(documents.code)
    return found


def _bound(statement: ast.stmt, guards: tuple[Guard, ...]) -> Iterator[tuple[str, Binding]]:  # noqa: C901 - one branch a form of statement
    match statement:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _targets(target, value, "=", guards)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from _targets(target, value, "=", guards)
        case ast.AugAssign(target=target, op=op, value=value):
            yield from _targets(target, value, type(op).__name__, guards)
        case ast.For(target=target, iter=iterated):
            yield from _targets(target, iterated, "each of", guards)
        case ast.With(items=items):
            for item in items:
                if item.optional_vars is not None:
                    yield from _targets(item.optional_vars, item.context_expr, "with", guards)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=holder, attr=attr), args=args)) if attr in _MUTATORS:
            if root := _root(holder):
                named = attr in ("pop", "setdefault") and isinstance(holder, ast.Name)
                entry = _text(args[0]) if named and args else None
                yield root, Binding(attr, ast.Tuple(args), holder, guards, entry=entry)
        case _:
            return


def _targets(target: ast.expr, value: ast.expr, how: str, guards: tuple[Guard, ...]) -> Iterator[tuple[str, Binding]]:
    match target:
        case ast.Name(id=name):
            yield name, Binding(how, value, None, guards, plain=how == "=")
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            values = value.elts if isinstance(value, ast.Tuple) and len(value.elts) == len(elements) else None
            for part, element in enumerate(elements):
                if values is not None:
                    yield from _targets(element, values[part], how, guards)
                elif how == "=" and isinstance(element, ast.Name):
                    yield element.id, Binding(f"{how} part {part} of", value, None, guards, plain=True, part=part)
                else:
                    yield from _targets(element, value, f"{how} part {part} of", guards)
        case ast.Subscript() | ast.Attribute():
            if root := _root(target):
                yield root, Binding(f"into {how}", value, target, guards, entry=_entry(target))
        case ast.Starred(value=inner):
            yield from _targets(inner, value, f"{how} rest of", guards)
        case _:
            return


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) and node.id not in ("self", "cls") else None


def _entry(target: ast.expr) -> str | None:
    """``x`` of ``name['x'] = …`` and ``name['x']['y'] = …``."""
    while isinstance(target, ast.Subscript | ast.Attribute):
        if isinstance(target.value, ast.Name):
            return _text(target.slice) if isinstance(target, ast.Subscript) else None
        target = target.value
    return None


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
