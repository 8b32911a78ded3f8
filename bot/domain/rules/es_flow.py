"""Where documents flow in an exporter's code: which variables hold dataset or annotation documents.

Roles flow backward from where documents are sent to Elasticsearch, then forward from queries and arguments. Names decide only
where flow says nothing. It is a reading of the code, not a proof: aliasing through containers of objects is not followed.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.rules import es_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

DATASET, ANNOTATION = "dataset", "annotation"
Node = tuple[str, str]  # (function, variable), ("return", function) or ("query", text)
Function = ast.FunctionDef | ast.AsyncFunctionDef

_PASSING = frozenset({"list", "dict", "tuple", "sorted", "reversed", "iter", "next", "copy", "deepcopy", "tqdm"})
_COPYING = frozenset({"copy", "values", "to_dict"})
_GATHERING = frozenset({"append", "extend", "insert", "add"})
_SENDING = frozenset({"index", "create", "update"})
_DATASET_NAME = re.compile(r"(^|_)(ds|datasets?)_docs?$|^dataset$")
_ANNOTATION_NAME = re.compile(r"(^|_)(anns?|annotations?)_docs?$|^annotations$")
_DOCUMENT_NAME = re.compile(r"(^|_)docs?$")
_MAIN_TABLES = {"dataset": DATASET, "annotation": ANNOTATION, "iso_image_metrics": ANNOTATION}


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

    def text(self, node: ast.expr | None, depth: int = 0) -> str | None:
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
            case ast.Call(func=ast.Attribute(value=inner, attr="strip" | "format")):
                return self.text(inner, depth + 1)
            case ast.Call(args=[inner, *_]) if ast.unparse(node.func).endswith(("dedent", "cleandoc")):
                return self.text(inner, depth + 1)
            case _:
                return None


class Flow:
    """The roles of a module's variables and queries."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.roles: defaultdict[Node, set[str]] = defaultdict(set)
        self.queries: dict[str, ast.expr] = {}
        self._edges: list[tuple[Node, Node]] = []
        self._sinks: list[tuple[Node, str]] = []
        for name, nodes in code.nodes.items():
            for node in nodes:
                self._follow(node, name)
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
            case ast.For(target=target, iter=iterated) | ast.comprehension(target=target, iter=iterated):
                self._link_iteration(iterated, target, inside)
            case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value):
                self._edges.extend((source, ("return", inside)) for source in self._nodes(value, inside))
            case ast.Call():
                self._follow_call(node, inside)
            case ast.Dict():
                self._follow_action(node, inside)
            case _:
                pass

    def _link(self, value: ast.expr, target: ast.expr, inside: str) -> None:
        if isinstance(target, ast.Name):
            self._edges.extend((source, (inside, target.id)) for source in self._nodes(value, inside))
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, other in zip(value.elts, target.elts, strict=False):
                self._link(one, other, inside)

    def _link_iteration(self, iterated: ast.expr, target: ast.expr, inside: str) -> None:
        if isinstance(iterated, ast.Call) and isinstance(target, ast.Tuple):
            name = ast.unparse(iterated.func)
            if name == "enumerate" and len(target.elts) > 1:
                self._link(iterated.args[0], target.elts[1], inside)
            elif name == "zip":
                for one, other in zip(iterated.args, target.elts, strict=False):
                    self._link(one, other, inside)
        else:
            self._link(iterated, target, inside)

    def _follow_call(self, call: ast.Call, inside: str) -> None:
        if name := self.code.called(call, inside):
            for parameter, value in self.code.arguments(call, name):
                self._edges.extend((source, (name, parameter)) for source in self._nodes(value, inside))
        if isinstance(call.func, ast.Attribute):
            if call.func.attr in _GATHERING and isinstance(call.func.value, ast.Name):
                holder = (inside, call.func.value.id)
                self._edges.extend((source, holder) for value in call.args for source in self._nodes(value, inside))
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
            self._sinks.extend((node, role) for node in self._nodes(document, inside))

    def _follow_action(self, action: ast.Dict, inside: str) -> None:
        """A bulk action: ``{'_index': …, '_source': doc}``."""
        named = {self.code.text(key): value for key, value in zip(action.keys, action.values, strict=True) if key}
        document = named.get("_source") or named.get("doc")
        places = [named.get("_type"), named.get("_index")]
        role = next((role for place in places if place and (role := self._role_of(place))), None)
        if document is not None and "_index" in named:
            self._sinks.extend((node, role or ANNOTATION) for node in self._nodes(document, inside))

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
            case ast.Dict(keys=keys, values=values):
                yield from (
                    found
                    for key, value in zip(keys, values, strict=True)
                    if key is None
                    for found in self._nodes(value, inside)
                )
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
        function = ast.unparse(call.func).rsplit(".", 1)[-1]
        if function in _PASSING:
            yield from (found for value in call.args[:1] for found in self._nodes(value, inside))
        elif function in _COPYING and isinstance(call.func, ast.Attribute):
            yield from self._nodes(call.func.value, inside)

    # -- roles

    def _settle(self) -> None:
        for node, role in self._sinks:
            self.roles[node].add(role)
        self._spread([(target, source) for source, target in self._edges])
        for text, expression in self._known_queries():
            self.queries.setdefault(text, expression)
        reached = {role for text in self.queries for role in self.query_roles(text)}
        for text, expression in self.queries.items():
            guess = self._guess(text, expression)
            if not self.query_roles(text) and guess and guess not in reached:
                self.roles["query", text].add(guess)
        self._spread(self._edges)
        self._name()
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

    def _name(self) -> None:
        """Names of documents tell where flow does not: ``ann_doc``, ``ds_doc``, and ``doc`` beside documents of one kind."""
        for name, nodes in self.code.nodes.items():
            variables = {node.id for node in nodes if isinstance(node, ast.Name)} | set(self.code.parameters(name))
            for variable in sorted(variables):
                if self.roles.get((name, variable)):
                    continue
                if _DATASET_NAME.search(variable):
                    self.roles[name, variable].add(DATASET)
                elif _ANNOTATION_NAME.search(variable):
                    self.roles[name, variable].add(ANNOTATION)
                elif _DOCUMENT_NAME.search(variable):
                    self.roles[name, variable] |= self._beside(name) or {ANNOTATION}

    def _beside(self, function: str) -> set[str]:
        owner = self.code.owner[function]
        around = [
            roles
            for (name, variable), roles in self.roles.items()
            if self.code.owner.get(name) == owner and _DOCUMENT_NAME.search(variable) and roles
        ]
        return around[0].copy() if around and all(roles == around[0] for roles in around) else set()
