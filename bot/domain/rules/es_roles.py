"""The kinds of document, and what a variable's name tells of the kind that it holds."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from bot.domain.rules.es_handing import handed_on

if TYPE_CHECKING:
    from collections import defaultdict

    from bot.domain.rules.es_code import Code

DATASET, ANNOTATION = "dataset", "annotation"
Node = tuple[str, str]  # (function, variable), ("return", function) or ("query", text)

_DATASET_NAME = re.compile(r"(^|_)(ds|datasets?)_docs?$|^dataset$")
_ANNOTATION_NAME = re.compile(r"(^|_)(anns?|annotations?)_docs?$|^annotations$")
_DOCUMENT_NAME = re.compile(r"(^|_)docs?$")


class Naming:
    """Gives roles by names, where flow gave none."""

    def __init__(self, code: Code, roles: defaultdict[Node, set[str]]) -> None:
        self._code = code
        self._roles = roles

    def name(self) -> None:
        """Names of documents tell where flow does not: ``ann_doc``, ``ds_doc``, and ``doc`` beside documents of one kind."""
        for name in self._code.functions:
            variables = {node.id for node in self._code.each(ast.Name, name)} | set(self._code.parameters(name))
            for variable in sorted(variables):
                role = self._named_role(name, variable)
                if role and not self._roles.get((name, variable)) and not self._is_private(name, variable):
                    self._roles[name, variable] |= role

    def _named_role(self, function: str, variable: str) -> set[str]:
        if _DATASET_NAME.search(variable):
            return {DATASET}
        if _ANNOTATION_NAME.search(variable):
            return {ANNOTATION}
        return (self._beside(function) or {ANNOTATION}) if _DOCUMENT_NAME.search(variable) else set()

    def _is_private(self, function: str, variable: str) -> bool:
        """Whether a variable is made in a function and never leaves it: whatever its name, it is no document."""
        made = leaves = False
        for node in self._code.nodes[function]:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == variable:
                    made = made or isinstance(value, ast.Dict | ast.Call)
                case ast.Call(func=ast.Name(id="len" | "print" | "str" | "repr" | "sorted" | "dict" | "list")):
                    continue
                case ast.Call(func=ast.Attribute(value=ast.Name(id="logger" | "logging"))):
                    continue
                case _:
                    pass
            leaves = leaves or any(isinstance(part, ast.Name) and part.id == variable for part in handed_on(node))
        return made and not leaves

    def _beside(self, function: str) -> set[str]:
        owner = self._code.owner[function]
        around = [
            roles
            for (name, variable), roles in self._roles.items()
            if self._code.owner.get(name) == owner and _DOCUMENT_NAME.search(variable) and roles
        ]
        return around[0].copy() if around and all(roles == around[0] for roles in around) else set()
