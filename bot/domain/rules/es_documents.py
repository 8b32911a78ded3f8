"""The fields of dataset and annotation documents as an exporter's code writes them."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.rules import es_sql
from bot.domain.rules.es_code import Code
from bot.domain.rules.es_flow import ANNOTATION, DATASET, Flow

if TYPE_CHECKING:
    from collections.abc import Iterator

Guard = tuple[ast.expr, bool]  # a condition, and whether it holds where the statement stands


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


@dataclass(frozen=True, slots=True)
class Removal:
    """``del doc[name]`` or ``doc.pop(name)``."""

    role: str
    name: str
    line: int
    function: str
    always: bool  # no condition surrounds it

    def undoes(self, write: Write) -> bool:
        """Whether a field is taken out again after it was written."""
        same = (self.role, self.name, self.function) == (write.role, write.name, write.function)
        return same and self.always and self.line > write.line


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
    bindings: object = None  # found when values are first compared

    def copies(self, name: str) -> bool:
        """Whether a dataset field is copied into every annotation document."""
        return self.copied and name.split(".", 1)[0] not in self.skipped


def read(tree: ast.Module) -> Documents:
    """Find all fields of both kinds of document."""
    code = Code.read(tree)
    flow = Flow(code)
    collector = _Collector(code, flow)
    for name, function in code.functions.items():
        collector.walk(function.body, name, ())
    collector.take_literals()
    fields: dict[str, dict[str, Field]] = {DATASET: {}, ANNOTATION: {}}
    for text, expression in flow.queries.items():
        for role in flow.query_roles(text):
            _take_columns(fields[role], text, _standing(expression, code))
    removed = {(gone.role, gone.name) for gone in collector.removals}
    for role, name in removed:
        fields[role].pop(name, None)
    for write in collector.writes:
        if any(removal.undoes(write) for removal in collector.removals):
            continue
        found = fields[write.role].setdefault(write.name, Field(write.name, write.line))
        found.writes.append(write)
    return Documents(code, flow, fields, copied=collector.skips is not None, skipped=collector.skips or frozenset())


def _standing(expression: ast.expr, code: Code) -> ast.expr:
    """Where a query's text stands, behind the name that was used for it."""
    name = expression.id if isinstance(expression, ast.Name) else getattr(expression, "attr", "")
    return code.constants.get(name, expression)


def _take_columns(fields: dict[str, Field], text: str, expression: ast.expr) -> None:
    for column in es_sql.columns(text).values():
        line = expression.lineno + text.count("\n", 0, column.offset)
        fields[column.name] = Field(column.name, line, column)


class _Collector:
    """Walks statements with the conditions around them."""

    def __init__(self, code: Code, flow: Flow) -> None:
        self.writes: list[Write] = []
        self.removals: list[Removal] = []
        self.skips: frozenset[str] | None = None
        self._code = code
        self._flow = flow

    def walk(self, body: list[ast.stmt], inside: str, guards: tuple[Guard, ...]) -> None:
        for statement in body:
            self._statement(statement, inside, guards)
            for inner, extra in branches(statement):
                self.walk(inner, inside, (*guards, *extra))

    def take_literals(self) -> None:
        """Documents that are built where they are sent: ``{**doc, 'new': 1}``."""
        for role, inside, document in self._flow.literals:
            self._keys(role, document, inside, ())

    def _keys(self, role: str, document: ast.Dict, inside: str, guards: tuple[Guard, ...]) -> None:
        for key, value in zip(document.keys, document.values, strict=True):
            if key is not None and (name := self._code.text(key)) is not None and not name.startswith("_"):
                for path, leaf in _leaves(name, value):
                    self.writes.append(Write(role, path, leaf, guards, inside, leaf.lineno))

    def _statement(self, statement: ast.stmt, inside: str, guards: tuple[Guard, ...]) -> None:
        match statement:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value, inside, guards)
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.AugAssign(target=target, value=value):
                self._assign(target, value, inside, guards)
            case ast.Delete(targets=targets):
                for target in targets:
                    self._remove(target, inside, guards)
            case ast.For():
                self._loop(statement, inside, guards)
            case ast.Return(value=ast.Dict() as value):
                for role in sorted(self._flow.role("return", inside)):
                    self._keys(role, value, inside, guards)
            case _:
                pass
        for call in _calls(statement):
            self._call(call, inside, guards)

    def _assign(self, target: ast.expr, value: ast.expr, inside: str, guards: tuple[Guard, ...]) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for part, element in enumerate(target.elts):
                if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
                    self._assign(element, value.elts[part], inside, guards)
                else:
                    self._write(element, value, inside, guards, part)
        elif isinstance(target, ast.Name) and isinstance(value, ast.Dict):
            self._merge(target, value, inside, guards)
        else:
            self._write(target, value, inside, guards, None)

    def _write(
        self, target: ast.expr, value: ast.expr, inside: str, guards: tuple[Guard, ...], part: int | None
    ) -> None:
        for role, name in self._fields_of(target, inside):
            for path, leaf in _leaves(name, value) if part is None else [(name, value)]:
                self.writes.append(Write(role, path, leaf, guards, inside, leaf.lineno or target.lineno, part))

    def _fields_of(self, target: ast.expr, inside: str) -> Iterator[tuple[str, str]]:
        """(role, dotted field) of ``doc['a']`` and ``doc['a']['b']``, also where a parameter is the key."""
        if (
            isinstance(target, ast.Subscript)
            and isinstance(target.slice, ast.Name)
            and isinstance(target.value, ast.Name)
        ):
            for name in self._given(target.slice.id, inside):
                yield from ((role, name) for role in sorted(self._flow.role(inside, target.value.id)))
        path: list[str] = []
        while isinstance(target, ast.Subscript) and (key := self._code.text(target.slice)) is not None:
            path.insert(0, key)
            target = target.value
        if path and isinstance(target, ast.Name) and "?" not in "".join(path):
            for role in sorted(self._flow.role(inside, target.id)):
                yield role, ".".join(path)

    def _given(self, parameter: str, function: str) -> Iterator[str]:
        """The constants that a function's callers hand in for a parameter."""
        if parameter not in self._code.parameters(function):
            return
        for caller, nodes in self._code.nodes.items():
            for node in nodes:
                if isinstance(node, ast.Call) and self._code.called(node, caller) == function:
                    text = self._code.text(dict(self._code.arguments(node, function)).get(parameter))
                    if text is not None:
                        yield text

    def _merge(self, target: ast.expr, value: ast.expr, inside: str, guards: tuple[Guard, ...]) -> None:
        """``doc = {…}``, ``doc.update({…})``: every key is a field."""
        if isinstance(target, ast.Name) and isinstance(value, ast.Dict):
            for key, item in zip(value.keys, value.values, strict=True):
                if key is not None and self._code.text(key) is not None:
                    self._write(
                        ast.Subscript(target, key, lineno=item.lineno, col_offset=0), item, inside, guards, None
                    )

    def _remove(self, target: ast.expr, inside: str, guards: tuple[Guard, ...]) -> None:
        self.removals.extend(
            Removal(role, name, target.lineno, inside, not guards) for role, name in self._fields_of(target, inside)
        )

    # -- calls and loops

    def _call(self, call: ast.Call, inside: str, guards: tuple[Guard, ...]) -> None:
        if not isinstance(call.func, ast.Attribute):
            return
        holder, method = call.func.value, call.func.attr
        if method == "update":
            self._update(call, holder, inside, guards)
        elif method == "setdefault" and len(call.args) > 1:
            self._write(ast.Subscript(holder, call.args[0]), call.args[1], inside, guards, None)
        elif method == "pop" and call.args and isinstance(holder, ast.Name):
            self._remove(ast.Subscript(holder, call.args[0], lineno=call.lineno, col_offset=0), inside, guards)
        elif method in ("append", "extend", "add", "insert") and call.args:
            self._write(holder, call.args[-1], inside, guards, None)

    def _update(self, call: ast.Call, holder: ast.expr, inside: str, guards: tuple[Guard, ...]) -> None:
        for argument in call.args:
            self._merge(holder, argument, inside, guards)
            if isinstance(argument, ast.Name):
                self._copy(holder, argument, frozenset(), inside)
            elif isinstance(argument, ast.DictComp) and isinstance(argument.generators[0].iter, ast.Name | ast.Call):
                source = _iterated(argument.generators[0].iter)
                self._copy(holder, source, self._tested(argument), inside)
        for keyword in call.keywords:
            if keyword.arg:
                key = ast.Constant(keyword.arg)
                self._write(ast.Subscript(holder, key), keyword.value, inside, guards, None)

    def _loop(self, loop: ast.For, inside: str, guards: tuple[Guard, ...]) -> None:
        """``for f in ds_doc: ann_doc[f] = ds_doc[f]`` copies; ``for f in ('a', 'b'): doc[f] = …`` writes each."""
        names = {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
        keys = constants(loop.iter, self._code) or ()
        for node in ast.walk(loop):
            if not isinstance(node, ast.Assign) or not isinstance(target := node.targets[0], ast.Subscript):
                continue
            used = {inner.id for inner in ast.walk(target.slice) if isinstance(inner, ast.Name)} & names
            if used and isinstance(target.slice, ast.Name):
                self._copy(target.value, _iterated(loop.iter), self._tested(loop), inside)
            for key in keys if used else ():
                name = ast.Constant(_filled(target.slice, key), lineno=target.lineno, col_offset=0)
                fixed = ast.Subscript(target.value, name, lineno=target.lineno, col_offset=0)
                self._write(fixed, node.value, inside, guards, None)

    def _copy(self, target: ast.expr, source: ast.expr, skip: frozenset[str], inside: str) -> None:
        if isinstance(target, ast.Name) and isinstance(source, ast.Name):
            roles = self._flow.role(inside, target.id), self._flow.role(inside, source.id)
            if ANNOTATION in roles[0] and DATASET in roles[1]:
                self.skips = skip if self.skips is None else self.skips & skip

    def _tested(self, node: ast.AST) -> frozenset[str]:
        """The constants that a copying loop leaves out: what ``in`` and ``not in`` compare with."""
        found: set[str] = set()
        for test in ast.walk(node):
            if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.In | ast.NotIn):
                found |= set(constants(test.comparators[0], self._code) or ())
            elif isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq | ast.NotEq):
                found |= {text for text in [self._code.text(test.comparators[0])] if text}
        return frozenset(found)


def branches(statement: ast.stmt) -> Iterator[tuple[list[ast.stmt], tuple[Guard, ...]]]:
    """The bodies inside a statement, each with the conditions it adds."""
    match statement:
        case ast.If(test=test, body=body, orelse=orelse):
            yield body, ((test, True),)
            yield orelse, ((test, False),)
        case ast.For(body=body, orelse=orelse) | ast.While(body=body, orelse=orelse):
            yield body, ()
            yield orelse, ()
        case ast.With(body=body) | ast.AsyncWith(body=body) | ast.AsyncFor(body=body):
            yield body, ()
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=finalbody):
            for part in (body, *(handler.body for handler in handlers), orelse, finalbody):
                yield part, ()
        case _:
            return


def constants(node: ast.expr, code: Code) -> tuple[str, ...] | None:  # noqa: PLR0911 - one return a case
    """The strings of a constant tuple, list, set or frozenset, by name or as it stands; None for anything else."""
    match node:
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            texts = [
                constants(part.value, code) if isinstance(part, ast.Starred) else code.text(part) for part in elements
            ]
            flat = [
                text for part in texts for text in (part if isinstance(part, tuple) else (part,)) if text is not None
            ]
            return tuple(flat)
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(), attr=name) if name in code.constants:
            return constants(code.constants[name], code)
        case ast.Dict(keys=keys):
            return tuple(text for key in keys if key is not None and (text := code.text(key)) is not None)
        case ast.Call(func=ast.Attribute(value=inner, attr="items" | "keys"), args=[]):
            return constants(inner, code)
        case ast.BinOp(left=left, right=right):
            one, other = constants(left, code), constants(right, code)
            return None if one is None or other is None else one + other
        case ast.Call(func=ast.Name(id="frozenset" | "set" | "tuple" | "list"), args=[inner]):
            return constants(inner, code)
        case _:
            return None


def _filled(key: ast.expr, value: str) -> str:
    """A key made from a loop's variable: the variable itself, or a text around it."""
    if isinstance(key, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else value for part in key.values)
    return value


def _iterated(node: ast.expr) -> ast.expr:
    """What a loop goes through, without ``.items()``, ``.keys()`` and ``list()``."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="items" | "keys" | "copy")):
            return _iterated(value)
        case ast.Call(func=ast.Name(id="list" | "tuple" | "set" | "sorted"), args=[value, *_]):
            return _iterated(value)
        case _:
            return node


def _leaves(name: str, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """The dotted fields of a value: dicts, and lists of dicts, are taken apart; Elasticsearch stores both the same."""
    inner = value
    if isinstance(inner, ast.List) and inner.elts:
        inner = inner.elts[0]
    elif isinstance(inner, ast.ListComp):
        inner = inner.elt
    if isinstance(inner, ast.Dict) and inner.keys and all(isinstance(key, ast.Constant) for key in inner.keys):
        for key, item in zip(inner.keys, inner.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield from _leaves(f"{name}.{key.value}", item)
    else:
        yield name, value


def _calls(statement: ast.stmt) -> Iterator[ast.Call]:
    """The calls of a statement itself, not of the statements inside it."""
    queue: list[ast.AST] = [
        child
        for child in ast.iter_child_nodes(statement)
        if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case)
    ]
    while queue:
        node = queue.pop(0)
        if isinstance(node, ast.Call):
            yield node
        queue.extend(ast.iter_child_nodes(node))
