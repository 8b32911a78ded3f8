"""How a field's value is computed, in a form that survives reformatting, renaming, moving and taking apart.

A value is the set of statements that it depends on inside the module. Names of variables, parameters and own functions do not
count, nor does the order of statements. Other fields of the document end the search, and so do parameters of public
functions. A call of METASPACE's other modules that only feeds such a statement counts by the document fields that go in:
its name and signature may change without changing values. This is a reading of the code, not a proof.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.rules.es_slices import Binding, bindings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bot.domain.rules.es_documents import Documents, Field, Guard, Write

_OWN_PACKAGE = "sm."
_DEEPEST = 40
_MOST_WORDS = 20_000  # a field's whole computation; METASPACE's longest takes some hundred
Need = tuple[str, str]  # (function, variable) or ("return", function)


@dataclass(slots=True)
class _Scope:
    """Where an expression stands, while it is being put into words."""

    function: str
    strict: bool  # calls of other modules count by name
    bare: bool  # fallbacks for what is missing are left out
    bound: frozenset[str] = frozenset()
    names: dict[str, str] = field(default_factory=dict)
    needs: set[Need] = field(default_factory=set)
    depth: int = 0


class Values:
    """The values of one version's fields. ``stand_ins``: new field → the old field that it repeats element by element."""

    def __init__(self, documents: Documents, stand_ins: Mapping[str, str] | None = None) -> None:
        self._code = documents.code
        self._flow = documents.flow
        self._bindings = bindings(documents)
        self._stand_ins = stand_ins or {}
        self._words = 0

    def of(self, found: Field, *, bare: bool = False) -> frozenset[str]:
        """The statements behind a field's writes."""
        self._words = 0
        said: set[str] = set()
        needs: set[Need] = set()
        for write in found.writes:
            if not _is_upkeep(write, found):
                scope = _Scope(write.function, strict=True, bare=bare)
                part = "" if write.part is None else f"part {write.part} of "
                said.add(f"{part}{self._say(write.value, scope)}{self._say_guards(write.guards, scope)}")
                needs |= scope.needs
        self._close(said, needs, bare=bare)
        return frozenset(said)

    # -- dependencies

    def _close(self, said: set[str], needs: set[Need], *, bare: bool) -> None:
        done: set[Need] = set()
        while needs:
            need = needs.pop()
            if need in done:
                continue
            done.add(need)
            for binding, function in self._sources(need):
                scope = _Scope(function, strict=False, bare=bare)
                value = self._say(binding.value, scope)
                key = self._say(binding.key, scope) if binding.key is not None else ""
                guards = self._say_guards(binding.guards, scope)
                passed_on = binding.plain or binding.how in ("return", "argument")
                if not passed_on or not _is_trivial(value) or guards:
                    how = "" if passed_on else binding.how
                    said.add(f"{how} {key} {value}{guards}")
                needs |= scope.needs - done

    def _sources(self, need: Need) -> Iterable[tuple[Binding, str]]:
        first, second = need
        if first == "return":
            return [(binding, second) for binding in self._bindings.returns[second]]
        found = [(binding, first) for binding in self._bindings.of.get(need, [])]
        if second in self._code.parameters(first) and first.rsplit(".", 1)[-1].startswith("_"):
            for caller, call in self._bindings.calls[first]:
                given = dict(self._code.arguments(call, first))
                if second in given:
                    found.append((Binding("argument", given[second], None, ()), caller))
        return found

    # -- words

    def _say_guards(self, guards: tuple[Guard, ...], scope: _Scope) -> str:
        return "".join(f" if {'' if holds else 'not '}{self._say(test, scope)}" for test, holds in guards)

    def _say(self, node: ast.AST, scope: _Scope) -> str:
        scope.depth += 1
        self._words += 1
        try:
            return self._say_node(node, scope) if scope.depth < _DEEPEST and self._words < _MOST_WORDS else "…"
        finally:
            scope.depth -= 1

    def _say_node(self, node: ast.AST, scope: _Scope) -> str:  # noqa: PLR0911 - one return a case
        match node:
            case ast.Name(id=name):
                return self._say_name(name, scope)
            case ast.Subscript(value=ast.Name(id=name), slice=index) if self._is_document(name, scope):
                return f"doc[{self._say(index, scope)}]"
            case ast.Call():
                return self._say_call(node, scope)
            case ast.JoinedStr(values=values):
                return "text(" + " ".join(self._say(_inner(value), scope) for value in values) + ")"
            case ast.IfExp(test=test, body=body, orelse=orelse) if scope.bare and _is_fallback(test, orelse):
                return self._say(body, scope)
            case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(value=None)]):
                return f"{self._say_repeated(left, scope)} {type(op).__name__} None"
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp() | ast.Lambda():
                return self._say_binding(node, scope)
            case ast.Constant(value=value):
                return repr(value)
            case ast.Attribute(value=ast.Name(id=("self" | "cls") as owner), attr=attr):
                constant = self._code.constants.get(attr)
                return self._say(constant, scope) if constant is not None else f"{owner}.{attr}"
            case _:
                return self._say_parts(node, scope)

    def _say_parts(self, node: ast.AST, scope: _Scope) -> str:
        parts = []
        for name, value in ast.iter_fields(node):
            if name in ("ctx", "type_comment", "kind"):
                continue
            if isinstance(value, list):
                parts.append(
                    "[" + ", ".join(self._say(item, scope) for item in value if isinstance(item, ast.AST)) + "]"
                )
            elif value is not None:
                parts.append(self._say(value, scope) if isinstance(value, ast.AST) else str(value))
        return f"{type(node).__name__}({' '.join(parts)})"

    def _say_name(self, name: str, scope: _Scope) -> str:
        if name in scope.bound:
            return scope.names.setdefault(name, f"v{len(scope.names)}")
        if self._is_document(name, scope):
            return "doc"
        known = (scope.function, name)
        if known in self._bindings.of or name in self._code.parameters(scope.function):
            if (value := self._bindings.inlined(*known)) is not None:
                return self._say(value, scope)
            scope.needs.add(known)
            return scope.names.setdefault(name, f"v{len(scope.names)}")
        if name in self._code.constants:
            return self._say(self._code.constants[name], scope)
        return self._code.imports.get(name, name).rsplit(".", 1)[-1]

    def _say_call(self, call: ast.Call, scope: _Scope) -> str:  # noqa: PLR0911 - one return a case
        match call.func:
            case ast.Attribute(value=ast.Constant(value=str(pattern)), attr="format"):
                return _formatted(pattern, [self._say(value, scope) for value in call.args])
            case ast.Attribute(value=ast.Name(id=name), attr="get") if call.args and self._is_document(name, scope):
                return (
                    f"get(doc[{self._say(call.args[0], scope)}] {' '.join(self._say(v, scope) for v in call.args[1:])})"
                )
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

    def _say_own_call(self, call: ast.Call, name: str, scope: _Scope) -> str:
        """A function of one expression is put in the call's place; of a longer one, its returns are followed."""
        value = self._code.only_return(name)
        given = dict(self._code.arguments(call, name))
        if value is not None:
            inner = _Scope(name, strict=scope.strict, bare=scope.bare, needs=scope.needs, depth=scope.depth)
            inner.names = {parameter: self._say(argument, scope) for parameter, argument in given.items()}
            inner.bound = frozenset(given)
            return self._say(value, inner)
        scope.needs.add(("return", name))
        return f"own({', '.join(self._say(value, scope) for value in given.values())})"

    def _say_binding(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp | ast.Lambda, scope: _Scope
    ) -> str:
        """Variables of comprehensions and lambdas are numbered in the order of their use."""
        outer = scope.bound
        if isinstance(node, ast.Lambda):
            scope.bound |= {arg.arg for arg in node.args.args}
            said = f"Lambda({self._say(node.body, scope)})"
        else:
            targets = [inner for part in node.generators for inner in ast.walk(part.target)]
            scope.bound |= {inner.id for inner in targets if isinstance(inner, ast.Name)}
            said = self._say_parts(node, scope)
        scope.bound = outer
        return said

    def _say_repeated(self, node: ast.expr, scope: _Scope) -> str:
        """In a question about length or absence, a field that repeats another stands for it."""
        said = self._say(node, scope)
        for new, old in self._stand_ins.items():
            said = said.replace(f"doc[{new!r}]", f"doc[{old!r}]")
        return said

    # -- questions

    def _is_document(self, name: str, scope: _Scope) -> bool:
        return name not in scope.bound and bool(self._flow.role(scope.function, name)) and "docs" not in name.split("_")

    def _is_foreign(self, function: ast.expr, scope: _Scope) -> bool:
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

    def _fields_read(self, call: ast.Call, scope: _Scope) -> set[str]:
        said = " ".join(
            self._say(value, scope) for value in (*call.args, *(keyword.value for keyword in call.keywords))
        )
        return {piece.split("]", 1)[0] for piece in said.split("doc[")[1:]}


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


def _is_fallback(test: ast.expr, orelse: ast.expr) -> bool:
    """``x if y is not None else <constant>``: what was there before keeps its value."""
    empty = isinstance(orelse, ast.Constant) or (isinstance(orelse, ast.List | ast.Tuple) and not orelse.elts)
    present = isinstance(test, ast.Name) or (isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot))
    return empty and present


def _is_upkeep(write: Write, found: Field) -> bool:
    """Starting a field empty, or filtering its own entries, computes nothing."""
    value = write.value
    if isinstance(value, ast.List | ast.Dict | ast.Set) and not ast.unparse(value).strip("[]{}"):
        return True
    if (
        isinstance(value, ast.ListComp)
        and isinstance(value.elt, ast.Name)
        and isinstance(value.generators[0].target, ast.Name)
    ):
        return value.elt.id == value.generators[0].target.id and repr(found.name) in ast.unparse(
            value.generators[0].iter
        )
    return False


def _is_trivial(said: str) -> bool:
    return said == "doc" or (said[:1] == "v" and said[1:].isdigit()) or said.startswith("own(")
