"""Expressions of an exporter in words that survive reformatting, renaming, moving and taking apart.

Names of variables, parameters and own functions do not count. Other fields of the document end the search, and so do
parameters of public functions.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.rules.es_nodes import walk
from bot.domain.rules.es_slices import Binding, bindings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.domain.rules.es_documents import Documents
    from bot.domain.rules.es_nodes import Guard

_OWN_PACKAGE = "sm."
_DEEPEST = 40
_MOST_WORDS = 20_000  # one statement, and what is put in the place of its names; METASPACE's longest takes some hundred
Need = tuple[str, str, str]  # (function, variable, entry of it or "") or ("return", function, "")
_UNSAID = frozenset({"ctx", "type_comment", "kind"})
_GETTING = frozenset({"get", "pop", "setdefault"})
_NEGATIVE: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.IsNot: ast.Is, ast.NotEq: ast.Eq, ast.NotIn: ast.In}


@dataclass(slots=True)
class Scope:
    """Where an expression stands, while it is being put into words."""

    function: str
    strict: bool  # calls of other modules count by name
    bare: bool  # fallbacks for what is missing are left out
    bound: frozenset[str] = frozenset()
    asked: bool = False  # inside a condition, where "a and b" is "b and a"
    own: str = ""  # the field that is being put into words
    names: dict[str, str] = field(default_factory=dict)
    needs: set[Need] = field(default_factory=set)
    depth: int = 0


class Words:
    """Puts expressions of one version into words.

    ``stand_ins``: new field → the old field that it repeats element by element; ``renamed``: new field → the one that is gone,
    and held the same.
    """

    def __init__(
        self,
        documents: Documents,
        stand_ins: Mapping[str, str] | None = None,
        renamed: Mapping[str, str] | None = None,
    ) -> None:
        self._documents = documents
        self._code = documents.code
        self._flow = documents.flow
        self._bindings = bindings(documents)
        self._stand_ins = stand_ins or {}
        self._renamed = renamed or {}
        self._words = 0
        self.told: Mapping[str, str] = {}  # words → the field that they make, in both versions

    def _say_guards(self, guards: tuple[Guard, ...], scope: Scope) -> str:
        tests = {pair for test, holds in guards for pair in self._conditions(test, scope, holds=holds)}
        scope.asked = True
        said = {f" if {'' if holds else 'not '}{self._say(test, scope)}" for test, holds in tests}
        scope.asked = False
        return "".join(sorted(said))

    def _conditions(self, test: ast.expr, scope: Scope, *, holds: bool) -> Iterator[tuple[ast.expr, bool]]:
        """A condition in one form: ``not x`` under else is ``x``, ``x and y`` is two, and a variable is what it stands for."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                yield from self._conditions(inner, scope, holds=not holds)
            case ast.BoolOp(op=ast.And(), values=values) if holds:
                yield from (pair for value in values for pair in self._conditions(value, scope, holds=True))
            case ast.BoolOp(op=ast.Or(), values=values) if not holds:
                yield from (pair for value in values for pair in self._conditions(value, scope, holds=False))
            case ast.Compare(left=left, ops=[op], comparators=right) if type(op) in _NEGATIVE:
                yield ast.copy_location(ast.Compare(left, [_NEGATIVE[type(op)]()], right), test), not holds
            case ast.Name(id=name) if name not in scope.bound and not self._is_document(name, scope):
                binding = self._bindings.inlined(scope.function, name)
                if binding is None or binding.part is not None or isinstance(binding.value, ast.Name):
                    yield test, holds
                else:
                    yield from self._conditions(binding.value, scope, holds=holds)
            case _:
                yield test, holds

    def _say(self, node: ast.AST, scope: Scope) -> str:
        scope.depth += 1
        self._words += 1
        try:
            if scope.depth >= _DEEPEST or self._words >= _MOST_WORDS:
                return "…"
            said = self._say_node(node, scope)
            field = self.told.get(said)
            return f"doc[{field!r}]" if field and field != scope.own else said
        finally:
            scope.depth -= 1

    def _say_node(self, node: ast.AST, scope: Scope) -> str:  # noqa: C901, PLR0911, PLR0912 - one branch a form of expression
        match node:
            case ast.Name(id=name):
                return self._say_name(name, scope)
            case ast.Constant(value=value):
                return repr(value)
            case ast.NamedExpr(value=value):
                return self._say(value, scope)
            case ast.Subscript(value=ast.Name(id=name), slice=index) if self._is_document(name, scope):
                return f"doc[{self._say_key(index, scope)}]"
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(entry))):
                return f"{self._say_name(name, scope, entry)}[{entry!r}]"
            case ast.Subscript(value=value, slice=ast.Constant(value=int(part))) if part >= 0:
                return f"part {part} of {self._say(value, scope)}"
            case ast.Call():
                return self._say_call(node, scope)
            case ast.JoinedStr(values=values):
                return "text(" + " ".join(self._say(_inner(value), scope) for value in values) + ")"
            case ast.IfExp(test=test, body=body, orelse=orelse) if scope.bare and is_fallback(test, orelse):
                return self._say(body, scope)
            case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(value=None)]):
                return f"{self._say_repeated(left, scope)} {type(op).__name__} None"
            case ast.Compare(left=ast.Constant(value=str(entry)), ops=[ast.In()], comparators=[ast.Name(id=name)]):
                return f"{entry!r} in {self._say_name(name, scope, entry)}"
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp() | ast.Lambda():
                return self._say_binding(node, scope)
            case ast.BoolOp(op=op, values=values) if scope.asked:
                return f"{type(op).__name__}({', '.join(sorted(self._say(value, scope) for value in values))})"
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if self._code.imports.get(name, "").startswith(
                _OWN_PACKAGE
            ):
                return attr  # however the module is imported
            case ast.Attribute(value=ast.Name(id=("self" | "cls") as owner), attr=attr):
                constant = self._code.constants.get(attr)
                return self._say(constant, scope) if constant is not None else f"{owner}.{attr}"
            case _:
                return self._say_parts(node, scope)

    def _say_parts(self, node: ast.AST, scope: Scope) -> str:
        parts = []
        for name in node._fields:
            value = None if name in _UNSAID else getattr(node, name, None)
            if isinstance(value, list):
                parts.append(
                    "[" + ", ".join(self._say(item, scope) for item in value if isinstance(item, ast.AST)) + "]"
                )
            elif value is not None:
                parts.append(self._say(value, scope) if isinstance(value, ast.AST) else str(value))
        return f"{type(node).__name__}({' '.join(parts)})"

    def _say_key(self, key: ast.expr, scope: Scope) -> str:
        """The name of a field; a renamed one by its old name."""
        said = self._say(key, scope)
        return repr(self._renamed[said[1:-1]]) if said[1:-1] in self._renamed else said

    def _say_name(self, name: str, scope: Scope, entry: str = "") -> str:
        if name in scope.bound:
            return scope.names.setdefault(name, f"v{len(scope.names)}")
        if self._flow.role(scope.function, name):
            return "doc" if self._is_document(name, scope) else "docs"  # which rows there are is no field's value
        known = (scope.function, name)
        if known in self._bindings.of or name in self._code.parameters(scope.function):
            if (binding := self._bindings.inlined(*known, entry)) is not None:
                return self._say_binding_of(binding, scope)
            scope.needs.add((*known, entry))
            return scope.names.setdefault(name, f"v{len(scope.names)}")
        if name in self._code.constants:
            return self._say(self._code.constants[name], scope)
        return self._code.imports.get(name, name).rsplit(".", 1)[-1]

    def _say_binding_of(self, binding: Binding, scope: Scope) -> str:
        """What stands behind a variable."""
        strict, scope.strict = scope.strict, scope.strict and binding.part is None
        said = self._say(binding.value, scope)
        scope.strict = strict
        return said if binding.part is None else f"part {binding.part} of {said}"

    def _say_call(self, call: ast.Call, scope: Scope) -> str:  # noqa: PLR0911 - one return a case
        match call.func:
            case ast.Attribute(value=ast.Constant(value=str(pattern)), attr="format"):
                return _formatted(pattern, [self._say(value, scope) for value in call.args])
            case ast.Attribute(value=ast.Name(id=name), attr="get") if call.args and self._is_document(name, scope):
                rest = " ".join(self._say(value, scope) for value in call.args[1:])
                return f"get(doc[{self._say_key(call.args[0], scope)}] {rest})"
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if attr in _GETTING and _is_text(call.args):
                rest = " ".join(self._say(value, scope) for value in call.args)
                return f"{attr}({self._say_name(name, scope, str(ast.literal_eval(call.args[0])))} {rest})"
            case ast.Attribute(value=value, attr="groupby"):
                return f"grouped({self._say(value, scope)})"  # an outside table's column may be renamed there
            case ast.Name(id="len") if call.args:
                return f"len({self._say_repeated(call.args[0], scope)})"
            case _:
                pass
        if own := self._code.called(call, scope.function):
            return self._say_own_call(call, own, scope)
        if not scope.strict and self._is_foreign(call.func, scope):
            self._say(call.func, scope)  # what it is called on is followed, but not named
            return f"outside({', '.join(sorted(self._fields_read(call, scope)))})"
        keywords = sorted(f"{keyword.arg}={self._say(keyword.value, scope)}" for keyword in call.keywords)
        values = ", ".join([*(self._say(value, scope) for value in call.args), *keywords])
        return f"{self._say(call.func, scope)}({values})"

    def _say_own_call(self, call: ast.Call, name: str, scope: Scope) -> str:
        """A function of one expression is put in the call's place; of a longer one, its returns are followed."""
        value = self._code.only_return(name)
        given = dict(self._code.arguments(call, name))
        if value is not None:
            inner = Scope(name, strict=scope.strict, bare=scope.bare, needs=scope.needs, depth=scope.depth)
            inner.names = {parameter: self._say(argument, scope) for parameter, argument in given.items()}
            inner.bound = frozenset(given)
            return self._say(value, inner)
        scope.needs.add(("return", name, ""))
        return f"own({', '.join(self._say(value, scope) for value in given.values())})"

    def _say_binding(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp | ast.Lambda, scope: Scope
    ) -> str:
        """Variables of comprehensions and lambdas are numbered in the order of their use."""
        outer = scope.bound
        if isinstance(node, ast.Lambda):
            scope.bound |= {arg.arg for arg in node.args.args}
            said = f"Lambda({self._say(node.body, scope)})"
        else:
            targets = [inner for part in node.generators for inner in walk(part.target)]
            scope.bound |= {inner.id for inner in targets if isinstance(inner, ast.Name)}
            said = self._say_parts(node, scope)
        scope.bound = outer
        return said

    def _say_repeated(self, node: ast.expr, scope: Scope) -> str:
        """In a question about length or absence, a field that repeats another stands for it."""
        said = self._say(node, scope)
        for new, old in self._stand_ins.items():
            said = said.replace(f"doc[{new!r}]", f"doc[{old!r}]")
        return said

    # -- questions

    def _is_document(self, name: str, scope: Scope) -> bool:
        return name not in scope.bound and bool(self._flow.role(scope.function, name)) and "docs" not in name.split("_")

    def _is_foreign(self, function: ast.expr, scope: Scope) -> bool:
        root = function
        while isinstance(root, ast.Attribute | ast.Call | ast.Subscript):
            root = root.func if isinstance(root, ast.Call) else root.value
        if not isinstance(root, ast.Name):
            return False
        if root.id in self._code.imports:
            return self._code.imports[root.id].startswith(_OWN_PACKAGE)
        is_parameter = root.id in self._code.parameters(scope.function) and not self._bindings.of.get(
            (scope.function, root.id)
        )
        return is_parameter and not self._is_document(root.id, scope) and isinstance(function, ast.Attribute)

    def _fields_read(self, call: ast.Call, scope: Scope) -> set[str]:
        said = " ".join(
            self._say(value, scope) for value in (*call.args, *(keyword.value for keyword in call.keywords))
        )
        return {piece.split("]", 1)[0] for piece in said.split("doc[")[1:]}


def _is_text(args: list[ast.expr]) -> bool:
    return bool(args) and isinstance(args[0], ast.Constant) and isinstance(args[0].value, str)


def _inner(value: ast.expr) -> ast.expr:
    return value.value if isinstance(value, ast.FormattedValue) and value.format_spec is None else value


def _formatted(pattern: str, values: list[str]) -> str:
    """``'a{}b'.format(x)`` in the words of ``f'a{x}b'``."""
    pieces = pattern.split("{}")
    if len(pieces) != len(values) + 1:
        return f"format({pattern!r} {' '.join(values)})"
    parts = [repr(pieces[0])] if pieces[0] else []
    for value, piece in zip(values, pieces[1:], strict=True):
        parts += [value, *([repr(piece)] if piece else [])]
    return f"text({' '.join(parts)})"


def is_fallback(test: ast.expr, orelse: ast.expr) -> bool:
    """``x if y is not None else <constant>``: what was there before keeps its value."""
    empty = isinstance(orelse, ast.Constant) or (isinstance(orelse, ast.List | ast.Tuple) and not orelse.elts)
    present = isinstance(test, ast.Name) or (isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot))
    return empty and present
