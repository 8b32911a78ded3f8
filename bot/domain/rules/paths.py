"""What a file's place in METASPACE's repository says about it.

The kinds' borders are those of docs/strategies.md: migrations and scripts count when added, everything else when added,
changed or deleted. A renamed file counts once, under its new name; one that is moved out of a watched place, under its old.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from bot.domain.changes import Change, Status
from bot.domain.findings import Finding, Kind, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ES_EXPORT = "metaspace/engine/sm/engine/es_export.py"
_ES_EXPORT = re.compile(r"^metaspace/engine/sm/(?:[\w-]+/)*es_export(?:/__init__)?\.py$")  # wherever it moves to
GRAPHQL = "metaspace/graphql/"
GRAPHQL_MIGRATIONS = "metaspace/graphql/src/migrations/"
ENGINE_MIGRATIONS = "metaspace/engine/migrations/"
ENGINE_SCRIPTS = "metaspace/engine/scripts/"

_GRAPHQL_MIGRATION = re.compile(r"^(?!.*\.(?:spec|test|d)\.).*\.(ts|js)$")
_NO_SCRIPT = re.compile(r"^\.|^__init__\.py$|\.md$")
_MIGRATION_FILE = re.compile(r"\.(py|sql|sh|ipynb)$")
_TEMPLATE = re.compile(r"^metaspace/(engine|graphql|webapp|mol-db)/.*\.template$")
_GRAPHQL_DEFAULTS = "metaspace/graphql/config/default.js"
_DEPENDENCY = re.compile(
    r"(^|/)([\w-]*requirements[\w.-]*\.txt|requirements/[\w.-]+\.txt|setup\.py|package\.json|environment\.ya?ml|Pipfile)$"
    r"|/pyproject\.toml$"  # the one at the top configures a formatter
)


@lru_cache(maxsize=4096)
def kinds(change: Change) -> tuple[Kind, ...]:
    """The kinds that a changed file belongs to; a file may belong to several (requirements of a Docker image)."""
    return tuple(_kinds(change))


def _kinds(change: Change) -> Iterator[Kind]:
    path = change.path
    if is_es_export(path) or is_es_export(change.before):
        yield Kind.ES_EXPORT_TOUCHED
    yield from _added_kinds(change)
    found = set(_placed(path))
    yield from (kind for kind in _PLACED if kind in found)
    if change.old_path:  # moved out of a watched place: gone from there
        yield from (kind for kind in _placed(change.old_path) if kind not in found)


_PLACED = (Kind.CONFIG_TEMPLATE, Kind.ANSIBLE, Kind.DEPENDENCY, Kind.DOCKER, Kind.CI)


def _placed(path: str) -> Iterator[Kind]:
    """The kinds that a place alone decides."""
    if _TEMPLATE.match(path) or path == _GRAPHQL_DEFAULTS:
        yield Kind.CONFIG_TEMPLATE
    if path.startswith("ansible/"):
        yield Kind.ANSIBLE
    elif _DEPENDENCY.search(path):
        yield Kind.DEPENDENCY
    if path.startswith("docker/"):
        yield Kind.DOCKER
    if path.startswith((".circleci/", ".github/")):
        yield Kind.CI


def is_es_export(path: str) -> bool:
    """Whether a file is the exporter."""
    return "es_export" in path and "/tests/" not in path and _ES_EXPORT.match(path) is not None


def _added_kinds(change: Change) -> Iterator[Kind]:
    added = change.status is Status.ADDED
    moved_in = change.status is Status.RENAMED and not change.old_path.startswith(ENGINE_MIGRATIONS)
    name = change.path.rsplit("/", 1)[-1]
    if added and change.path.startswith(GRAPHQL_MIGRATIONS) and _GRAPHQL_MIGRATION.search(name):
        yield Kind.GRAPHQL_MIGRATION
    if (added or moved_in) and change.path.startswith(ENGINE_MIGRATIONS) and _is_migration(name):
        yield Kind.ENGINE_MIGRATION
    if added and change.path.startswith(ENGINE_SCRIPTS) and not _NO_SCRIPT.search(name):
        yield Kind.ENGINE_SCRIPT


def _is_migration(name: str) -> bool:
    return _MIGRATION_FILE.search(name) is not None and name != "__init__.py"


def remarks(changes: Iterable[Change]) -> Iterator[str]:
    """Old migrations that were renamed, changed or deleted: no new step, but a reason to ask."""
    for change in changes:
        for folder, word in ((GRAPHQL_MIGRATIONS, "graphql"), (ENGINE_MIGRATIONS, "engine")):
            if not change.before.startswith(folder) or change.status is Status.ADDED:
                continue
            if change.status is Status.RENAMED:
                again = " TypeORM knows migrations by name: it may run again." if word == "graphql" else ""
                yield f"{word} migration renamed: {change.old_path} → {change.path}.{again}"
            else:
                verb = "deleted" if change.status is Status.DELETED else "edited after the fact"
                yield f"{word} migration {verb}: {change.path}. Servers where it ran keep its old effect."


def plain(kind: Kind, change: Change) -> Finding:
    """A finding that knows nothing but the path; rules that read contents replace it."""
    severity, action = _PLAIN.get(kind, (Severity.INFO, ""))
    word = {"A": "added", "D": "deleted", "R": "renamed"}.get(change.status.value, "changed")
    detail = f"{word} from {change.old_path}" if change.old_path else word
    if change.old_path and kind in _PLACED and kind not in _placed(change.path):
        return Finding(
            kind, change.old_path, severity, change.old_path, detail=f"moved to {change.path}", action=action
        )
    return Finding(kind, change.path, severity, change.path, detail=detail, action=action)


_PLAIN = {
    Kind.ENGINE_MIGRATION: (Severity.BLOCKING, "Run by hand: ask its author when and how."),
    Kind.ENGINE_SCRIPT: (Severity.ATTENTION, "A new script is the sign of a manual step: ask its author."),
    Kind.GRAPHQL_MIGRATION: (Severity.ATTENTION, "Runs by itself when sm-graphql restarts: watch its log."),
    Kind.CONFIG_TEMPLATE: (Severity.ATTENTION, "Compare with the values of the Ansible configuration repository."),
    Kind.ANSIBLE: (Severity.ATTENTION, "Read it before the deployment."),
    Kind.DEPENDENCY: (Severity.INFO, "Installed by the deployment: it takes longer, and may fail."),
}
