"""How expressions hand dictionaries on: merged into others, or given away."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def spreads(node: ast.expr) -> Iterator[ast.expr]:
    """The dictionaries that an expression takes over: ``{**doc, …}``, also in each element of a list."""
    match node:
        case ast.Dict(keys=keys, values=values):
            yield from (value for key, value in zip(keys, values, strict=True) if key is None)
        case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
            yield from spreads(element)
        case ast.IfExp(body=one, orelse=other) | ast.BinOp(left=one, op=ast.BitOr(), right=other):
            yield from (*spreads(one), *spreads(other))
            if isinstance(node, ast.BinOp):
                yield from (one, other)
        case _:
            return


def handed_on(node: ast.AST) -> list[ast.expr | None]:
    """The expressions that a node hands to somebody else: arguments, results, elements, values."""
    match node:
        case ast.Call(args=args, keywords=keywords):
            return [*args, *(keyword.value for keyword in keywords)]
        case ast.Return(value=value) | ast.Yield(value=value) | ast.Assign(value=value):
            return [value]
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Dict(values=elements):
            return list(elements)
        case _:
            return []
