"""What a change of the GraphQL schema asks of documents, rows and clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.findings import Finding, Kind, Severity
from bot.domain.rules import resolvers, schemas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.domain.rules.reading import Reading
    from bot.domain.rules.schemas import Schema, SchemaField, SchemaType

_OUTPUT = frozenset({"ObjectType", "InterfaceType"})
_ROOTS = frozenset({"Query", "Mutation", "Subscription"})


def findings(reading: Reading) -> Iterator[Finding]:
    """New non-null fields on types that were there; breaking and tightened parts of the API become remarks."""
    if not any(True for _ in reading.changes(under=schemas.ROOT, ending=".graphql")):
        return
    old, new = schemas.read(reading, reading.old), schemas.read(reading, reading.new)
    for schema, side in ((old, "base"), (new, "head")):
        reading.blind_spots += [f"{side}: {broken}: its types were not compared." for broken in schema.broken]
        if not schema.broken and (missing := schema.undefined):
            reading.blind_spots.append(
                f"{side}: the GraphQL schema does not build: {', '.join(missing[:5])} not defined."
            )
    added = [(kind, each) for kind, each in _new_fields(old, new) if kind.name not in _ROOTS and each.required]
    code = resolvers.sources(reading) if added else ()
    for kind, each in added:
        yield _non_null(kind, each, code)
    if not old.broken and not new.broken:
        reading.remarks += list(_breaking(old, new))


def _new_fields(old: Schema, new: Schema) -> Iterator[tuple[SchemaType, SchemaField]]:
    for name, kind in sorted(new.types.items()):
        before = old.types.get(name)
        if before is not None and kind.kind in _OUTPUT and before.kind in _OUTPUT:
            yield from ((kind, each) for each in kind.fields.values() if each.name not in before.fields)


def _non_null(kind: SchemaType, each: SchemaField, code: tuple[resolvers._Source, ...]) -> Finding:
    subject = f"{kind.name}.{each.name}"
    places = list(resolvers.resolvers(subject, code))
    fed = [(path, line, text) for path, line, text in places if "_source" in text]
    detail = f"New non-null field {subject}: {each.type}. If its value is ever null, the whole query fails."
    if not fed:
        severity, more = Severity.INFO, "No resolver was seen to feed it from Elasticsearch."
    elif all(resolvers.has_fallback(text) for _, _, text in fed):
        severity, more = Severity.INFO, f"Fed from Elasticsearch; a fallback is in sight ({fed[0][0]}:{fed[0][1]})."
    else:
        severity, more = (
            Severity.ATTENTION,
            f"Fed from Elasticsearch, and no fallback is in sight ({fed[0][0]}:{fed[0][1]}).",
        )
    heuristic = " This was read line by line, not proved."
    return Finding(
        Kind.GRAPHQL_NON_NULL,
        subject,
        severity,
        each.path,
        each.line,
        detail=f"{detail} {more}{heuristic}",
        action="" if severity is Severity.INFO else "Make sure that no document lacks the value before this is live.",
    )


def _breaking(old: Schema, new: Schema) -> Iterator[str]:
    for name, before in sorted(old.types.items()):
        after = new.types.get(name)
        if after is None:
            yield f"GraphQL: type {name} is gone: clients that use it break."
            continue
        for each in before.fields.values():
            now = after.fields.get(each.name)
            if now is None or (each.type, each.arguments) != (now.type, now.arguments):
                yield from _breaking_field(name, before, each, now)
        if before.kind == "InputObjectType":
            for each in after.fields.values():
                if each.name not in before.fields and each.required:
                    yield f"GraphQL: input {name}.{each.name} is new and required: older clients break."


def _breaking_field(name: str, kind: SchemaType, old: SchemaField, new: SchemaField | None) -> Iterator[str]:
    where = f"{name}.{old.name}"
    if new is None:
        yield f"GraphQL: {where} is gone: clients that use it break."
        return
    if old.type != new.type and kind.kind in _OUTPUT and new.type == f"{old.type}!":
        yield f"GraphQL: {where} became non-null ({new.path}:{new.line}): a null there now fails the whole query."
    elif old.type != new.type:
        yield f"GraphQL: {where} changed from {old.type} to {new.type} ({new.path}:{new.line})."
    known = {argument[0] for argument in old.arguments}
    for argument, written, default in new.arguments:
        if argument not in known and written.endswith("!") and not default:
            yield f"GraphQL: argument {where}({argument}) is new and required: older clients break."
    gone = known - {argument[0] for argument in new.arguments}
    for argument in sorted(gone):
        yield f"GraphQL: argument {where}({argument}) is gone: clients that send it break."
