"""Where documents flow in an exporter's code: which variables hold dataset or annotation documents.

Roles flow backward from where documents are sent to Elasticsearch, then forward from queries and arguments. Names decide only
where flow says nothing. It is a reading of the code, not a proof: aliasing through containers of objects is not followed.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING

from bot.domain.rules import es_sql
from bot.domain.rules.es_handing import spreads
from bot.domain.rules.es_nodes import last_name
from bot.domain.rules.es_roles import ANNOTATION, DATASET, Naming

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.domain.rules.es_code import Code
    from bot.domain.rules.es_roles import Node

_PASSING = frozenset({"list", "dict", "tuple", "sorted", "reversed", "iter", "next", "copy", "deepcopy", "tqdm"})
_COPYING = frozenset({"copy", "values", "to_dict"})
_GATHERING = frozenset({"append", "extend", "insert", "add"})
_SENDING = frozenset({"index", "create", "update"})
_FOLLOWED = frozenset(
    {
        ast.AnnAssign,
        ast.Assign,
        ast.AugAssign,
        ast.Call,
        ast.Dict,
        ast.For,
        ast.NamedExpr,
        ast.Return,
        ast.Yield,
        ast.comprehension,
    }
)
_MAIN_TABLES = {"dataset": DATASET, "annotation": ANNOTATION, "iso_image_metrics": ANNOTATION}


class Flow:
    """The roles of a module's variables and queries."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.roles: defaultdict[Node, set[str]] = defaultdict(set)
        self.queries: dict[str, ast.expr] = {}
        self._edges: list[tuple[Node, Node]] = []
        self._parts: list[tuple[Node, Node]] = []  # (a dictionary, the document that it is merged into)
        self.places: defaultdict[str, set[str]] = defaultdict(set)  # kind of document → indices, as the code calls them
        self._sinks: list[tuple[Node, str]] = []
        self.literals: list[tuple[str, str, ast.expr]] = []  # (role, function, document) sent as it is built
        for name, nodes in code.nodes.items():
            for node in nodes:
                if type(node) in _FOLLOWED:
                    self._follow(node, name)
        for name, outer in code.inside.items():
            self._enclose(name, outer)
        self._settle()

    def role(self, function: str, variable: str) -> frozenset[str]:
        """The kinds of document that a variable may hold."""
        return frozenset(self.roles.get((function, variable), ()))

    def query_roles(self, text: str) -> frozenset[str]:
        """The kinds of document that a query's rows become."""
        return frozenset(self.roles.get(("query", text), ()))

    # -- edges

    def _follow(self, node: ast.AST, inside: str) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._link(value, target, inside)
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
                self._link(value, target, inside)
            case ast.AugAssign(target=ast.Name(id=name), op=ast.BitOr(), value=value):
                self._merge(value, (inside, name), inside)
            case ast.For(target=target, iter=iterated) | ast.comprehension(target=target, iter=iterated):
                self._link_iteration(iterated, target, inside)
            case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value):
                self._edges.extend((source, ("return", inside)) for source in self._nodes(value, inside))
                for spread in spreads(value):
                    self._merge(spread, ("return", inside), inside)
            case ast.Call():
                self._follow_call(node, inside)
            case ast.Dict(keys=keys, values=values):
                named = {self.code.text(key): value for key, value in zip(keys, values, strict=True) if key}
                self._follow_action(named, inside)
            case _:
                pass

    def _enclose(self, name: str, outer: str) -> None:
        """A function inside a function sees the variables around it."""
        own = set(self.code.parameters(name))
        used = {node.id for node in self.code.each(ast.Name, name)} - own
        self._edges.extend(((outer, variable), (name, variable)) for variable in sorted(used))

    def _merge(self, value: ast.expr, whole: Node, inside: str) -> None:
        self._parts.extend((source, whole) for source in self._nodes(value, inside) if source != whole)

    def _link(self, value: ast.expr, target: ast.expr, inside: str) -> None:
        if isinstance(target, ast.Name):
            self._edges.extend((source, (inside, target.id)) for source in self._nodes(value, inside))
            for spread in spreads(value):
                self._merge(spread, (inside, target.id), inside)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, other in zip(value.elts, target.elts, strict=False):
                self._link(one, other, inside)

    def _link_iteration(self, iterated: ast.expr, target: ast.expr, inside: str) -> None:
        if isinstance(iterated, ast.Call) and isinstance(target, ast.Tuple):
            name = iterated.func.id if isinstance(iterated.func, ast.Name) else ""
            if name == "enumerate" and len(target.elts) > 1 and iterated.args:
                self._link(iterated.args[0], target.elts[1], inside)
            elif name == "zip":
                for one, other in zip(iterated.args, target.elts, strict=False):
                    self._link(one, other, inside)
        else:
            self._link(iterated, target, inside)

    def _follow_call(self, call: ast.Call, inside: str) -> None:
        if isinstance(call.func, ast.Name) and call.func.id == "dict":
            self._follow_action({keyword.arg: keyword.value for keyword in call.keywords}, inside)
        if name := self.code.called(call, inside):
            for parameter, value in self.code.arguments(call, name):
                self._edges.extend((source, (name, parameter)) for source in self._nodes(value, inside))
        if isinstance(call.func, ast.Attribute):
            if call.func.attr in _GATHERING and isinstance(call.func.value, ast.Name):
                holder = (inside, call.func.value.id)
                self._edges.extend((source, holder) for value in call.args for source in self._nodes(value, inside))
            if call.func.attr == "update" and isinstance(call.func.value, ast.Name):
                for value in call.args:
                    self._merge(value, (inside, call.func.value.id), inside)
            if call.func.attr in _SENDING:
                self._follow_sending(call, inside)

    def _follow_sending(self, call: ast.Call, inside: str) -> None:
        named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        document = named.get("document") or named.get("doc") or named.get("body")
        if isinstance(document, ast.Dict):
            document = next(
                (v for k, v in zip(document.keys, document.values, strict=True) if self.code.text(k) == "doc"), document
            )
        places = [named.get("doc_type"), named.get("index"), *call.args[:1]]
        role = next((role for place in places if place and (role := self._role_of(place))), None)
        if document is not None and role:
            self._send(document, role, inside)
            self._note_place(role, named.get("index") or (call.args[0] if call.args else None))

    def _follow_action(self, named: dict[str | None, ast.expr], inside: str) -> None:
        """A bulk action: ``{'_index': …, '_source': doc}``."""
        document = named.get("_source") or named.get("doc")
        places = [named.get("_type"), named.get("_index")]
        role = next((role for place in places if place and (role := self._role_of(place))), None)
        if document is not None and "_index" in named:
            self._send(document, role or ANNOTATION, inside)
            self._note_place(role or ANNOTATION, named["_index"])

    def _send(self, document: ast.expr, role: str, inside: str) -> None:
        self._sinks.extend((node, role) for node in self._nodes(document, inside))
        self._sinks.extend((node, role) for spread in spreads(document) for node in self._nodes(spread, inside))
        if isinstance(document, ast.Dict | ast.Call):
            self.literals.append((role, inside, document))

    def _note_place(self, role: str, place: ast.expr | None) -> None:
        """An index by the name of its setting, or as the code writes it; only attributes and names that are set once tell."""
        if isinstance(place, ast.Attribute) and isinstance(place.value, ast.Name):
            set_once = [
                node.value
                for function in self.code.functions
                for node in self.code.each(ast.Assign, function)
                if any(isinstance(one, ast.Attribute) and one.attr == place.attr for one in node.targets)
            ]
            if len(set_once) == 1 and isinstance(set_once[0], ast.Subscript):
                self.places[role].add(self.code.text(set_once[0].slice) or ast.unparse(set_once[0].slice))

    def _role_of(self, place: ast.expr) -> str | None:
        text = (self.code.text(place) or ast.unparse(place)).casefold()
        if "ann" in text:
            return ANNOTATION
        return DATASET if "dataset" in text or "ds_index" in text else None

    def _nodes(self, node: ast.expr, inside: str) -> Iterator[Node]:
        """The variables whose document (or list of documents) an expression stands for."""
        match node:
            case ast.Name(id=name):
                yield (inside, name)
            case ast.Subscript(value=value, slice=index):
                if not isinstance(index, ast.Constant) or not isinstance(index.value, str):
                    yield from self._nodes(value, inside)
            case ast.Attribute(value=value, attr="body" | "raw"):
                yield from self._nodes(value, inside)
            case ast.IfExp(body=one, orelse=other):
                yield from (*self._nodes(one, inside), *self._nodes(other, inside))
            case ast.BoolOp(values=values) | ast.List(elts=values):
                yield from (found for value in values for found in self._nodes(value, inside))
            case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
                yield from self._nodes(element, inside)
            case ast.Starred(value=value) | ast.Await(value=value):
                yield from self._nodes(value, inside)
            case ast.Call():
                yield from self._call_nodes(node, inside)
            case _:
                return

    def _call_nodes(self, call: ast.Call, inside: str) -> Iterator[Node]:
        if name := self.code.called(call, inside):
            yield ("return", name)
            return
        if call.args and (text := self.code.text(call.args[0])) and es_sql.is_select(text):
            self.queries.setdefault(text, call.args[0])
            yield ("query", text)
            return
        function = last_name(call.func)
        if function in _PASSING:
            yield from (found for value in call.args[:1] for found in self._nodes(value, inside))
        elif function in _COPYING and isinstance(call.func, ast.Attribute):
            yield from self._nodes(call.func.value, inside)

    # -- roles

    def _settle(self) -> None:
        for node, role in self._sinks:
            self.roles[node].add(role)
        self._spread([(target, source) for source, target in self._edges])
        self._spread_parts()
        for text, expression in self._known_queries():
            self.queries.setdefault(text, expression)
        reached = {role for text in self.queries for role in self.query_roles(text)}
        for text, expression in self.queries.items():
            guess = self._guess(text, expression)
            if not self.query_roles(text) and guess and guess not in reached:
                self.roles["query", text].add(guess)
        self._spread(self._edges)
        Naming(self.code, self.roles).name()
        self._spread(self._edges)

    def _known_queries(self) -> Iterator[tuple[str, ast.expr]]:
        for name, value in self.code.constants.items():
            text = self.code.text(value)
            if text and es_sql.is_select(text):
                yield text, ast.copy_location(ast.Name(name), value)

    def _guess(self, text: str, expression: ast.expr) -> str | None:
        """A query kept in a constant, whose rows were not seen to be sent: its main table or its name tells."""
        if not isinstance(expression, ast.Name | ast.Attribute):
            return None
        role = _MAIN_TABLES.get(es_sql.main_table(text))
        return role or self._role_of(expression)

    def _spread(self, edges: list[tuple[Node, Node]]) -> None:
        changed = True
        while changed:
            changed = False
            for source, target in edges:
                if self.roles.get(source) and not self.roles[source] <= self.roles[target]:
                    self.roles[target] |= self.roles[source]
                    changed = True

    def _spread_parts(self) -> None:
        """What is merged into a document is part of it, unless it is a document of its own (a dataset's, which is copied)."""
        self._spread(self._edges)
        backward = [(target, source) for source, target in self._edges]
        changed = True
        while changed:
            changed = False
            for part, whole in self._parts:
                if self.roles.get(whole) and not self.roles.get(part):
                    self.roles[part] |= self.roles[whole]
                    changed = True
                    self._spread(backward)
