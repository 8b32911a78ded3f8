"""A module's functions, constants and imports by name."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.rules import es_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(slots=True)
class Code:
    """A module's functions and constants by name; ``owner`` tells the class a function stands in."""

    tree: ast.Module
    functions: dict[str, Function] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, list[ast.AST]] = field(default_factory=dict)  # function → all inside it

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
        code.nodes = {name: list(ast.walk(function)) for name, function in code.functions.items()}
        for inner in (node for nodes in code.nodes.values() for node in nodes):
            code._take_query(inner)
        return code

    def _take_query(self, node: ast.AST) -> None:
        """A query in a function's own variable is as good as one in a module's constant."""
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text)) as value):
                if es_sql.is_select(text):
                    self.constants.setdefault(name, value)

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
        node = self.functions[name]
        names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args)]
        bound = self.owner.get(name) and names[:1] in (["self"], ["cls"])
        return (names[1:] if bound else names) + [arg.arg for arg in node.args.kwonlyargs]

    def arguments(self, call: ast.Call, name: str) -> Iterator[tuple[str, ast.expr]]:
        """(parameter, value) of a call of one of the module's functions."""
        yield from zip(self.parameters(name), call.args, strict=False)
        yield from ((keyword.arg, keyword.value) for keyword in call.keywords if keyword.arg)

    def only_return(self, name: str) -> ast.expr | None:
        """The expression that a function of one return gives, if that is all it does."""
        body = [node for node in self.functions[name].body if not _is_docstring(node)]
        return body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None

    def text(self, node: ast.expr | None, depth: int = 0) -> str | None:  # noqa: PLR0911 - one return a case
        """The string that an expression is known to be; unknown parts of an f-string stay a placeholder."""
        if depth > 8:  # noqa: PLR2004 - constants that name each other in a circle
            return None
        match node:
            case ast.Constant(value=str() as text):
                return text
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(), attr=name) if name in self.constants:
                return self.text(self.constants[name], depth + 1)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                first, second = self.text(left, depth + 1), self.text(right, depth + 1)
                return None if first is None or second is None else first + second
            case ast.JoinedStr(values=values):
                parts = [value.value if isinstance(value, ast.FormattedValue) else value for value in values]
                return "".join(self.text(part, depth + 1) or " ? " for part in parts)
            case ast.Call() if (own := self.called(node, "")) and (value := self.only_return(own)) is not None:
                return self.text(value, depth + 1)
            case ast.Call(func=ast.Attribute(value=inner, attr="strip" | "format")):
                return self.text(inner, depth + 1)
            case ast.Call(args=[inner, *_]) if ast.unparse(node.func).endswith(("dedent", "cleandoc")):
                return self.text(inner, depth + 1)
            case _:
                return None


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
