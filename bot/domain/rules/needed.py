"""Whether new code cannot do without a new document field while old documents lack it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.findings import Severity
from bot.domain.rules import resolvers, schemas

if TYPE_CHECKING:
    from bot.domain.findings import Finding
    from bot.domain.rules.reading import Reading


def judge(finding: Finding, reading: Reading) -> Finding:
    """Say of a new field whether resolvers or queries need it, with the place.

    They do where it is opened without a fallback, where it feeds a non-null field without one, and where a query
    asks for it under no condition. A heuristic over the server's sources, and said to be one.
    """
    field = finding.subject.split(".", 1)[0]
    code = resolvers.sources(reading)
    reads = list(resolvers.reads(field, code))
    schema = schemas.read(reading, reading.new) if any(not read.fallback for read in reads) else schemas.Schema()
    for read in reads:
        required = any(_required(schema, name, read.target) for name in ("Annotation", "Dataset"))
        if not read.fallback and (read.opened or required):
            what = "opens it" if read.opened else f"feeds the non-null {read.target} from it"
            return _needed(finding, f"{read.path}:{read.line} {what} without a fallback in sight")
    for read in resolvers.required_filters(field, code):
        return _needed(finding, f"{read.path}:{read.line} asks for it in every query")
    if not reads:
        return replace(finding, detail=f"{finding.detail} No resolver was seen to read it.")
    seen = ", ".join(f"{read.path}:{read.line}" for read in reads[:3])
    return replace(
        finding, detail=f"{finding.detail} Resolvers can do without it ({seen}; read line by line, not proved)."
    )


def _needed(finding: Finding, why: str) -> Finding:
    return replace(
        finding,
        needed_by_new_code=True,
        severity=Severity.BLOCKING,
        detail=f"{finding.detail} New code needs it: {why} (read line by line, not proved).",
        action="Fill it before the new code is live: reindex first, or ask for a fallback.",
    )


def _required(schema: schemas.Schema, type_name: str, field: str) -> bool:
    kind = schema.types.get(type_name)
    return bool(kind and field in kind.fields and kind.fields[field].required)
