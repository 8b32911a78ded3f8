"""Makes a configuration for new code: its own template, filled with the values that the live configuration was made with.

METASPACE's ``conf/config.json.template`` is Jinja that becomes JSON: ``{{ name }}``, ``{{ name | to_json }}``,
``{{ name | default('…') }}`` and comments. The values are Ansible's, encrypted, and not known here; but the live file beside the
template that it was made of gives them away. Nothing of either is ever printed: names and places only.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .files import Wrong, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PART = re.compile(r"\{#.*?#\}|\{\{(?P<value>.*?)\}\}|(?P<statement>\{%.*?%\})|\\.|\"|[^\"\\{]+|\{", re.DOTALL)
_VALUE = re.compile(r"\s*(?P<name>[A-Za-z_][\w.]*)\s*(?P<filters>(\|.*)?)", re.DOTALL)
_DEFAULT = re.compile(r"\|\s*default\(\s*(?:'(?P<a>[^'\\]*)'|\"(?P<b>[^\"\\]*)\"|(?P<c>true|false|\d+))\s*\)\s*")
_JSON = re.compile(r"\|\s*to_json\s*")
_MARK = re.compile("\ue000(\\d+)\ue001")
_ABSENT = object()


class Template:
    """A template as JSON whose values are marks; ``wanted`` says what each mark stands for: (name, default or absent, as JSON)."""

    def __init__(self, text: str, place: str) -> None:
        """Raises `Wrong` for what is no plain value, by its name."""
        self.wanted: list[tuple[str, Any, bool]] = []
        self.place, quoted, made = place, False, []
        for part in _PART.finditer(text):
            if part["statement"]:
                raise Wrong(f"{place} has a statement ({{% … %}}): render it by hand")
            if part["value"] is not None:
                mark = self._mark(part["value"], quoted)
                made.append(mark if quoted else f'"{mark}"')
            elif not part[0].startswith("{#"):
                quoted ^= part[0] == '"'
                made.append(part[0])
        try:
            self.tree = json.loads("".join(made))
        except ValueError as error:
            raise Wrong(f"{place} does not become JSON (line {getattr(error, 'lineno', 0)})") from error

    def _mark(self, expression: str, quoted: bool) -> str:  # noqa: FBT001
        value = _VALUE.fullmatch(expression)
        if not value:
            raise Wrong(f"{self.place} has an expression that is more than a name: render it by hand")
        filters, default, as_json = value["filters"], _ABSENT, not quoted
        found = _DEFAULT.match(filters)
        if found:
            default = json.loads(found["c"]) if found["c"] else found["a"] or found["b"] or ""
            filters = filters[found.end() :]
        if filters.strip() and not _JSON.fullmatch(filters.strip()):
            raise Wrong(f"{self.place} has a filter that is not known, at {value['name']}: render it by hand")
        self.wanted.append((value["name"], default, as_json))
        return f"\ue000{len(self.wanted) - 1}\ue001"

    def name(self, leaf: Any) -> str | None:
        """Return the name of the value that a whole leaf stands for, or None."""
        mark = _MARK.fullmatch(leaf) if isinstance(leaf, str) else None
        return self.wanted[int(mark[1])][0] if mark else None


def known(template: Template, live: Any) -> dict[str, Any]:
    """Return the values by name that a file made of the template shows. One that shows two values for a name is not known."""
    found: dict[str, Any] = {}
    torn: set[str] = set()
    for leaf, value in _beside(template.tree, live):
        for name, one in _read_off(template, leaf, value):
            if found.setdefault(name, one) != one:
                torn.add(name)
    return {name: value for name, value in found.items() if name not in torn}


def _beside(tree: Any, live: Any) -> Iterator[tuple[str, Any]]:
    """Give every text of the template with what stands at its place in the file."""
    if isinstance(tree, dict) and isinstance(live, dict):
        for key in tree.keys() & live.keys():
            yield from _beside(tree[key], live[key])
    elif isinstance(tree, list) and isinstance(live, list) and len(tree) == len(live):
        for one, other in zip(tree, live):  # noqa: B905  # Python 3.8
            yield from _beside(one, other)
    elif isinstance(tree, str) and _MARK.search(tree):
        yield tree, live


def _read_off(template: Template, leaf: str, value: Any) -> Iterator[tuple[str, Any]]:
    name = template.name(leaf)
    if name is not None:
        yield name, value
    elif isinstance(value, str):
        parts = _MARK.split(leaf)
        pattern = "".join("(.*?)" if at % 2 else re.escape(part) for at, part in enumerate(parts))
        shown = re.fullmatch(pattern, value, re.DOTALL)
        for number, one in zip(parts[1::2], shown.groups() if shown else ()):  # noqa: B905  # Python 3.8
            yield template.wanted[int(number)][0], one


def filled(template: Template, values: dict[str, Any], live: Any) -> Any:
    """Return the template's tree with values; a name that is not known takes what the live file has at its place, else its default.

    Raises `Wrong` that names all for which there is nothing.
    """
    missing: set[str] = set()

    def value_of(mark: str, beside: Any) -> Any:
        name, default, _ = template.wanted[int(mark)]
        for value in (values.get(name, _ABSENT), beside, default):
            if value is not _ABSENT:
                return value
        missing.add(name)
        return ""

    def fill(tree: Any, beside: Any) -> Any:
        if isinstance(tree, dict):
            return {
                key: fill(one, beside.get(key, _ABSENT) if isinstance(beside, dict) else _ABSENT)
                for key, one in tree.items()
            }
        if isinstance(tree, list):
            same = isinstance(beside, list) and len(beside) == len(tree)
            return [fill(one, beside[at] if same else _ABSENT) for at, one in enumerate(tree)]
        if not isinstance(tree, str) or not _MARK.search(tree):
            return tree
        whole = _MARK.fullmatch(tree)
        if whole:
            value = value_of(whole[1], beside)
            return value if template.wanted[int(whole[1])][2] or isinstance(value, str) else _as_text(value)
        return _MARK.sub(lambda mark: _as_text(value_of(mark[1], _ABSENT)), tree)

    made = fill(template.tree, live)
    if missing:
        raise Wrong(f"no value is known for {', '.join(sorted(missing))}: the live configuration has none of that name")
    return made


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def render(old: Path, live: Path, new: Path, target: Path, pair: dict[str, str]) -> None:
    """Write the configuration, for its owner alone, with the pair's concrete names. Raises `Wrong`; nothing is written then."""
    try:
        running = json.loads(live.read_text(encoding="utf-8"))
        before = Template(old.read_text(encoding="utf-8"), str(old))
        after = Template(new.read_text(encoding="utf-8"), str(new))
    except (OSError, ValueError) as error:
        what = (
            f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else "the live configuration is no JSON"
        )
        raise Wrong(what) from None
    made = filled(after, known(before, running), running)
    if not isinstance(made.get("elasticsearch"), dict):
        raise Wrong(f"{new} has no part `elasticsearch`")
    made["elasticsearch"].update({f"{kind}_index": pair[kind] for kind in ("dataset", "annotation")})
    target.parent.mkdir(parents=True, exist_ok=True)
    write(target, made)
