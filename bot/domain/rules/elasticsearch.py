"""What a change of es_export.py does to documents and mappings."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from bot.domain.findings import Finding, Kind, Severity
from bot.domain.rules import es_documents, es_mapping_changes, es_mappings, needed, paths
from bot.domain.rules.es_flow import ANNOTATION, DATASET
from bot.domain.rules.es_values import Values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.domain.changes import Change
    from bot.domain.rules.es_documents import Documents, Field
    from bot.domain.rules.es_mappings import Index
    from bot.domain.rules.reading import Reading


_IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True, slots=True)
class Export:
    """One version of the exporter, understood."""

    documents: Documents
    indices: Mapping[str, Index]
    tree: ast.Module


@lru_cache(maxsize=32)
def understand(text: str) -> Export:
    """Read an exporter's source. Raises SyntaxError, ValueError or RecursionError where Python cannot read it."""
    tree = ast.parse(text)
    documents = es_documents.read(tree)
    return Export(documents, es_mappings.read(documents.code), tree)


def findings(reading: Reading) -> Iterator[Finding]:
    """Fields added and removed, mappings and values changed; and that the file was touched, with the reason if nothing matters."""
    change = next((change for change in reading.span.changes if Kind.ES_EXPORT_TOUCHED in paths.kinds(change)), None)
    if change is None:
        return
    before, after = reading.before(change), reading.after(change)
    if before is None or after is None:
        reading.blind_spots.append(
            f"{paths.ES_EXPORT} has only one side here: what documents gain or lose was not compared."
        )
        yield _touched(change, "Only one version of the file could be read.", Severity.ATTENTION)
        return
    try:
        old, new = understand(before), understand(after)
    except (SyntaxError, ValueError, RecursionError) as error:
        reading.blind_spots.append(
            f"{paths.ES_EXPORT} does not parse ({error}): its documents and mappings were not compared."
        )
        yield _touched(change, "It does not parse: read it by eye.", Severity.ATTENTION)
        return
    found = [replace(finding, path=change.path) for finding in compare(old, new)]
    found = [needed.judge(finding, reading) if finding.kind is Kind.ES_FIELD_ADDED else finding for finding in found]
    yield from found
    if found:
        yield _touched(
            change, f"{len(found)} change{'s' if len(found) > 1 else ''} of documents or mappings.", Severity.INFO
        )
    else:
        yield _touched(change, f"Nothing that matters: {reason(old, new)}", Severity.INFO)


def compare(old: Export, new: Export) -> Iterator[Finding]:
    """What differs between two versions, without what new code needs of it."""
    for role in (DATASET, ANNOTATION):
        yield from _fields(old, new, role)
    yield from _copies(old, new)
    yield from _mappings(old, new)
    yield from _values(old, new)


def reason(old: Export, new: Export) -> str:
    """Why a touched exporter changes no document."""
    one, other = ([(isinstance(node, _IMPORTS), ast.dump(node)) for node in export.tree.body] for export in (old, new))
    if one == other:
        return "only comments and layout changed."
    if [text for imports, text in one if not imports] == [text for imports, text in other if not imports]:
        return "only imports changed."
    return "fields, their values and the explicit mappings are the same."


def _touched(change: Change, detail: str, severity: Severity) -> Finding:
    return Finding(Kind.ES_EXPORT_TOUCHED, change.path, severity, change.path, detail=detail)


# -- fields


def _fields(old: Export, new: Export, role: str) -> Iterator[Finding]:
    before, after = old.documents.fields[role], new.documents.fields[role]
    for name in sorted(after.keys() - before.keys()):
        if not _below(name, after.keys() - before.keys()):
            yield _added(new, role, after[name])
    for name in sorted(before.keys() - after.keys()):
        if not _below(name, before.keys() - after.keys()):
            yield _removed(before[name], role)


def _below(name: str, others: set[str]) -> bool:
    """Whether a field lies inside another of the same lot: the outer one is told, not its parts."""
    parts = name.split(".")
    return any(".".join(parts[:length]) in others for length in range(1, len(parts)))


def _added(new: Export, role: str, field: Field) -> Finding:
    source = "a column of the query" if field.column else "written by the exporter"
    copied = role == DATASET and new.documents.copies(field.name)
    detail = f"New in {role} documents ({source}){'; copied into every annotation document too' if copied else ''}."
    mapping = new.indices.get(role)
    if mapping and field.name in mapping.properties:
        detail += " It has an explicit mapping: existing indices do not, and will guess it from the first value."
    return Finding(
        Kind.ES_FIELD_ADDED,
        field.name,
        Severity.ATTENTION,
        paths.ES_EXPORT,
        field.line,
        role,
        needed_by_new_code=False,
        detail=detail,
        action="Update all datasets after the deployment.",
    )


def _removed(field: Field, role: str) -> Finding:
    return Finding(
        Kind.ES_FIELD_REMOVED,
        field.name,
        Severity.INFO,
        paths.ES_EXPORT,
        field.line,
        role,
        detail=f"No longer written to {role} documents; those that exist keep it until they are indexed again.",
        action="Make sure that nothing reads it any more.",
    )


def _copies(old: Export, new: Export) -> Iterator[Finding]:
    """Dataset fields that were there, and now are copied into annotation documents, or no longer."""
    for name in sorted(old.documents.fields[DATASET].keys() & new.documents.fields[DATASET].keys()):
        before, after = old.documents.copies(name), new.documents.copies(name)
        if "." in name or before == after or name in old.documents.fields[ANNOTATION]:
            continue
        field = new.documents.fields[DATASET][name]
        if after:
            finding = _added(new, ANNOTATION, field)
            yield replace(finding, detail="The dataset field is now copied into every annotation document.")
        else:
            finding = _removed(field, ANNOTATION)
            yield replace(finding, detail="The dataset field is no longer copied into annotation documents.")


# -- mappings and values


def _mappings(old: Export, new: Export) -> Iterator[Finding]:
    told: set[str] = set()
    for role in (DATASET, ANNOTATION):
        before, after = old.indices.get(role), new.indices.get(role)
        if before is None or after is None:
            continue
        existed = partial(_lives_on, old, new, role)
        for change in es_mapping_changes.compare(before, after, existed=existed):
            if change.subject not in told:
                told.add(change.subject)
                yield Finding(
                    Kind.ES_MAPPING_CHANGED,
                    change.subject,
                    Severity.BLOCKING,
                    paths.ES_EXPORT,
                    after.line,
                    role,
                    detail=f"{change.old} → {change.new}",
                    action="An existing index cannot take it: rebuild the indices before the deployment.",
                )


def _lives_on(old: Export, new: Export, role: str, path: str) -> bool:
    """Whether documents of both versions have a field, or the object it lies in."""
    root = path.split(".", 1)[0]
    return all(root in _names(export, role) for export in (old, new))


def _names(export: Export, role: str) -> set[str]:
    names = {name.split(".", 1)[0] for name in export.documents.fields[role]}
    if role == ANNOTATION:
        names |= {name.split(".", 1)[0] for name in export.documents.fields[DATASET] if export.documents.copies(name)}
    return names


def _values(old: Export, new: Export) -> Iterator[Finding]:
    before, after = Values(old.documents), Values(new.documents, _stand_ins(old, new))
    plain = Values(new.documents)
    told: set[str] = set()
    for role in (DATASET, ANNOTATION):
        one, other = old.documents.fields[role], new.documents.fields[role]
        for name in sorted(one.keys() & other.keys()):
            root = name.split(".", 1)[0]
            if root in told or _same(one[name], other[name], before, (plain, after)):
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
    return any(was in (values.of(new), values.of(new, bare=True)) for values in after)


def _stand_ins(old: Export, new: Export) -> dict[str, str]:
    """New fields that repeat an old one element by element, absent where it is: ``[f(x) if x else None for x in doc['old']]``."""
    found = {}
    for name in new.documents.fields[ANNOTATION].keys() - old.documents.fields[ANNOTATION].keys():
        writes = new.documents.fields[ANNOTATION][name].writes
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
