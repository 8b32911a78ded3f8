"""What migrations and scripts do, who runs them, and whether METASPACE can answer meanwhile."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot.domain.findings import Finding, Kind, Severity
from bot.domain.rules import elasticsearch, es_files, migration_sql, paths
from bot.domain.rules.es_roles import ANNOTATION, DATASET
from bot.domain.rules.migration_sql import Effect, Weight
from bot.domain.rules.reading import LARGE_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from bot.domain.changes import Change
    from bot.domain.rules.es_documents import Documents, Field
    from bot.domain.rules.reading import Reading

_MIGRATIONS = (Kind.GRAPHQL_MIGRATION, Kind.ENGINE_MIGRATION, Kind.ENGINE_SCRIPT)
_ON_THE_TABLE = (Weight.SCAN, Weight.REWRITE)
_MOST_EFFECTS = 8
# What the code from before does not notice. A constraint is not among them: old code may write what it forbids.
_ADDING = frozenset(
    {
        "adds a column to",
        "adds a column with a computed default to",
        "adds columns to",
        "adds rows to",
        "creates",
        "indexes",
        "indexes, others go on,",
    }
)
_ENTITY = re.compile(r"@Entity\((?:['\"](\w+)['\"])?[^)]*\)\s*export class (\w+)")


@dataclass(slots=True)
class _Ahead:
    """What the automatic migrations of a range have made by the time that something is run by hand; and which tables are large."""

    large: frozenset[str] = LARGE_TABLES
    tables: set[str] = field(default_factory=set)
    columns: set[tuple[str, str]] = field(default_factory=set)
    renamed: set[tuple[str, str]] = field(default_factory=set)


def findings(reading: Reading) -> Iterator[Finding]:
    """Migrations and scripts, with the effects on tables that their sources show."""
    read = [
        (kind, change, migration_sql.effects(reading.after(change) or "", change.path))
        for change in reading.span.changes
        for kind in paths.kinds(change)
        if kind in _MIGRATIONS
    ]
    ahead = _ahead(
        reading.around.large_tables, [effects for kind, _, effects in read if kind is Kind.GRAPHQL_MIGRATION]
    )
    created = frozenset(ahead.tables)
    if ahead.tables and any(kind is Kind.ENGINE_MIGRATION for kind, _, _ in read):
        ahead.tables -= _known_before(reading)
    needs = _needs(reading) if any(kind is Kind.ENGINE_MIGRATION for kind, _, _ in read) else set()
    for kind, change, effects in read:
        if kind is Kind.GRAPHQL_MIGRATION:
            yield _automatic(change, effects, created, reading.around.large_tables)
        else:
            yield _manual(kind, change, effects, ahead, needs)
    rewritten = {
        (effect.table, column): (change, effect)
        for kind, change, effects in read
        if kind is Kind.GRAPHQL_MIGRATION or change.path.endswith(".sql")
        for effect in effects
        if effect.weight is Weight.ROWS and effect.verb == "back-fills"
        for column in effect.columns
        if (effect.table, column) not in ahead.columns
    }
    if rewritten:
        yield from _stale(reading, rewritten)


def _ahead(large: frozenset[str], migrations: list[list[Effect]]) -> _Ahead:
    found = _Ahead(large)
    for effect in (effect for effects in migrations for effect in effects):
        if effect.verb == "creates":
            found.tables.add(effect.table)
        elif effect.verb.startswith("adds a column"):
            found.columns |= {(effect.table, column) for column in effect.columns}
        elif effect.verb.startswith("renames in"):
            found.renamed |= {(effect.table, column) for column in effect.columns}
    return found


def _known_before(reading: Reading) -> set[str]:
    """Tables of the base: a first migration may write down a schema that was there all along."""
    found: set[str] = set()
    for path, blob in reading.files(commit=reading.old, under=paths.ENGINE_SCRIPTS).items():
        if path.endswith(".sql"):
            found |= {
                effect.table
                for effect in migration_sql.effects(reading.blob(blob, path), path)
                if effect.verb == "creates"
            }
    for path, blob in reading.files(commit=reading.old, under=f"{paths.GRAPHQL}src/modules").items():
        if path.endswith("model.ts"):
            classes = _ENTITY.findall(reading.blob(blob, path))
            found |= {table or _snake(name) for table, name in classes}
    return found


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


# -- by itself


def _automatic(change: Change, effects: list[Effect], created: frozenset[str], large: frozenset[str]) -> Finding:
    """TypeORM runs it when sm-graphql starts: until it is done, the API is away."""
    slow = [effect for effect in effects if _is_slow(effect, large - created, automatic=True)]
    finding = replace(
        paths.plain(Kind.GRAPHQL_MIGRATION, change),
        detail=_summary(effects, large),
        severity=_severity(effects, slow),
        backward_compatible=_backward_compatible(effects),
    )
    if not slow:
        return _with_line(finding, effects)
    return replace(
        _with_line(finding, slow),
        downtime=f"{slow[0]}: a large table, worked on while sm-graphql starts",
        action="Runs by itself when sm-graphql restarts, and takes long: fork the machine, or run it by hand first.",
    )


def _backward_compatible(effects: list[Effect]) -> bool:
    """The code from before works on: tables, columns, indexes and rows are only added, or filled where just added.

    A source that shows no SQL says nothing, so it is not called compatible.
    """
    own = {effect.table for effect in effects if effect.verb == "creates"}
    ahead = _ahead(frozenset(), [effects])
    return bool(effects) and all(_only_adds(effect, ahead) for effect in effects if effect.table not in own)


def _only_adds(effect: Effect, ahead: _Ahead) -> bool:
    if effect.verb == "back-fills":
        return bool(effect.columns) and {(effect.table, column) for column in effect.columns} <= ahead.columns
    return effect.verb in _ADDING and not effect.breaks_old


def _is_slow(effect: Effect, large: AbstractSet[str], *, automatic: bool) -> bool:
    weights = (*_ON_THE_TABLE, Weight.ROWS) if automatic else _ON_THE_TABLE
    adds = effect.verb.startswith(("adds rows", "indexes, others"))
    return effect.table in large and effect.weight in weights and not adds


def _severity(effects: list[Effect], slow: list[Effect]) -> Severity:
    if slow:
        return Severity.BLOCKING
    harmless = all(effect.weight is Weight.INSTANT and not effect.breaks_old for effect in effects)
    return Severity.INFO if effects and harmless else Severity.ATTENTION


# -- by hand


def _manual(kind: Kind, change: Change, effects: list[Effect], ahead: _Ahead, needs: set[tuple[str, str]]) -> Finding:
    finding = replace(_with_line(paths.plain(kind, change), effects), manual=True)
    if kind is Kind.ENGINE_SCRIPT:
        is_schema = change.path.endswith(".sql")
        return replace(
            finding,
            manual=not is_schema,
            detail=f"A new script. {_summary(effects, ahead.large)}" if effects else "A new script.",
        )
    return replace(
        finding,
        detail=_summary(effects, ahead.large),
        downtime=_downtime(effects, ahead, needs),
        backward_compatible=_backward_compatible(effects),
    )


def _downtime(effects: list[Effect], ahead: _Ahead, needs: set[tuple[str, str]]) -> str:
    """Why a migration by hand cannot run beside the old code, nor the new code without it; empty if it can."""
    own = {effect.table for effect in effects if effect.verb == "creates"}
    for effect in effects:
        if _is_slow(effect, ahead.large - ahead.tables - own, automatic=False):
            return f"{effect}, by hand: a large table is locked meanwhile"
        if effect.breaks_old and effect.table not in own:
            return f"{effect}, by hand: the old code cannot work after it, nor the new one before"
        if effect.weight is Weight.ROWS and effect.table in ahead.tables:
            return (
                f"{effect.table} is new, and only a migration by hand fills it: the new code finds it empty until then"
            )
        touched = {(effect.table, column) for column in effect.columns}
        if effect.weight is Weight.ROWS and (found := sorted(touched & needs - ahead.columns)):
            return f"The new code reads {'.'.join(found[0])} in the form that only a migration by hand gives it"
    return ""


def _needs(reading: Reading) -> set[tuple[str, str]]:
    """The (table, column) pairs that new or changed columns of the exporter's queries read."""
    pair = _exports(reading)
    if pair is None:
        return set()
    found: set[tuple[str, str]] = set()
    for role in (DATASET, ANNOTATION):
        old = pair[0].fields[role]
        for name, new in pair[1].fields[role].items():
            before = old[name].column if name in old else None
            if new.column and not (before and before.same_value(new.column)):
                found |= new.column.tables
    return found


def _exports(reading: Reading) -> tuple[Documents, Documents] | None:
    found = es_files.versions(reading)
    if found is None or found.old is None or found.new is None:
        return None
    try:
        both = [elasticsearch.understand(side.text, side.parts).documents for side in (found.old, found.new)]
    except (SyntaxError, ValueError, RecursionError):
        return None  # said already by the rule that reads the exporter
    return both[0], both[1]


# -- documents that a migration makes stale


def _stale(reading: Reading, rewritten: dict[tuple[str, str], tuple[Change, Effect]]) -> Iterator[Finding]:
    """A migration that rewrites a column leaves the documents that repeat it stale, until they are updated."""
    side = es_files.standing(reading)
    try:
        documents = elasticsearch.understand(side.text, side.parts).documents if side else None
    except (SyntaxError, ValueError, RecursionError):
        return
    if documents is None:
        return
    objects = _objects(documents)
    told: set[str] = set()
    for role in (DATASET, ANNOTATION):
        for name, each in documents.fields[role].items():
            root = name.split(".", 1)[0]
            source = next((pair for pair in _repeats(each, objects) if pair in rewritten), None)
            if source is not None and root not in told:
                told.add(root)
                change, effect = rewritten[source]
                yield Finding(
                    Kind.ES_VALUES_CHANGED,
                    root,
                    Severity.ATTENTION,
                    change.path,
                    effect.line,
                    role,
                    detail=f"{'.'.join(source)} is rewritten by this migration; {role} documents repeat it in {name}.",
                    action="Update all datasets after the deployment.",
                )


def _repeats(each: Field, objects: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The (table, column) that a field repeats as it stands: a plain column, or an attribute of a row's object."""
    if each.column and re.fullmatch(r"[\w.]+ \. \w+(?: \|.*)?", each.column.by_table.strip()):
        yield from each.column.tables
    for write in each.writes:
        if (
            isinstance(write.value, ast.Attribute)
            and isinstance(write.value.value, ast.Name)
            and write.value.value.id in objects
        ):
            yield objects[write.value.value.id], write.value.attr


def _objects(documents: Documents) -> dict[str, str]:
    """Variable → table, by the class that a parameter of that name is annotated with: ``MolecularDB`` is molecular_db's."""
    found: dict[str, str] = {}
    for function in documents.code.functions.values():
        for argument in (*function.args.args, *function.args.kwonlyargs):
            if isinstance(argument.annotation, ast.Name):
                found[argument.arg] = _snake(argument.annotation.id)
    return found


# -- words


def _summary(effects: list[Effect], large: frozenset[str]) -> str:
    texts = list(dict.fromkeys(f"{effect}{' [large]' if effect.table in large else ''}" for effect in effects))
    more = f", and {len(texts) - _MOST_EFFECTS} more" if len(texts) > _MOST_EFFECTS else ""
    return (", ".join(texts[:_MOST_EFFECTS]) + more).strip() + "." if texts else "Its source shows no SQL: read it."


def _with_line(finding: Finding, effects: list[Effect]) -> Finding:
    return replace(finding, line=effects[0].line) if effects else finding
