"""What an index is created with, by kind of document and by field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.domain.rules.es_roles import ANNOTATION, DATASET

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROLES = (DATASET, ANNOTATION)


@dataclass(slots=True)
class Index:
    """What one kind of document's index is created with: properties by dotted path, the rest as it stands."""

    properties: dict[str, Any] = field(default_factory=dict)
    templates: Any = None
    root: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    line: int = 0


@dataclass(slots=True)
class Created:
    """What an index was seen to be created with; ``hint`` is what the code calls it."""

    mappings: Any
    settings: Any
    hint: str
    line: int


def indices(created: Created) -> Iterator[tuple[str, Index]]:
    """The kind of document that each index is for, and the index."""
    mappings = created.mappings if isinstance(created.mappings, dict) else {}
    settings = created.settings if isinstance(created.settings, dict) else {}
    by_type = {role: mappings[role] for role in _ROLES if isinstance(mappings.get(role), dict)}
    parts = by_type or {_role(created.hint, mappings): mappings}
    for role, part in parts.items():
        yield role, _index(part, settings, created.line)


def _role(hint: str, mappings: dict[str, Any]) -> str:
    """Names tell: those around the creation, then the fields themselves."""
    words = hint.casefold()
    if "ann" in words or "dataset" in words:
        return ANNOTATION if "ann" in words else DATASET
    properties = mappings.get("properties", {})
    return DATASET if all(str(name).startswith("ds_") for name in properties) else ANNOTATION


def _index(mapping: dict[str, Any], settings: dict[str, Any], line: int) -> Index:
    properties = mapping.get("properties")
    root = {key: value for key, value in mapping.items() if key not in ("properties", "dynamic_templates")}
    inner = settings.get("index")
    flat = {
        **{key: value for key, value in settings.items() if key != "index"},
        **(inner if isinstance(inner, dict) else {}),
    }
    found = dict(_flatten("", properties)) if isinstance(properties, dict) else {}
    return Index(found, mapping.get("dynamic_templates"), root, flat, line)


def _flatten(prefix: str, properties: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted path → own mapping; an object's inner properties are entries of their own."""
    for name, mapping in properties.items():
        path = f"{prefix}{name}"
        if isinstance(mapping, dict) and isinstance(mapping.get("properties"), dict):
            own = {key: value for key, value in mapping.items() if key != "properties"}
            if own:
                yield path, own
            yield from _flatten(f"{path}.", mapping["properties"])
        else:
            yield path, mapping
