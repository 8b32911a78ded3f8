"""Dictionaries in an exporter's code, taken apart: which keys they are known to have, and what stands behind each."""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.domain.rules.es_code import Code

_DEEPEST = 6


class Pairs:
    """Takes dictionaries apart; what is only known at run time yields nothing."""

    def __init__(self, code: Code) -> None:
        self._code = code

    def of(self, node: ast.expr) -> Iterator[tuple[str, ast.expr]]:  # noqa: C901, PLR0912 - one branch a form
        """(key, value) of a dictionary, of each dictionary of a list, or of either side of a condition."""
        match node:
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if key is None:
                        yield from self.of(value)
                    elif (name := self._code.text(key)) is not None and "?" not in name:
                        yield name, value
            case ast.Call(func=ast.Name(id="dict"), args=args, keywords=keywords):
                for argument in args:
                    yield from self.of(argument)
                yield from ((keyword.arg, keyword.value) for keyword in keywords if keyword.arg)
            case ast.Call(func=ast.Name(id="zip"), args=[_, _]) | ast.List(elts=[ast.Tuple(), *_]):
                yield from self._named(node)
            case ast.DictComp(key=key, value=value, generators=[part]):
                for known in self.rounds(part.target, part.iter):
                    if (name := self._code.text(substituted(key, known))) is not None:
                        yield name, substituted(value, known)
            case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
                yield from self.of(element)
            case ast.List(elts=elements):
                yield from (pair for element in elements for pair in self.of(element))
            case ast.BoolOp(values=values):
                yield from (pair for value in values for pair in self.of(value))
            case ast.IfExp(body=one, orelse=other) | ast.BinOp(left=one, op=ast.BitOr(), right=other):
                yield from (*self.of(one), *self.of(other))
            case _:
                return

    def _named(self, node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
        key, value = ast.Name("key"), ast.Name("value")
        for known in self.rounds(ast.Tuple([key, value]), node):
            if (name := self._code.text(known.get("key"))) is not None:
                yield name, known.get("value", node)

    def rounds(self, target: ast.expr, iterated: ast.expr) -> Iterator[Mapping[str, ast.expr]]:
        """Variable → expression, for each round of a loop through something constant."""
        values = self._elements(iterated)
        for value in values or ():
            known: dict[str, ast.expr] = {}
            _bind(target, value, known)
            yield known

    def _elements(self, node: ast.expr, depth: int = 0) -> list[ast.expr] | None:  # noqa: PLR0911 - one return a case
        """The elements that a loop goes through, where they are known."""
        if depth > _DEEPEST:
            return None
        match node:
            case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements) if elements:
                return [part for part in elements if not isinstance(part, ast.Starred)]
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(), attr=name) if name in self._code.constants:
                return self._elements(self._code.constants[name], depth + 1)
            case ast.Dict(keys=keys):
                return [key for key in keys if key is not None]
            case ast.Call(func=ast.Attribute(value=inner, attr="items"), args=[]):
                holder = self._constant(inner)
                if isinstance(holder, ast.Dict):
                    both = zip(holder.keys, holder.values, strict=True)
                    return [ast.Tuple([key, value]) for key, value in both if key is not None]
                return None
            case ast.Call(func=ast.Name(id="zip"), args=[first, *rest]):
                return self._zipped(first, rest, depth)
            case ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]):
                found = self._elements(inner, depth + 1)
                return None if found is None else [ast.Tuple([ast.Constant(n), one]) for n, one in enumerate(found)]
            case _:
                texts = self._code.strings(node)
                return None if texts is None else [ast.Constant(text, lineno=node.lineno) for text in texts]

    def _zipped(self, first: ast.expr, rest: list[ast.expr], depth: int) -> list[ast.expr] | None:
        keys = self._elements(first, depth + 1)
        if keys is None:
            return None
        columns = [self._elements(one, depth + 1) or [one] * len(keys) for one in rest]
        return [ast.Tuple(list(row)) for row in zip(keys, *columns, strict=False)]

    def _constant(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Name) and node.id in self._code.constants:
            return self._code.constants[node.id]
        return node

    def leaves(self, name: str, value: ast.expr, function: str, depth: int = 0) -> Iterator[tuple[str, ast.expr, str]]:
        """The dotted fields of a value: dicts, and lists of dicts, are taken apart; Elasticsearch stores both the same."""
        inner, inside = self._built(value, function)
        generators: list[ast.comprehension] = []
        match inner:
            case ast.List(elts=[first, *_]):
                inner = first
            case ast.ListComp(elt=inner, generators=generators):
                pass
        pairs = list(self.of(inner)) if isinstance(inner, ast.Dict | ast.Call) else []
        whole = isinstance(inner, ast.Dict) and len(pairs) == len(inner.keys)
        whole = whole or (isinstance(inner, ast.Call) and not inner.args)
        if pairs and whole and depth < _DEEPEST:
            for key, item in pairs:
                for path, leaf, where in self.leaves(f"{name}.{key}", item, inside, depth + 1):
                    each = ast.copy_location(ast.ListComp(leaf, generators), leaf) if generators else leaf
                    yield path, each, where
        else:
            yield name, value, function

    def _built(self, value: ast.expr, function: str) -> tuple[ast.expr, str]:
        """Where a dictionary was built, if it was given a name or a function of its own first."""
        if isinstance(value, ast.Call) and (own := self._code.called(value, function)):
            returned = self._code.only_return(own)
            return (returned, own) if isinstance(returned, ast.Dict) else (value, function)
        if isinstance(value, ast.Name):
            found = [
                node.value
                for node in self._code.each(ast.Assign, function)
                if any(isinstance(one, ast.Name) and one.id == value.id for one in node.targets)
            ]
            if len(found) == 1 and isinstance(found[0], ast.Dict | ast.List | ast.ListComp):
                return found[0], function
        return value, function


def substituted(node: ast.expr, known: Mapping[str, ast.expr]) -> ast.expr:
    """An expression with variables replaced."""
    return _Substitution(known).visit(copy.deepcopy(node)) if known else node


class _Substitution(ast.NodeTransformer):
    def __init__(self, known: Mapping[str, ast.expr]) -> None:
        self._known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.copy_location(copy.deepcopy(self._known[node.id]), node) if node.id in self._known else node


def _bind(target: ast.expr, value: ast.expr, known: dict[str, ast.expr]) -> None:
    if isinstance(target, ast.Name):
        known[target.id] = value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple | ast.List):
        for one, other in zip(target.elts, value.elts, strict=False):
            _bind(one, other, known)
