"""Signs that a release may be a milestone. No sign proves one: a person decides between patch, minor and major."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.domain.changes import Range, Status
from bot.domain.findings import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PAGE = re.compile(r"^metaspace/webapp/src/modules/(?:[\w.-]+/)*([\w.-]*Page)\.(?:vue|tsx)$")
_SCHEMA = re.compile(r"^metaspace/graphql/schemas/([\w.-]+)\.graphql$")
_MANY_MIGRATIONS = 3


def candidates(span: Range, findings: Iterable[Finding]) -> Iterator[str]:
    """New pages, new parts of the schema, many migrations, heavy work by hand: what a milestone usually comes with."""
    for change in span.changes:
        if change.status is not Status.ADDED:
            continue
        if page := _PAGE.match(change.path):
            yield f"new page {page[1]} ({change.path})"
        elif schema := _SCHEMA.match(change.path):
            yield f"new part of the schema: {schema[1]} ({change.path})"
    migrations = [found for found in findings if found.kind in (Kind.GRAPHQL_MIGRATION, Kind.ENGINE_MIGRATION)]
    if len(migrations) >= _MANY_MIGRATIONS:
        yield f"{len(migrations)} migrations"
