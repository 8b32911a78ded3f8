"""How a field's value is computed: the set of statements that it depends on inside the module.

The order of statements does not count. A call of METASPACE's other modules that only feeds such a statement counts by the document
fields that go in: its name and signature may change without changing values. This is a reading of the code, not a proof.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.rules.es_nodes import walk
from bot.domain.rules.es_slices import Binding
from bot.domain.rules.es_words import Scope, Words, is_fallback

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bot.domain.rules.es_documents import Documents, Field, Write
    from bot.domain.rules.es_nodes import Guard
    from bot.domain.rules.es_words import Need

_MEMBER = re.compile(r"(\w[\w. ]*?) -> ('\w+')(?: :: text)?(?: \|.*)?")


@dataclass(frozen=True, slots=True)
class _Line:
    """A statement in words, empty if it only hands something on; what it needs; the entry that it concerns."""

    text: str
    needs: frozenset[Need]
    entry: str | None


class Values(Words):
    """The values of one version's fields."""

    def __init__(
        self,
        documents: Documents,
        stand_ins: Mapping[str, str] | None = None,
        renamed: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(documents, stand_ins, renamed)
        self._known: dict[tuple[Need, bool], list[_Line]] = {}

    def of(self, found: Field, *, bare: bool = False) -> frozenset[str]:
        """The statements behind a field's writes."""
        self._words = 0
        said: set[str] = set()
        needs: set[Need] = set()
        for write in found.writes:
            if _is_upkeep(write, found):
                continue
            for value, guards in self._ways(write, bare=bare):
                scope = Scope(write.function, strict=True, bare=bare, own=found.name)
                part = "" if write.part is None else f"part {write.part} of "
                verb = "taken out" if write.is_removal else f"{part}{self._say(value, scope)}"
                said.add(f"{verb}{self._say_guards(guards, scope)}")
                needs |= scope.needs
        self._close(said, needs, bare=bare, own=found.name)
        return frozenset(said)

    def agree(self, *others: Values) -> None:
        """An expression that makes a field in both versions is that field, wherever else it stands."""
        both = self.fields_by_words().items() & others[0].fields_by_words().items()
        for each in (self, *others):
            each.learn(dict(both))

    def learn(self, told: Mapping[str, str]) -> None:
        """Say a field where some words make it; what was said before is forgotten."""
        self.told = told
        self._known.clear()

    def fields_by_words(self) -> dict[str, str]:
        """Fields that one statement makes, by its words."""
        found: dict[str, list[str]] = {}
        for fields in self._documents.fields.values():
            for each in fields.values():
                if len(each.writes) == 1 and each.writes[0].part is None and not each.writes[0].guards:
                    scope = Scope(each.writes[0].function, strict=True, bare=False)
                    said = self._say(each.writes[0].value, scope)
                    if "doc[" in said and not said.startswith("doc["):
                        found.setdefault(said, []).append(each.name)
        return {said: names[0] for said, names in found.items() if len(names) == 1}

    def _ways(self, write: Write, *, bare: bool) -> Iterator[tuple[ast.expr, tuple[Guard, ...]]]:
        """``a if x else b`` is two ways, each under its condition, and so is a variable that is set in two branches."""
        if write.part is not None:
            yield write.value, write.guards
            return
        queue = [(write.value, write.guards)]
        while queue:
            value, guards = queue.pop()
            several = self._bindings.of.get((write.function, value.id), []) if isinstance(value, ast.Name) else []
            if isinstance(value, ast.IfExp) and bare and is_fallback(value.test, value.orelse):
                queue.append((value.body, guards))
            elif isinstance(value, ast.IfExp):
                queue += [(value.body, (*guards, (value.test, True))), (value.orelse, (*guards, (value.test, False)))]
            elif len(several) > 1 and all(_stands_alone(one, value) for one in several):
                queue += [(one.value, (*guards, *one.guards)) for one in several]
            else:
                yield value, guards

    def member(self, found: Field, role: str) -> str:
        """The table's column and the key, of a field that is one entry of a JSON column; empty for any other.

        SQL's ``t.stats -> 'x'`` and Python's ``doc['stats']['x']`` give the same.
        """
        if found.column and not found.writes:
            match = _MEMBER.fullmatch(found.column.by_table)
            return f"{match[1]} {match[2]}" if match else ""
        if found.column or len(found.writes) != 1 or found.writes[0].guards:
            return ""
        value = found.writes[0].value
        if isinstance(value, ast.Call) and len(value.args) != 1:
            return ""  # with a default, it is not the same
        key, holder = _entry_read(value)
        if isinstance(holder, ast.Name) and not self._flow.role(found.writes[0].function, holder.id):
            binding = self._bindings.inlined(found.writes[0].function, holder.id, key)
            name, holder = _entry_read(binding.value) if binding else ("", None)
        else:
            name, holder = _entry_read(holder) if holder is not None else ("", None)
        column = self._documents.columns[role].get(name)
        is_document = isinstance(holder, ast.Name) and self._flow.role(found.writes[0].function, holder.id)
        return f"{column.by_table.split(' |')[0]} {key!r}" if key and column and is_document else ""

    # -- dependencies

    def _close(self, said: set[str], needs: set[Need], *, bare: bool, own: str) -> None:
        fields = {name for known in self._documents.fields.values() for name in known}
        done: set[Need] = set()
        while needs:
            need = needs.pop()
            if need in done:
                continue
            done.add(need)
            for line in self._lines(need, bare=bare):
                if not need[2] and line.entry and f"{own}.{line.entry}" in fields:
                    continue  # a field of its own
                if line.text:
                    said.add(line.text)
                needs |= line.needs - done

    def _lines(self, need: Need, *, bare: bool) -> list[_Line]:
        """The statements behind a need: many fields share them, so they are put into words once."""
        if (need, bare) not in self._known:
            self._known[need, bare] = [
                self._line(binding, Scope(function, strict=False, bare=bare))
                for binding, function in self._sources(need)
            ]
        return self._known[need, bare]

    def _line(self, binding: Binding, scope: Scope) -> _Line:
        self._words = 0
        value = self._say(binding.value, scope)
        key = self._say(binding.key, scope) if binding.key is not None else ""
        guards = self._say_guards(binding.guards, scope)
        passed_on = binding.plain or binding.how in ("return", "argument")
        matters = not passed_on or not _is_trivial(value) or guards
        how = "" if passed_on else binding.how
        return _Line(f"{how} {key} {value}{guards}" if matters else "", frozenset(scope.needs), binding.entry)

    def _sources(self, need: Need) -> Iterable[tuple[Binding, str]]:
        first, second, entry = need
        if first == "return":
            return [(binding, second) for binding in self._bindings.returns[second]]
        found = [(binding, first) for binding in self._bindings.relevant(first, second, entry)]
        if second in self._code.parameters(first) and first.rsplit(".", 1)[-1].startswith("_"):
            for caller, call in self._bindings.calls[first]:
                given = dict(self._code.arguments(call, first))
                if second in given:
                    found.append((Binding("argument", given[second], None, ()), caller))
        return found


def _stands_alone(binding: Binding, name: ast.expr) -> bool:
    """Whether a variable's binding is a plain value that does not build on the variable itself."""
    own = isinstance(name, ast.Name) and name.id in {
        node.id for node in walk(binding.value) if isinstance(node, ast.Name)
    }
    return binding.plain and binding.part is None and not own


def _entry_read(node: ast.expr) -> tuple[str, ast.expr | None]:
    """The key and the holder of ``holder['key']``, ``holder.get('key')`` and ``holder.pop('key', …)``."""
    match node:
        case ast.Subscript(value=holder, slice=ast.Constant(value=str(key))):
            return key, holder
        case ast.Call(func=ast.Attribute(value=holder, attr="get" | "pop"), args=[ast.Constant(value=str(key)), *_]):
            return key, holder
        case _:
            return "", None


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
