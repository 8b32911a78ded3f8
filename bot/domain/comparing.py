"""A new pair of indices against PostgreSQL and the live pair, and an index's definition against the code's. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from bot.domain.indices import Comparison, Definition

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from bot.domain.indices import DatasetDocument

META = "_meta"
_OF_DATA = ("long", "float", "boolean", "date")  # what dynamic mapping makes of numbers, booleans and dates
_STRINGS_BY_DEFAULT = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": "256"}}}
_TUNED = ("number_of_replicas", "refresh_interval")  # changed on a running index, and no part of what it can answer


def compare(
    *,
    annotations: Mapping[str, int],
    live: Mapping[str, DatasetDocument],
    new: Mapping[str, DatasetDocument],
    counts: Mapping[str, int],
    ignored: Collection[str] = (),
    excepted: Collection[str] = (),
) -> Comparison:
    """Compare by dataset id. ``annotations`` is PostgreSQL's count for each dataset there is, zero included.

    ``counts`` is the new annotation index's. ``excepted``: datasets that a person takes the responsibility for; what they lack
    is not held against the new pair, but what would become visible, or come back, always is. A dataset that the live pair does
    not have yet is compared with PostgreSQL alone. Annotations that are left of a dataset which is gone are surplus too.
    """
    judged = set(annotations) - set(excepted)
    both = sorted(annotations.keys() & live.keys() & new.keys())
    visibility = tuple(one for one in both if live[one].public != new[one].public)
    differing = {one for one in both if live[one].digest != new[one].digest} & judged
    return Comparison(
        missing=tuple(sorted(judged - new.keys())),
        surplus=tuple(sorted((new.keys() | counts.keys()) - annotations.keys())),
        differing=tuple(sorted(differing | set(visibility))),
        visibility=visibility,
        counts={
            one: (annotations[one], counts.get(one, 0))
            for one in sorted(judged)
            if annotations[one] != counts.get(one, 0)
        },
        datasets=len(annotations),
        annotations=sum(annotations.values()),
        ignored=tuple(sorted(ignored)),
    )


def differences(wanted: Definition, found: Definition) -> tuple[str, ...]:
    """Name what of ``wanted`` an index does not have, or has otherwise; nothing: it is as the code creates it.

    Held against it: explicit fields, dynamic templates, the other parameters of the mapping, and settings but for those that are
    tuned on a running index. Fields that only the index has come from its data: see `dynamic_fields`.
    """
    said = []
    there = dict(_fields(found.mappings))
    for name, mapping in _fields(wanted.mappings):
        if name not in there:
            said.append(f"field {name} is missing")
        elif there[name] != mapping:
            said.append(f"field {name} is {_short(there[name])} in place of {_short(mapping)}")
    ours, theirs = _parameters(wanted.mappings), _parameters(found.mappings)
    said += _unequal("", ours, theirs, ours.keys() | theirs.keys())
    want, have = dict(_leaves(_index(wanted.settings))), dict(_leaves(_index(found.settings)))
    asked = {name for name in want if name not in _TUNED} | {name for name in have if name.startswith("analysis.")}
    said += _unequal("setting ", want, have, asked)
    return tuple(said)


def dynamic_fields(wanted: Definition, found: Definition) -> tuple[str, ...]:
    """Return the fields, dotted, that the index has beyond those that the code creates: Elasticsearch made them of data."""
    explicit = dict(_fields(wanted.mappings))
    return tuple(sorted(name for name in dict(_fields(found.mappings)) if name not in explicit))


def fingerprint(definition: Definition) -> str:
    """Return 12 hexadecimal digits over all of a definition that data alone could not have made.

    An index does not say which of its fields were given and which it made of data. So those that dynamic mapping would have made
    just so under the index's own templates are left out: two indices of the same code have the same fingerprint, whatever is in them.
    """
    templates = _parameters(definition.mappings).get("dynamic_templates", [])
    by_data = [{"type": kind} for kind in _OF_DATA] + [_STRINGS_BY_DEFAULT]
    by_data += [body.get("mapping") for template in templates for body in template.values()]
    told = {name: mapping for name, mapping in _fields(definition.mappings) if mapping and mapping not in by_data}
    analysis = {name: value for name, value in _leaves(_index(definition.settings)) if name.startswith("analysis.")}
    text = json.dumps([told, _parameters(definition.mappings), analysis], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _unequal(kind: str, want: Mapping[str, Any], have: Mapping[str, Any], names: Collection[str]) -> list[str]:
    return [
        f"{kind}{name} is {_short(have.get(name))} in place of {_short(want.get(name))}"
        for name in sorted(names)
        if want.get(name) != have.get(name)
    ]


def _fields(mappings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give each field's dotted name and its mapping, as Elasticsearch says it back; an object's is what it has beside fields."""
    for name, mapping in mappings.get("properties", {}).items():
        own = {key: value for key, value in mapping.items() if key != "properties"}
        if "properties" in mapping and own.get("type") == "object":
            del own["type"]  # Elasticsearch leaves it out
        yield f"{prefix}{name}", _canonical(own)
        yield from _fields(mapping, f"{prefix}{name}.")


def _parameters(mappings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _canonical(value) for name, value in mappings.items() if name not in {"properties", META}}


def _index(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings below ``index``, where the code may or may not put them."""
    inner = settings.get("index", {})
    return {**{name: value for name, value in settings.items() if name != "index"}, **inner}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}".removeprefix("index."), _canonical(value)


def _canonical(value: Any) -> Any:
    """Return a value as Elasticsearch says it back: true, 256 and "256" are the same to it."""
    if isinstance(value, dict):
        return {name: _canonical(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(one) for one in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, sort_keys=True)
    return text if len(text) <= 120 else f"{text[:117]}…"  # noqa: PLR2004  # characters of a line in Slack
