"""Fields that both versions of an exporter have, and compute differently."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from bot.domain.findings import Finding, Kind, Severity
from bot.domain.rules import paths
from bot.domain.rules.es_roles import ANNOTATION, DATASET
from bot.domain.rules.es_values import Values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.domain.rules.es_documents import Documents, Field


def findings(old: Documents, new: Documents) -> Iterator[Finding]:
    """Fields whose values are computed differently: existing documents keep the old ones."""
    renamed = _renamed(old, new)
    before, after = Values(old), Values(new, _stand_ins(old, new), renamed)
    plain = Values(new, None, renamed)
    before.agree(after, plain)
    told: set[str] = set()
    for role in (DATASET, ANNOTATION):
        one, other = old.fields[role], new.fields[role]
        for name in sorted(one.keys() & other.keys()):
            root = name.split(".", 1)[0]
            if root in told or _same(one[name], other[name], before, (plain, after)):
                continue
            moved = (one[name].column is None) != (other[name].column is None)
            if moved and before.member(one[name], role) == plain.member(other[name], role) != "":
                continue
            told.add(root)
            yield Finding(
                Kind.ES_VALUES_CHANGED,
                root,
                Severity.ATTENTION,
                paths.ES_EXPORT,
                other[name].line,
                role,
                detail=f"{name} is computed differently: existing {role} documents keep the old value.",
                action="Update all datasets after the deployment.",
            )


def _same(old: Field, new: Field, before: Values, after: tuple[Values, ...]) -> bool:
    """Columns agree, and so do writes; a fallback that is new does not change what was there before."""
    if (old.column is None) != (new.column is None):
        return False
    if old.column and new.column and not old.column.same_value(new.column):
        return False
    if not old.writes and not new.writes:
        return True
    was = before.of(old)
    return any(was == values.of(new, bare=bare) for values in after for bare in (False, True))


def _renamed(old: Documents, new: Documents) -> dict[str, str]:
    """New field → the field that is gone, and held the same column."""
    found: dict[str, str] = {}
    for role in (DATASET, ANNOTATION):
        one, other = old.fields[role], new.fields[role]
        gone = [each for name, each in one.items() if name not in other and each.column and not each.writes]
        for name, each in other.items():
            if name not in one and each.column:
                same = [was.name for was in gone if was.column and was.column.same_value(each.column)]
                found |= {name: same[0]} if same else {}
    return found


def _stand_ins(old: Documents, new: Documents) -> dict[str, str]:
    """New fields that repeat an old one element by element, absent where it is: ``[f(x) if x else None for x in doc['old']]``."""
    found = {}
    for name in new.fields[ANNOTATION].keys() - old.fields[ANNOTATION].keys():
        writes = new.fields[ANNOTATION][name].writes
        if len(writes) == 1 and (source := _repeated(writes[0].value)):
            found[name] = source
    return found


def _repeated(value: ast.expr) -> str | None:
    match value:
        case ast.ListComp(
            elt=ast.IfExp(test=ast.Name(id=tested), orelse=ast.Constant(value=None)),
            generators=[
                ast.comprehension(
                    target=ast.Name(id=element), iter=ast.Subscript(slice=ast.Constant(value=str(name))), ifs=[]
                )
            ],
        ) if tested == element:
            return name
        case _:
            return None
