"""Where the exporter's code stands in a range: its file, wherever it moved to, and the modules that it takes queries and mappings from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bot.domain.changes import Status
from bot.domain.rules import paths

if TYPE_CHECKING:
    from bot.domain.changes import Change
    from bot.domain.rules.reading import Reading

_ENGINE = "metaspace/engine/"
_IMPORT = re.compile(r"^from\s+(?P<module>[\w.]+)\s+import\s+(?:\((?P<many>[^)]*)\)|(?P<one>[^\n#]*))", re.MULTILINE)
_MODULE = re.compile(r"^from\s+(?P<package>sm\.[\w.]+)\s+import\s+(?P<name>(?:es_|elastic)\w*)", re.MULTILINE)
_CONSTANT = re.compile(r"\b_?[A-Z][A-Z0-9_]+\b")


@dataclass(frozen=True, slots=True)
class Side:
    """One version: the exporter's text, and the texts of the modules that it takes parts from."""

    path: str
    text: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Versions:
    """Both versions of the exporter; ``change`` is the exporter's own, None where only a module that it uses changed."""

    change: Change | None
    path: str
    old: Side | None
    new: Side | None


def versions(reading: Reading) -> Versions | None:
    """The exporter before and after, if anything of it changed."""
    own = [
        change
        for change in reading.span.changes
        if paths.is_es_export(change.path) or paths.is_es_export(change.before)
    ]
    if own:
        change = _latest(own)
        return Versions(change, change.path, _before(reading, own), _after(reading, own))
    if not any(change.path.startswith(f"{_ENGINE}sm/engine/") for change in reading.span.changes):
        return None
    path = _standing(reading, reading.new)
    if path is None:
        return None
    old, new = (_side(reading, commit, path) for commit in (reading.old, reading.new))
    if old is None or new is None or old.parts == new.parts:
        return None
    used = {*_used(old.text, path), *_used(new.text, path)}
    changed = next((change.path for change in reading.span.changes if used & {change.path, change.before}), path)
    return Versions(None, changed, old, new)


def standing(reading: Reading) -> Side | None:
    """The exporter in the head, changed or not."""
    path = _standing(reading, reading.new)
    return _side(reading, reading.new, path) if path else None


def _latest(own: list[Change]) -> Change:
    """The change that tells where the exporter is now."""
    return next((change for change in own if change.status is not Status.DELETED), own[0])


def _before(reading: Reading, own: list[Change]) -> Side | None:
    change = next((one for one in own if one.status is not Status.ADDED), None)
    text = reading.before(change) if change else None
    return (
        Side(change.before, text, _parts(reading, reading.old, text, change.before))
        if change and text is not None
        else None
    )


def _after(reading: Reading, own: list[Change]) -> Side | None:
    change = next((one for one in own if one.status is not Status.DELETED), None)
    text = reading.after(change) if change else None
    return (
        Side(change.path, text, _parts(reading, reading.new, text, change.path))
        if change and text is not None
        else None
    )


def _standing(reading: Reading, commit: str) -> str | None:
    if reading.files(commit=commit, under=paths.ES_EXPORT):
        return paths.ES_EXPORT
    found = reading.files(commit=commit, under=f"{_ENGINE}sm")
    return next((path for path in sorted(found) if paths.is_es_export(path)), None)


def _side(reading: Reading, commit: str, path: str) -> Side | None:
    blob = reading.files(commit=commit, under=path).get(path)
    if blob is None:
        return None
    text = reading.blob(blob, path)
    return Side(path, text, _parts(reading, commit, text, path))


def _parts(reading: Reading, commit: str, text: str, path: str) -> tuple[str, ...]:
    found = []
    for used in _used(text, path):
        blob = reading.files(commit=commit, under=used).get(used)
        if blob is not None:
            found.append(reading.blob(blob, used))
    return tuple(found)


@lru_cache(maxsize=64)
def _used(text: str, path: str) -> tuple[str, ...]:
    """The modules of METASPACE that hold constants of the exporter, or are called after Elasticsearch."""
    found: dict[str, None] = {}
    for match in _IMPORT.finditer(text):
        module, names = match["module"], match["many"] or match["one"] or ""
        last = module.rsplit(".", 1)[-1]
        if module.startswith((".", "sm.")) and (last.startswith(("es_", "elastic")) or _CONSTANT.search(names)):
            found[_path_of(module, path)] = None
    for match in _MODULE.finditer(text):
        found[_path_of(f"{match['package']}.{match['name']}", path)] = None
    return tuple(one for one in found if one != path)


def _path_of(module: str, path: str) -> str:
    if not module.startswith("."):
        return f"{_ENGINE}{module.replace('.', '/')}.py"
    folder = path.rsplit("/", 1)[0]
    for _ in range(len(module) - len(module.lstrip(".")) - 1):
        folder = folder.rsplit("/", 1)[0]
    return f"{folder}/{module.lstrip('.').replace('.', '/')}.py"
