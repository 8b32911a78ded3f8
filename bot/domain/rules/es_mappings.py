"""The explicit mappings and settings that an exporter creates indices with, wherever and however it builds them.

Functions that create an index are carried out on constants only: dictionaries, spreads, updates, own helper functions. What is
not constant stays unknown and is never compared. Both layouts are read: one index for both kinds of document (mappings by type
in ``body``), and an index for each.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.domain.rules.es_index import Created, indices
from bot.domain.rules.es_nodes import branches, last_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.rules.es_code import Code, Function
    from bot.domain.rules.es_index import Index

_DEEPEST = 12
_MOST_STEPS = 3_000  # statements; METASPACE's longest way takes some fifty
_CREATING = frozenset({"create", "put_mapping", "put_index_template"})


class _Unknown:
    """What is only known at run time; equal to every other unknown, so it is never a difference."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Unknown)

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "…"


UNKNOWN = _Unknown()


def read(code: Code) -> Mapping[str, Index]:
    """Kind of document → index; empty where the module creates none."""
    found: dict[str, Index] = {}
    for name, function in _creating(code).items():
        run = _Run(code, name, _Budget(_MOST_STEPS))
        run.carry_out(function.body)
        for created in run.created:
            for role, index in indices(created):
                found.setdefault(role, index)
    return found


def _creating(code: Code) -> dict[str, Function]:
    """The functions that create an index themselves or call one that does: no other needs to be carried out."""
    found = {name for name in code.functions if any(_creates(call) for call in code.each(ast.Call, name))}
    grown = True
    while grown:
        callers = {name for name, calls in code.calls.items() if any(called in found for _, called in calls)}
        grown = not callers <= found
        found |= callers
    return {name: function for name, function in code.functions.items() if name in found}


def _creates(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in _CREATING


@dataclass(slots=True)
class _Budget:
    """Functions that call each other must not keep a review waiting."""

    left: int


class _Run:
    """Carries a function out on constants."""

    def __init__(
        self, code: Code, name: str, budget: _Budget, values: Mapping[str, Any] | None = None, depth: int = 0
    ) -> None:
        self.created: list[Created] = []
        self.returned: Any = UNKNOWN
        self._code = code
        self._name = name
        self._values: dict[str, Any] = dict(values or {})
        self._depth = depth
        self._budget = budget

    def carry_out(self, body: list[ast.stmt]) -> None:  # noqa: C901 - one branch a form of statement
        for statement in body:
            self._budget.left -= 1
            if self._budget.left < 0:
                return
            match statement:
                case ast.Assign(targets=targets, value=value):
                    result = self._value(value)
                    for target in targets:
                        self._store(target, result)
                case ast.AnnAssign(target=target, value=ast.expr() as value):
                    self._store(target, self._value(value))
                case ast.AugAssign(target=ast.Name(id=name), op=ast.BitOr(), value=value):
                    self._values[name] = _merged(self._values.get(name, UNKNOWN), self._value(value))
                case ast.Return(value=ast.expr() as value):
                    self.returned = self._value(value)
                case ast.Expr(value=value):
                    self._value(value)
                case ast.For(target=target, iter=iterated, body=inner) if isinstance(
                    rounds := self._value(iterated), list
                ):
                    for value in rounds:
                        self._store(target, value)
                        self.carry_out(inner)
                    continue
                case _:
                    pass
            for inner, _ in branches(statement):
                self.carry_out(inner)

    def known(self, node: ast.expr) -> Any:
        """The value of an expression; UNKNOWN where only a run could tell."""
        return self._value(node)

    def _store(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self._values[target.id] = value
        elif isinstance(target, ast.Tuple) and isinstance(value, list):
            for element, part in zip(target.elts, value, strict=False):
                self._store(element, part)
        elif isinstance(target, ast.Subscript):
            holder, key = self._value(target.value), self._value(target.slice)
            if isinstance(holder, dict) and isinstance(key, str):
                holder[key] = value

    def _value(self, node: ast.expr) -> Any:  # noqa: PLR0911 - one return a case
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Dict():
                return self._dict(node)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return [self._value(element) for element in elements]
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                return self._named(name)
            case ast.Subscript(value=holder, slice=key):
                known, name = self._value(holder), self._value(key)
                return known.get(name, UNKNOWN) if isinstance(known, dict) and isinstance(name, str) else UNKNOWN
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return _merged(self._value(left), self._value(right))
            case ast.DictComp(key=key, value=value, generators=[part]) if not part.ifs:
                return self._comprehended(key, value, part)
            case ast.Call():
                return self._call(node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                number = self._value(operand)
                return -number if isinstance(number, int | float) else UNKNOWN
            case _:
                return UNKNOWN

    def _named(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        constant = self._code.constants.get(name)
        if constant is None or self._depth > _DEEPEST:
            return UNKNOWN
        return _Run(self._code, self._name, self._budget, depth=self._depth + 1).known(constant)

    def _comprehended(self, key: ast.expr, value: ast.expr, part: ast.comprehension) -> Any:
        rounds = self._value(part.iter)
        if not isinstance(rounds, list):
            return UNKNOWN
        result: dict[str, Any] = {}
        for each in rounds:
            self._store(part.target, each)
            if isinstance(name := self._value(key), str):
                result[name] = self._value(value)
        return result

    def _dict(self, node: ast.Dict) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            known = self._value(value)
            if key is None:
                result.update(known if isinstance(known, dict) else {})
            elif isinstance(name := self._value(key), str):
                result[name] = known
        return result

    def _call(self, call: ast.Call) -> Any:
        given: dict[str, Any] = {}
        for keyword in call.keywords:
            known = self._value(keyword.value)
            given |= {keyword.arg: known} if keyword.arg else known if isinstance(known, dict) else {}
        if isinstance(call.func, ast.Attribute):
            self._note_creation(call, given)
            holder = self._value(call.func.value)
            if isinstance(holder, dict) and call.func.attr == "update":
                for value in (*(self._value(argument) for argument in call.args), given):
                    holder.update(value if isinstance(value, dict) else {})
                return None
            if isinstance(holder, dict) and call.func.attr == "copy":
                return dict(holder)
            if isinstance(holder, dict) and call.func.attr == "items":
                return [[key, value] for key, value in holder.items()]
            if call.func.attr == "fromkeys" and len(call.args) == 2:  # noqa: PLR2004 - the keys, and one value for all
                names, value = (self._value(argument) for argument in call.args)
                return dict.fromkeys(names, value) if isinstance(names, list) else UNKNOWN
        name = last_name(call.func)
        if name in ("dict", "deepcopy", "copy"):
            base = self._value(call.args[0]) if call.args else {}
            return _merged(base, given) if isinstance(base, dict) else UNKNOWN
        return self._own(call)

    def _own(self, call: ast.Call) -> Any:
        name = self._code.called(call, self._name)
        if name is None or self._depth > _DEEPEST or self._budget.left < 0:
            return UNKNOWN
        values = {parameter: self._value(value) for parameter, value in self._code.arguments(call, name)}
        inner = _Run(self._code, name, self._budget, values, self._depth + 1)
        inner.carry_out(self._code.functions[name].body)
        self.created += [created for created in inner.created if values]
        return inner.returned

    def _note_creation(self, call: ast.Call, given: dict[str, Any]) -> None:
        if not isinstance(call.func, ast.Attribute) or not _creates(call):
            return
        body = given.get("body")
        body = body if isinstance(body, dict) else {}
        mappings = given.get("mappings", body.get("mappings", body if call.func.attr == "put_mapping" else None))
        settings = given.get("settings", body.get("settings"))
        if isinstance(mappings, dict) or isinstance(settings, dict):
            words = [ast.unparse(keyword.value) for keyword in call.keywords]
            words += [value for value in given.values() if isinstance(value, str)]
            self.created.append(Created(mappings, settings, f"{' '.join(words)} {self._name}", call.lineno))


def _merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, **other}
    return UNKNOWN
