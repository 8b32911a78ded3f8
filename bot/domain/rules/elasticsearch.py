"""What a change of es_export.py does to documents and mappings."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from bot.domain.findings import Finding, Kind, Severity
from bot.domain.rules import (
    es_documents,
    es_files,
    es_mapping_changes,
    es_mappings,
    es_sql,
    es_value_changes,
    needed,
    paths,
)
from bot.domain.rules.es_nodes import walk
from bot.domain.rules.es_roles import ANNOTATION, DATASET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bot.domain.changes import Change
    from bot.domain.rules.es_documents import Documents, Field
    from bot.domain.rules.es_index import Index
    from bot.domain.rules.reading import Reading


_IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True, slots=True)
class Export:
    """One version of the exporter, understood."""

    documents: Documents
    indices: Mapping[str, Index]
    tree: ast.Module


@lru_cache(maxsize=32)
def understand(text: str, parts: tuple[str, ...] = ()) -> Export:
    """Read an exporter's source, and the modules that it takes parts from. Raises what Python does where it cannot."""
    tree = ast.parse(text)
    for part in parts:
        tree.body[:0] = _part(part)
    documents = es_documents.read(tree)
    return Export(documents, es_mappings.read(documents.code), tree)


@lru_cache(maxsize=32)
def _part(text: str) -> list[ast.stmt]:
    """The statements of another module, which stand on no line of the exporter. Many versions share them: nobody changes a node."""
    tree = ast.parse(text)
    for node in walk(tree):
        if hasattr(node, "lineno"):
            node.lineno = 0
    return tree.body


def findings(reading: Reading) -> Iterator[Finding]:
    """Fields added and removed, mappings and values changed; and that the file was touched, with the reason if nothing matters."""
    found = es_files.versions(reading)
    if found is None:
        return
    if found.old is None or found.new is None:
        reading.blind_spots.append(
            f"{found.path} has only one side here: what documents gain or lose was not compared."
        )
        yield from _touched(found.change, "Only one version of the file could be read.", Severity.ATTENTION)
        return
    try:
        old, new = (understand(side.text, side.parts) for side in (found.old, found.new))
    except (SyntaxError, ValueError, RecursionError) as error:
        reading.blind_spots.append(
            f"{found.path} does not parse ({error}): its documents and mappings were not compared."
        )
        yield from _touched(found.change, "It does not parse: read it by eye.", Severity.ATTENTION)
        return
    told = [replace(finding, path=found.path) for finding in compare(old, new)]
    told = [needed.judge(finding, reading) if finding.kind is Kind.ES_FIELD_ADDED else finding for finding in told]
    yield from told
    yield from _summary(found.change, told, old, new)


def _summary(change: Change | None, told: list[Finding], old: Export, new: Export) -> Iterator[Finding]:
    rebuild = _moved_indices(old, new)
    rows = _other_rows(old, new)
    count = f"{len(told)} change{'s' if len(told) > 1 else ''} of documents or mappings."
    detail = " ".join(part for part in (count if told else "", rebuild, rows) if part)
    severity = Severity.BLOCKING if rebuild else Severity.ATTENTION if rows else Severity.INFO
    for finding in _touched(change, detail or f"Nothing that matters: {reason(old, new)}", severity):
        yield replace(finding, rebuild=rebuild)


def _moved_indices(old: Export, new: Export) -> str:
    """Documents that go to an index of another name: it has to be made and filled before anybody reads it."""
    one, other = old.documents.flow.places, new.documents.flow.places
    moved = {role: (one[role], other[role]) for role in one.keys() & other.keys() if not one[role] & other[role]}
    if not moved:
        return ""
    said = "; ".join(
        f"{role} documents: {', '.join(sorted(before))} → {', '.join(sorted(after))}"
        for role, (before, after) in sorted(moved.items())
    )
    return f"Documents go to other indices ({said}): create and fill them before the deployment."


def _other_rows(old: Export, new: Export) -> str:
    """Queries whose conditions changed write other documents, with the same fields."""
    for role in (DATASET, ANNOTATION):
        one, other = (
            {
                es_sql.rows(text)
                for text in export.documents.flow.queries
                if role in export.documents.flow.query_roles(text)
            }
            for export in (old, new)
        )
        if one and other and one != other:
            return f"The query's tables or conditions changed: other {role} documents may be written than those that exist."
    return ""


def compare(old: Export, new: Export) -> Iterator[Finding]:
    """What differs between two versions, without what new code needs of it."""
    for role in (DATASET, ANNOTATION):
        yield from _fields(old, new, role)
    yield from _copies(old, new)
    yield from _mappings(old, new)
    yield from es_value_changes.findings(old.documents, new.documents)


def reason(old: Export, new: Export) -> str:
    """Why a touched exporter changes no document."""
    if _same(old.tree.body, new.tree.body):
        return "only comments and layout changed."
    one, other = ([node for node in each.tree.body if not isinstance(node, _IMPORTS)] for each in (old, new))
    if _same(one, other):
        return "only imports changed."
    return "fields, their values and the explicit mappings are the same."


def _same(one: Sequence[ast.stmt], other: Sequence[ast.stmt]) -> bool:
    """Whether two bodies say the same, whatever their layout. Statements of other modules may be the very same nodes."""
    pairs = zip(one, other, strict=False)
    return len(one) == len(other) and all(left is right or _said(left) == _said(right) for left, right in pairs)


def _said(node: ast.AST) -> list[object]:
    """A statement as something that can be compared: its nodes and constants, without places."""
    return [
        (
            type(each),
            *(value for name in each._fields if not isinstance(value := getattr(each, name, None), ast.AST | list)),
        )
        for each in walk(node)
    ]


def _touched(change: Change | None, detail: str, severity: Severity) -> Iterator[Finding]:
    if change is not None:
        yield Finding(Kind.ES_EXPORT_TOUCHED, change.path, severity, change.path, detail=detail)


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
    """Whether documents of both versions have a field, or an object that may hold it and whose parts are not known."""
    return all(_has(_names(export, role), path) for export in (old, new))


def _has(names: set[str], path: str) -> bool:
    if path in names or any(name.startswith(f"{path}.") for name in names):
        return True
    outer = path.rpartition(".")[0]
    return bool(outer) and _has(names, outer) and not any(name.startswith(f"{outer}.") for name in names)


def _names(export: Export, role: str) -> set[str]:
    names = set(export.documents.fields[role])
    if role == ANNOTATION:
        names |= {name for name in export.documents.fields[DATASET] if export.documents.copies(name)}
    return names
