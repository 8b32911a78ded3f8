"""What differs between two versions' mappings, told by the document field that it concerns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bot.domain.rules.es_index import Index

ALL_FIELDS = "*"
_ANALYSIS_KEYS = (
    "analyzer",
    "search_analyzer",
    "search_quote_analyzer",
    "normalizer",
    "tokenizer",
    "filter",
    "char_filter",
)
_DYNAMIC_SETTINGS = frozenset({"number_of_replicas", "max_result_window", "refresh_interval", "auto_expand_replicas"})


@dataclass(frozen=True, slots=True)
class MappingChange:
    """One field's mapping, old and new as JSON; ``-`` for none (Elasticsearch then guesses)."""

    subject: str
    old: str
    new: str


def compare(old: Index, new: Index, *, existed: Callable[[str], bool]) -> Iterator[MappingChange]:
    """Changes of the mappings of fields that were there before. ``existed`` tells whether documents had a field."""
    concerned: set[str] = set()
    for path in sorted({*old.properties, *new.properties}):
        before, after = old.properties.get(path), new.properties.get(path)
        if before == after or not existed(path):
            continue
        concerned.add(path)
        yield MappingChange(path, _json(before), _json(after))
    for subject, before, after in _shared(old, new):
        if subject not in concerned and (subject == ALL_FIELDS or existed(subject)):
            concerned.add(subject)
            yield MappingChange(subject, before, after)


def _shared(old: Index, new: Index) -> Iterator[tuple[str, str, str]]:
    """Templates, analysis and settings concern the fields that use them; without a field of their own, all."""
    if old.templates != new.templates or old.root != new.root:
        yield ALL_FIELDS, _json([old.templates, old.root]), _json([new.templates, new.root])
    one, other = _analysis(old), _analysis(new)
    changed = {name for name in {*one, *other} if name in one and one.get(name) != other.get(name)}
    changed = _users(changed, one) | _users(changed, other)
    for path, mapping in sorted(new.properties.items()):
        if path in old.properties and (names := _names(mapping) & changed):
            yield (
                path,
                _json({name: one.get(name) for name in sorted(names)}),
                _json({name: other.get(name) for name in sorted(names)}),
            )
    if names := _names(new.templates) & changed:
        yield (
            ALL_FIELDS,
            _json({name: one.get(name) for name in sorted(names)}),
            _json({name: other.get(name) for name in sorted(names)}),
        )
    for name in sorted({*old.settings, *new.settings} - _DYNAMIC_SETTINGS - {"analysis"}):
        if old.settings.get(name) != new.settings.get(name):
            yield ALL_FIELDS, f"{name}: {_json(old.settings.get(name))}", f"{name}: {_json(new.settings.get(name))}"


def _analysis(index: Index) -> Mapping[str, Any]:
    """Name → definition of every analyzer, normalizer, tokenizer and filter."""
    analysis = index.settings.get("analysis")
    parts = analysis.values() if isinstance(analysis, dict) else ()
    return {name: definition for part in parts if isinstance(part, dict) for name, definition in part.items()}


def _users(changed: set[str], definitions: Mapping[str, Any]) -> set[str]:
    """The definitions that use a changed one, and so on."""
    found = set(changed)
    while more := {
        name for name, definition in definitions.items() if name not in found and _names(definition) & found
    }:
        found |= more
    return found


def _names(definition: Any) -> set[str]:
    """The analysis parts that a mapping or definition names."""
    if isinstance(definition, list):
        return {name for item in definition for name in _names(item)}
    if not isinstance(definition, dict):
        return set()
    found: set[str] = set()
    for key, value in definition.items():
        if key in _ANALYSIS_KEYS:
            found |= {name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str)}
        found |= _names(value)
    return found


def _json(value: Any) -> str:
    return "-" if value is None else json.dumps(value, sort_keys=True, default=repr)
