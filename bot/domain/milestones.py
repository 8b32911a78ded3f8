"""Signs that a release may be a milestone. No sign proves one: a person decides between patch, minor and major."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.domain.changes import Status
from bot.domain.findings import Finding, Kind
from bot.domain.rules import schemas

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bot.domain.rules.reading import Reading

_PAGE = re.compile(r"^metaspace/webapp/src/modules/(?:[\w.-]+/)*([\w.-]*Page)\.(?:vue|tsx)$")
_SCHEMA = re.compile(r"^metaspace/graphql/schemas/([\w.-]+)\.graphql$")
_TYPES = frozenset({"ObjectType", "InterfaceType", "UnionType"})
_NAMED = 3


def candidates(reading: Reading, findings: Iterable[Finding]) -> Iterator[str]:
    """New pages, new parts and types of the schema, migrations: what a milestone usually comes with."""
    for change in reading.span.changes:
        if change.status is not Status.ADDED:
            continue
        if page := _PAGE.match(change.path):
            yield f"new page {page[1]} ({change.path})"
        elif schema := _SCHEMA.match(change.path):
            yield f"new part of the schema: {schema[1]} ({change.path})"
    if types := _new_types(reading):
        yield f"new {'type' if len(types) == 1 else 'types'} in the schema: {_listed(types)}"
    migrations = [found.subject for found in findings if found.kind in (Kind.GRAPHQL_MIGRATION, Kind.ENGINE_MIGRATION)]
    if migrations:
        names = [path.rsplit("/", 1)[-1] for path in migrations]
        yield f"{len(names)} {'migration' if len(names) == 1 else 'migrations'}: {_listed(names)}"


def _new_types(reading: Reading) -> list[str]:
    """The output types that the head's schema has and the base's lacks; none where one of them does not parse."""
    if not any(True for _ in reading.changes(under=schemas.ROOT, ending=".graphql")):
        return []
    old, new = schemas.read(reading, reading.old), schemas.read(reading, reading.new)
    if old.broken or new.broken or not old.types:
        return []
    return sorted(name for name, found in new.types.items() if name not in old.types and found.kind in _TYPES)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
