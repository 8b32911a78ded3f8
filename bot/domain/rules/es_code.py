"""A module's functions, constants and imports by name."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

from bot.domain.rules import es_sql
from bot.domain.rules.es_nodes import last_name, own_nodes, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef
_Kind = TypeVar("_Kind", bound=ast.AST)
_DEEPEST = 8  # constants that name each other in a circle
_PLACE = re.compile(r"\{\{|\}\}|\{(\w*)\}")
UNKNOWN = " ? "  # a part of a text that only a run could tell


@dataclass(slots=True)
class Code:
    """A module's functions and constants by name; ``owner`` tells the class a function stands in."""

    tree: ast.Module
    functions: dict[str, Function] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, list[ast.AST]] = field(default_factory=dict)  # function → all inside it
    inside: dict[str, str] = field(default_factory=dict)  # function → the one that it is written in
    calls: dict[str, list[tuple[ast.Call, str]]] = field(default_factory=dict)  # function → own functions it calls
    _by_kind: dict[str, defaultdict[type[ast.AST], list[ast.AST]]] = field(default_factory=dict)
    _parameters: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, tree: ast.Module) -> Code:
        """Index a module. Functions of the same name in several classes are told apart by their class."""
        code = cls(tree)
        for body, owner in [
            (tree.body, ""),
            *((node.body, node.name) for node in tree.body if isinstance(node, ast.ClassDef)),
        ]:
            for node in body:
                code._take(node, owner)
        for name, function in code.functions.items():
            code._take_nodes(name, function)
        code._take_inner()
        for name in code.functions:
            for node in code.each(ast.Assign, name):
                code._take_query(node)
        code.calls = {
            name: [(call, own) for call in code.each(ast.Call, name) if (own := code.called(call, name))]
            for name in code.functions
        }
        return code

    def each(self, kind: type[_Kind], function: str) -> list[_Kind]:
        """The nodes of a kind inside a function."""
        return cast("list[_Kind]", self._by_kind[function].get(kind, []))

    def _take_nodes(self, name: str, function: Function) -> None:
        self.nodes[name] = walk(function)
        by_kind = self._by_kind[name] = defaultdict(list)
        for node in self.nodes[name]:
            by_kind[type(node)].append(node)

    def _take_inner(self) -> None:
        """Functions inside functions, where their name is the only one."""
        for name, function in list(self.functions.items()):
            inner: list[Function] = [*self.each(ast.FunctionDef, name), *self.each(ast.AsyncFunctionDef, name)]
            for node in inner:
                if node is not function and node.name not in self.functions:
                    self.functions[node.name] = node
                    self._take_nodes(node.name, node)
                    self.owner[node.name] = ""
                    self.inside[node.name] = name

    def _take_query(self, node: ast.Assign) -> None:
        """A query in a function's own variable is as good as one in a module's constant."""
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if text := self.text(value):
                if es_sql.is_select(text):
                    self.constants.setdefault(name, value)

    def unused(self) -> frozenset[str]:
        """Private functions that nothing in the module names: what stands in them never happens."""
        named = {node.id for name in self.functions for node in self.each(ast.Name, name)}
        named |= {node.attr for name in self.functions for node in self.each(ast.Attribute, name)}
        for node in self._outside():
            if isinstance(node, ast.Name | ast.Attribute):
                named.add(node.id if isinstance(node, ast.Name) else node.attr)
        short = {name: name.rsplit(".", 1)[-1] for name in self.functions}
        return frozenset(
            name
            for name, last in short.items()
            if last.startswith("_") and not last.startswith("__") and last not in named
        )

    def _outside(self) -> list[ast.AST]:
        """The nodes of the module that stand in none of its functions."""
        known = set(self.functions.values())
        classes = [node for node in self.tree.body if isinstance(node, ast.ClassDef)]
        bodies = [self.tree.body, *(node.body for node in classes)]
        rest = [node for body in bodies for node in body if node not in known and node not in classes]
        return [
            *(part for node in classes for part in own_nodes(node)),
            *(part for node in rest for part in walk(node)),
        ]

    def reached_from(self, name: str, *, before: int) -> set[str]:
        """The module's functions that one calls above a line, directly or through others."""
        queue = [called for call, called in self.calls[name] if call.lineno < before]
        found: set[str] = set()
        while queue:
            inner = queue.pop()
            if inner not in found:
                found.add(inner)
                queue += [called for _, called in self.calls[inner]]
        return found

    def _take(self, node: ast.stmt, owner: str) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                name = f"{owner}.{node.name}" if owner else node.name
                self.functions[name] = node
                self.owner[name] = owner
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.constants[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                self.constants[name] = value
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value) if name in self.constants:
                self.constants[name] = ast.copy_location(ast.BinOp(self.constants[name], op, value), value)
            case ast.Import(names=names):
                self.imports.update({alias.asname or alias.name.split(".")[0]: alias.name for alias in names})
            case ast.ImportFrom(module=module, names=names):
                self.imports.update({alias.asname or alias.name: f"{module}.{alias.name}" for alias in names})
            case _:
                pass

    def called(self, call: ast.Call, inside: str) -> str | None:
        """The module's own function that a call means, if it does."""
        match call.func:
            case ast.Name(id=name):
                return name if name in self.functions else None
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attr):
                name = f"{self.owner.get(inside, '')}.{attr}"
                return name if name in self.functions else self._only(attr)
            case ast.Attribute(value=ast.Name(id=owner), attr=attr):
                return f"{owner}.{attr}" if f"{owner}.{attr}" in self.functions else None
            case _:
                return None

    def _only(self, attr: str) -> str | None:
        found = [name for name in self.functions if name.rsplit(".", 1)[-1] == attr]
        return found[0] if len(found) == 1 else None

    def parameters(self, name: str) -> list[str]:
        """A function's parameters as its callers see them."""
        if name not in self._parameters:
            node = self.functions[name]
            names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args)]
            bound = self.owner.get(name) and names[:1] in (["self"], ["cls"])
            self._parameters[name] = (names[1:] if bound else names) + [arg.arg for arg in node.args.kwonlyargs]
        return self._parameters[name]

    def arguments(self, call: ast.Call, name: str) -> Iterator[tuple[str, ast.expr]]:
        """(parameter, value) of a call of one of the module's functions."""
        yield from zip(self.parameters(name), call.args, strict=False)
        yield from ((keyword.arg, keyword.value) for keyword in call.keywords if keyword.arg)

    def only_return(self, name: str) -> ast.expr | None:
        """The expression that a function of one return gives, if that is all it does."""
        body = [node for node in self.functions[name].body if not _is_docstring(node)]
        return body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None

    def text(self, node: ast.expr | None, depth: int = 0) -> str | None:  # noqa: C901, PLR0911 - one branch a form
        """The string that an expression is known to be; unknown parts of an f-string stay a placeholder."""
        if depth > _DEEPEST:
            return None
        match node:
            case ast.Constant(value=str() as text):
                return text
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(), attr=name) if name in self.constants:
                return self.text(self.constants[name], depth + 1)
            case ast.NamedExpr(value=value):
                return self.text(value, depth + 1)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                first, second = self.text(left, depth + 1), self.text(right, depth + 1)
                return None if first is None or second is None else first + second
            case ast.BinOp(left=left, op=ast.Mod(), right=ast.Dict() as right):
                return self._filled_in(self.text(left, depth + 1), right, depth)
            case ast.JoinedStr(values=values):
                parts = [value.value if isinstance(value, ast.FormattedValue) else value for value in values]
                return "".join(self._shown(each, depth + 1) for each in parts)
            case ast.Call() if (own := self.called(node, "")) and (returned := self.only_return(own)) is not None:
                return self.text(returned, depth + 1)
            case ast.Call(func=ast.Attribute(value=holder, attr=attr)) if attr in (
                "strip",
                "format",
                "replace",
                "join",
            ):
                return self._text_of_call(node, holder, attr, depth + 1)
            case ast.Call(args=[inner, *_]) if last_name(node.func).endswith(("dedent", "cleandoc")):
                return self.text(inner, depth + 1)
            case _:
                return None

    def _shown(self, part: ast.expr, depth: int) -> str:
        """A part of an f-string."""
        if isinstance(part, ast.Constant):
            return str(part.value)
        return self.text(part, depth) or UNKNOWN

    def _text_of_call(self, call: ast.Call, inner: ast.expr, method: str, depth: int) -> str | None:
        text = self.text(inner, depth)
        if text is None or method == "strip":
            return text
        if method == "format":
            given = {str(place): value for place, value in enumerate(call.args)}
            given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
            return self._formatted(text, given, depth)
        if method == "join":
            parts = self.strings(call.args[0], depth) if call.args else None
            return None if parts is None else text.join(parts)
        both = [self.text(value, depth) for value in call.args]
        return text.replace(both[0], both[1]) if len(both) == 2 and both[0] and both[1] is not None else None  # noqa: PLR2004 - old and new

    def _formatted(self, pattern: str, given: dict[str, ast.expr], depth: int) -> str:
        count = iter(range(len(given)))

        def fill(match: re.Match[str]) -> str:
            if match[0] in ("{{", "}}"):
                return match[0][0]
            value = given.get(match[1] or str(next(count, "")))
            return (self.text(value, depth) or UNKNOWN) if value is not None else UNKNOWN

        return _PLACE.sub(fill, pattern)

    def _filled_in(self, pattern: str | None, values: ast.Dict, depth: int) -> str | None:
        """``pattern % {'name': …}``; what is not given stays, for the database to fill in."""
        if pattern is None:
            return None
        for key, value in zip(values.keys, values.values, strict=True):
            name, text = self.text(key, depth + 1), self.text(value, depth + 1)
            if name is not None and text is not None:
                pattern = pattern.replace(f"%({name})s", text)
        return pattern

    def strings(self, node: ast.expr, depth: int = 0) -> tuple[str, ...] | None:  # noqa: PLR0911 - one return a case
        """The strings of a constant tuple, list, set or dict, by name or as it stands; None for anything else."""
        if depth > _DEEPEST:
            return None
        match node:
            case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
                found = [self._each(part, depth + 1) for part in elements]
                return tuple(text for part in found for text in part)
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(), attr=name) if name in self.constants:
                return self.strings(self.constants[name], depth + 1)
            case ast.Dict(keys=keys):
                return tuple(text for key in keys if key is not None and (text := self.text(key)) is not None)
            case ast.Call(func=ast.Attribute(value=inner, attr="items" | "keys" | "copy"), args=[]):
                return self.strings(inner, depth + 1)
            case ast.BinOp(left=left, op=op, right=right):
                one, other = self.strings(left, depth + 1), self.strings(right, depth + 1)
                if one is None or other is None:
                    return None
                return tuple(text for text in one if text not in other) if isinstance(op, ast.Sub) else one + other
            case ast.Call(func=ast.Name(id="frozenset" | "set" | "tuple" | "list" | "sorted"), args=[inner]):
                return self.strings(inner, depth + 1)
            case _:
                return None

    def _each(self, part: ast.expr, depth: int) -> tuple[str, ...]:
        if isinstance(part, ast.Starred):
            return self.strings(part.value, depth) or ()
        text = self.text(part)
        return () if text is None else (text,)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
