"""Where an exporter's code writes document fields, takes them out again, and copies dataset fields into annotation documents."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from bot.domain.rules.es_documents import Removal, Write
from bot.domain.rules.es_forms import ADDING, SETTING, changes, entry, is_place, iterated, popped
from bot.domain.rules.es_nodes import branches, calls, walk
from bot.domain.rules.es_pairs import Pairs, substituted
from bot.domain.rules.es_roles import ANNOTATION, DATASET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.domain.rules.es_code import Code
    from bot.domain.rules.es_flow import Flow
    from bot.domain.rules.es_nodes import Guard


class Collector:
    """Walks statements with the conditions around them. ``skips`` are the fields that copying leaves out; None without copying."""

    def __init__(self, code: Code, flow: Flow) -> None:
        self.writes: list[Write] = []
        self.removals: list[Removal] = []
        self.skips: frozenset[str] | None = None
        self._code = code
        self._flow = flow
        self._pairs = Pairs(code)
        self._changing: set[str] = set()  # functions that call something which may change a document
        self._inside: dict[
            tuple[str, str], list[tuple[str, str]]
        ] = {}  # variable → the (role, field) that it stands for

    def collect(self) -> None:
        """Walk every function that is used."""
        unused = self._code.unused()
        used = {name: function for name, function in self._code.functions.items() if name not in unused}
        self._changing = {name for name in used if any(changes(call) for call in self._code.each(ast.Call, name))}
        for name in used:
            self._find_objects(name)
        for name, function in used.items():
            self._walk(function.body, name, ())
        for role, inside, document in self._flow.literals:
            self._keys(role, document, inside, ())

    def _find_objects(self, function: str) -> None:
        """Variables that stand for an object inside a document: ``doc['metrics'] = metrics``, ``db = doc['db']``."""
        for node in self._code.each(ast.Assign, function):
            match node:
                case ast.Assign(targets=[*targets], value=ast.Name(id=name)):
                    holders = targets
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript() as value):
                    holders = [value]
                case _:
                    continue
            if self._flow.role(function, name):
                continue
            for holder in holders:
                if isinstance(holder, ast.Subscript):
                    self._inside.setdefault((function, name), []).extend(self._fields_of(holder, function))

    def _walk(self, body: list[ast.stmt], inside: str, guards: tuple[Guard, ...]) -> None:
        for statement in body:
            self._statement(statement, inside, guards)
            for inner, extra in branches(statement):
                self._walk(inner, inside, (*guards, *extra))

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
            case ast.Return(value=ast.expr() as value) | ast.Expr(value=ast.Yield(value=ast.expr() as value)):
                for role in sorted(self._flow.role("return", inside)):
                    self._keys(role, value, inside, guards)
            case _:
                pass
        for call in calls(statement) if inside in self._changing else ():
            self._call(call, inside, guards)

    # -- writes

    def _keys(self, role: str, document: ast.expr, inside: str, guards: tuple[Guard, ...]) -> None:
        """A document, or documents, built as they stand: ``{**doc, 'new': 1}``; bulk actions are looked into elsewhere."""
        for name, value in self._pairs.of(document):
            if not name.startswith("_"):
                self._field(role, name, value, inside, guards)

    def _field(  # noqa: PLR0917 - private, and all are needed
        self, role: str, name: str, value: ast.expr, inside: str, guards: tuple[Guard, ...], part: int | None = None
    ) -> None:
        leaves = self._pairs.leaves(name, value, inside) if part is None else [(name, value, inside)]
        for path, leaf, function in leaves:
            self.writes.append(Write(role, path, leaf, guards, function, getattr(leaf, "lineno", 0), part))

    def _assign(self, target: ast.expr, value: ast.expr, inside: str, guards: tuple[Guard, ...]) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for part, element in enumerate(target.elts):
                if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
                    self._assign(element, value.elts[part], inside, guards)
                else:
                    self._write(element, value, inside, guards, part)
        elif isinstance(target, ast.Name):
            self._merge(target, value, inside, guards)
            self._filter(target, value, inside)
        else:
            self._write(target, value, inside, guards)

    def _write(
        self,
        target: ast.expr,
        value: ast.expr,
        inside: str,
        guards: tuple[Guard, ...],
        part: int | None = None,
    ) -> None:
        for role, name in self._fields_of(target, inside):
            self._field(role, name, value, inside, guards, part)

    def _merge(self, holder: ast.expr, value: ast.expr, inside: str, guards: tuple[Guard, ...]) -> None:
        """``doc = {…}``, ``doc |= {…}``, ``doc.update({…})``: every key is a field of the document, or of the object in it."""
        for key, item in self._pairs.of(value):
            self._write(entry(holder, ast.Constant(key), item), item, inside, guards)

    def _fields_of(self, target: ast.expr, inside: str) -> Iterator[tuple[str, str]]:
        """(role, dotted field) of ``doc['a']``, ``doc['a']['b']`` and ``docs[0]['a']``, also where a parameter is the key."""
        if (
            isinstance(target, ast.Subscript)
            and isinstance(target.slice, ast.Name)
            and isinstance(target.value, ast.Name)
        ):
            for name in self._given(target.slice.id, inside):
                yield from ((role, name) for role in sorted(self._flow.role(inside, target.value.id)))
        path: list[str] = []
        while isinstance(target, ast.Subscript):
            key = self._code.text(target.slice)
            if key is None and not (path and is_place(target)):
                return
            path[:0] = [key] if key is not None else []
            target = target.value
        if not path or not isinstance(target, ast.Name) or "?" in "".join(path):
            return
        yield from ((role, ".".join(path)) for role in sorted(self._flow.role(inside, target.id)))
        yield from ((role, ".".join([name, *path])) for role, name in self._inside.get((inside, target.id), ()))

    def _given(self, parameter: str, function: str) -> Iterator[str]:
        """The constants that a function's callers hand in for a parameter."""
        if parameter not in self._code.parameters(function):
            return
        for call in (call for made in self._code.calls.values() for call, called in made if called == function):
            text = self._code.text(dict(self._code.arguments(call, function)).get(parameter))
            if text is not None:
                yield text

    # -- removals

    def _remove(self, target: ast.expr, inside: str, guards: tuple[Guard, ...]) -> None:
        for role, name in self._fields_of(target, inside):
            asked = [guard for guard in guards if repr(name) not in ast.unparse(guard[0])]
            if asked:
                gone = ast.Constant(None)
                self.writes.append(Write(role, name, gone, guards, inside, target.lineno, is_removal=True))
            else:
                self.removals.append(Removal(role, name, target.lineno, inside))

    def _filter(self, target: ast.Name, value: ast.expr, inside: str) -> None:
        """``doc = {k: v for k, v in doc.items() if k not in ('a',)}``, also for each document of a list."""
        inner = value.elt if isinstance(value, ast.ListComp) else value
        if not isinstance(inner, ast.DictComp) or not isinstance(inner.generators[0].target, ast.Tuple):
            return
        source = iterated(inner.generators[0].iter)
        if not isinstance(source, ast.Name) or not self._flow.role(inside, target.id) & self._flow.role(
            inside, source.id
        ):
            return
        for name in self._tested(inner):
            self._remove(entry(target, ast.Constant(name), value), inside, ())

    # -- calls and loops

    def _call(self, call: ast.Call, inside: str, guards: tuple[Guard, ...]) -> None:
        if not isinstance(call.func, ast.Attribute):
            return
        holder, method = call.func.value, call.func.attr
        if method == "update":
            self._update(call, holder, inside, guards)
        elif method in SETTING and len(call.args) > 1:
            self._write(entry(holder, call.args[0], call), call.args[1], inside, guards)
        elif method == "pop" and call.args:
            self._remove(entry(holder, call.args[0], call), inside, guards)
        elif method in ADDING and call.args:
            self._write(holder, call.args[-1], inside, guards)

    def _update(self, call: ast.Call, holder: ast.expr, inside: str, guards: tuple[Guard, ...]) -> None:
        for argument in call.args:
            self._merge(holder, argument, inside, guards)
            if isinstance(argument, ast.Name):
                self._copy(holder, argument, frozenset(), inside)
            elif isinstance(argument, ast.DictComp):
                self._copy(holder, argument.generators[0].iter, self._tested(argument), inside)
        for keyword in call.keywords:
            if keyword.arg:
                self._write(entry(holder, ast.Constant(keyword.arg), call), keyword.value, inside, guards)

    def _loop(self, loop: ast.For, inside: str, guards: tuple[Guard, ...]) -> None:
        """``for f in ds_doc: ann_doc[f] = ds_doc[f]`` copies; ``for f in ('a', 'b'): doc[f] = …`` writes each."""
        names = {node.id for node in walk(loop.target) if isinstance(node, ast.Name)}
        rounds = list(self._pairs.rounds(loop.target, loop.iter))
        for node in walk(loop):
            target = node.targets[0] if isinstance(node, ast.Assign | ast.Delete) else popped(node)
            if not isinstance(target, ast.Subscript):
                continue
            used = {inner.id for inner in walk(target.slice) if isinstance(inner, ast.Name)} & names
            if isinstance(node, ast.Assign) and isinstance(target.slice, ast.Name) and used:
                self._copy(target.value, self._single(loop.iter, inside), self._tested(loop, inside), inside)
            for known in rounds if used else ():
                fixed = entry(target.value, substituted(target.slice, known), target)
                if isinstance(node, ast.Assign):
                    self._write(fixed, substituted(node.value, known), inside, guards)
                else:
                    self._remove(fixed, inside, guards)

    def _single(self, node: ast.expr, inside: str) -> ast.expr:
        """The selection of names that a variable stands for: ``names = [f for f in ds_doc if …]``."""
        if not isinstance(node, ast.Name):
            return node
        found = [
            one.value
            for one in self._code.each(ast.Assign, inside)
            if isinstance(one.targets[0], ast.Name) and one.targets[0].id == node.id
        ]
        chosen = len(found) == 1 and isinstance(found[0], ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.BinOp)
        return found[0] if chosen else node

    def _copy(self, target: ast.expr, source: ast.expr, skip: frozenset[str], inside: str) -> None:
        source = iterated(source)
        if isinstance(target, ast.Name) and isinstance(source, ast.Name):
            roles = self._flow.role(inside, target.id), self._flow.role(inside, source.id)
            if ANNOTATION in roles[0] and DATASET in roles[1]:
                self.skips = skip if self.skips is None else self.skips & skip

    def _tested(self, node: ast.AST, inside: str = "") -> frozenset[str]:
        """The constants that a copying loop leaves out: what ``in``, ``not in``, ``==`` and ``-`` compare with."""
        found: set[str] = set()
        parts = [node, self._single(node.iter, inside)] if isinstance(node, ast.For) and inside else [node]
        for test in (inner for part in parts for inner in walk(part)):
            if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.In | ast.NotIn):
                found |= set(self._code.strings(test.comparators[0]) or ())
            elif isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq | ast.NotEq):
                found |= {text for text in [self._code.text(test.comparators[0])] if text}
            elif isinstance(test, ast.BinOp) and isinstance(test.op, ast.Sub):
                found |= set(self._code.strings(test.right) or ())
        return frozenset(found)
