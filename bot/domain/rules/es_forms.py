"""The forms of expressions by which dictionaries and lists are changed and gone through."""

from __future__ import annotations

import ast

ADDING = frozenset({"append", "extend", "add", "insert"})
SETTING = frozenset({"setdefault", "__setitem__"})
_CHANGING = ADDING | SETTING | {"update", "pop"}


def iterated(node: ast.expr) -> ast.expr:
    """What a loop goes through, without ``.items()``, ``list()`` and what is taken off it."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="items" | "keys" | "copy" | "difference")):
            return iterated(value)
        case ast.Call(func=ast.Name(id="list" | "tuple" | "set" | "sorted" | "dict"), args=[value, *_]):
            return iterated(value)
        case ast.BinOp(left=value, op=ast.Sub()):
            return iterated(value)
        case ast.ListComp(elt=ast.Name(), generators=[part]) | ast.GeneratorExp(elt=ast.Name(), generators=[part]):
            return iterated(part.iter)
        case ast.SetComp(elt=ast.Name(), generators=[part]):
            return iterated(part.iter)
        case _:
            return node


def entry(holder: ast.expr, key: ast.expr, at: ast.expr) -> ast.Subscript:
    """``holder[key]``, on the line of another expression."""
    return ast.Subscript(holder, key, lineno=getattr(at, "lineno", 0), col_offset=0)


def popped(node: ast.AST) -> ast.expr | None:
    """The entry that ``holder.pop(key)`` takes out."""
    match node:
        case ast.Call(func=ast.Attribute(value=holder, attr="pop"), args=[key, *_]):
            return entry(holder, key, node)
        case _:
            return None


def is_place(target: ast.Subscript) -> bool:
    """A number or a counter picks one of a list: ``docs[0]``, ``doc['peaks'][i]``."""
    holds_list = isinstance(target.value, ast.Subscript) or (
        isinstance(target.value, ast.Name) and target.value.id.endswith("s")
    )
    return isinstance(target.slice, ast.Constant | ast.Name | ast.UnaryOp) and holds_list


def changes(call: ast.Call) -> bool:
    """Whether a call may write into what it is called on, or take something out of it."""
    return isinstance(call.func, ast.Attribute) and call.func.attr in _CHANGING
