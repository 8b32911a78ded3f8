"""Checklists as YAML: reading them with the place of every complaint, the shipped ones, and their JSON Schema."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING

import yaml

from bot.domain.approval import KEYS, MOST, ROLES, STARTER, ApprovalRules, default_policy, read
from bot.domain.checklist import LOCK_KEYS, MANUAL, PARTS, Checklist, Item, StepFacts, complaints, suggestion
from bot.domain.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bot.engine.step import Step

TOP_KEYS = ("name", "title", "description", *LOCK_KEYS, "steps")
ITEM_KEYS = ("step", "manual", "key", "title", "params", "part", "unless", "assignee", "note", "approval")
HINT = "docs/checklists.md, or releasebot checklists"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


SHIPPED = ApprovalRules()


def catalogue(registry: Mapping[str, Step], rules: ApprovalRules = SHIPPED) -> dict[str, StepFacts]:
    """Return what checklists and plans need to know of each step; ``rules`` are the environment's."""
    return {
        step.id: StepFacts(
            id=step.id,
            version=step.version,
            title=step.title,
            kind=step.kind,
            skip=step.skip,
            costly_to_undo=step.costly_to_undo,
            changes_live=step.changes_live or step.costly_to_undo,
            params=step.params,
            needs=step.needs,
            after=step.after,
            by_hand=step.by_hand,
            approval=default_policy(irreversible=step.irreversible, costly=step.costly_to_undo),
            may_weaken=rules.may_weaken(step.id),
            break_glass=rules.may_break_glass(step.id),
        )
        for step in registry.values()
    }


def shipped(registry: Mapping[str, Step] | None = None) -> Mapping[str, Checklist]:
    """Return the checklists that come with the bot, by name; with a registry, checked against it."""
    found = {}
    for file in sorted(resources.files(__name__).iterdir(), key=lambda one: one.name):
        if file.name.endswith(".yml"):
            checklist = parse(file.read_text(encoding="utf-8"), file=file.name, registry=registry)
            found[checklist.name] = checklist
    return found


def available(
    folder: Path | None, registry: Mapping[str, Step], rules: ApprovalRules = SHIPPED
) -> Mapping[str, Checklist]:
    """Return the shipped checklists and a team's own ones, which win over shipped ones of the same name."""
    own = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]) if folder else []
    return {**shipped(registry), **{one.name: one for one in (load(path, registry, rules) for path in own)}}


def load(path: Path, registry: Mapping[str, Step] | None = None, rules: ApprovalRules = SHIPPED) -> Checklist:
    """Read a checklist from a file; raises `BadSettings` with everything that is wrong, one line each."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"Cannot read the checklist {path}: {error}.", hint=HINT) from error
    return parse(text, file=str(path), registry=registry, rules=rules)


def parse(
    text: str, file: str, registry: Mapping[str, Step] | None = None, rules: ApprovalRules = SHIPPED
) -> Checklist:
    """Read a checklist; raises `BadSettings` with everything that is wrong: file, line, step."""
    reader = _Reader(file)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadSettings(f"{file}, line {line}: this is not YAML: {error.problem}.", hint=HINT) from error
    except yaml.YAMLError as error:
        raise BadSettings(f"{file}: this is not YAML: {error}.", hint=HINT) from error
    checklist = reader.checklist(root, text)
    wrong = reader.wrong or (complaints(checklist, catalogue(registry, rules)) if registry is not None else [])
    if wrong:
        raise BadSettings("\n".join(wrong), hint=HINT)
    return checklist


def renamed(text: str, name: str) -> str:
    """Return a checklist's text under another name, everything else to the letter as it was."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    values = [value for key, value in root.value if key.value == "name"] if isinstance(root, yaml.MappingNode) else []
    if not values:
        raise BadSettings("The checklist has no name to replace.", hint=HINT)
    begin, end = values[0].start_mark.index, values[0].end_mark.index
    return f"{text[:begin]}{name}{text[end:]}"


class _Reader:
    """Walks YAML's nodes, which know their lines, and collects complaints instead of stopping at the first."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.wrong: list[str] = []

    def complain(self, line: int, what: str, step: str = "") -> None:
        self.wrong.append(f"{self.file}, line {line}{f', step {step}' if step else ''}: {what}")

    def checklist(self, root: yaml.Node | None, text: str) -> Checklist:
        top = dict(self.pairs(root, TOP_KEYS, what="a checklist")) if root else {}
        if root is None:
            self.complain(1, "the file is empty; expected name, title and steps.")
        for key in ("name", "title", "steps"):
            if root is not None and key not in top:
                self.complain(_line(root), f"{key!r} is missing.")
        name = self.text(top.get("name"), "name")
        if name and not _NAME.fullmatch(name):
            self.complain(_line(top["name"]), f"the name {name!r} must be lower-case letters, digits and _.")
        return Checklist(
            name=name,
            title=self.text(top.get("title"), "title"),
            description=self.text(top.get("description"), "description"),
            items=tuple(self.items(top.get("steps"))),
            text=text,
            file=self.file,
            locked_from=self.text(top.get("locked_from"), "locked_from"),
            locked_until=self.text(top.get("locked_until"), "locked_until"),
            lines={name: _line(top[name]) for name in LOCK_KEYS if name in top},
        )

    def items(self, node: yaml.Node | None) -> Iterator[Item]:
        if node is None:
            return
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self.complain(_line(node), "`steps` must be a list of steps, with at least one.")
            return
        for number, child in enumerate(node.value, start=1):
            yield self.item(child, number)

    def item(self, node: yaml.Node, number: int) -> Item:
        line = _line(node)
        fields = dict(self.pairs(node, ITEM_KEYS, what="a step", step=str(number)))
        manual, step = self.text(fields.get("manual"), "manual"), self.text(fields.get("step"), "step")
        name = self.text(fields.get("key"), "key") or step or str(number)
        if bool(manual) == bool(step):
            self.complain(line, "expected either `step: id` or `manual: sentence`.", name)
        if manual and "key" not in fields:
            self.complain(line, "a manual step needs a `key` of its own.", name)
        if not _NAME.fullmatch(name) and name != str(number):
            self.complain(line, "a `key` is lower-case letters, digits and _.", name)
        return Item(
            key=name,
            step=MANUAL if manual else step,
            line=line,
            title=manual or self.text(fields.get("title"), "title"),
            params=self.params(fields.get("params"), name),
            part=self.one_of(fields.get("part"), "part", PARTS, name),
            unless_hotfix=bool(self.one_of(fields.get("unless"), "unless", ("hotfix",), name)),
            assignee=self.text(fields.get("assignee"), "assignee"),
            note=self.text(fields.get("note"), "note"),
            approval=self.approval(fields.get("approval"), name),
        )

    def approval(self, node: yaml.Node | None, step: str) -> dict[str, object]:
        """Read what is asked for before the step's effect; each wrong value is complained of at its own line."""
        if node is None:
            return {}
        lines = {name: _line(value) for name, value in self.pairs(node, KEYS, what="`approval`", step=step)}
        values = self.params(node, step) if isinstance(node, yaml.MappingNode) else {}
        good, wrong = read({name: value for name, value in values.items() if name in lines})
        for name, what in wrong.items():
            self.complain(lines[name], what, step)
        return good

    def pairs(
        self, node: yaml.Node, known: tuple[str, ...], *, what: str, step: str = ""
    ) -> Iterator[tuple[str, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self.complain(_line(node), f"{what} must be keys and values.", step)
            return
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                self.complain(_line(key), f"the key {name!r} stands twice.", step)
            elif name not in known:
                self.complain(_line(key), f"unknown key {name!r}.{suggestion(name, known)}", step)
            else:
                yield name, value
            seen.add(name)

    def text(self, node: yaml.Node | None, key: str) -> str:
        if node is None:
            return ""
        if not isinstance(node, yaml.ScalarNode) or not str(node.value).strip():
            self.complain(_line(node), f"`{key}` must be a text.")
            return ""
        return str(node.value).strip()

    def one_of(self, node: yaml.Node | None, key: str, words: tuple[str, ...], step: str) -> str:
        word = self.text(node, key)
        if word and node and word not in words:
            self.complain(_line(node), f"`{key}` is {word!r}.{suggestion(word, words)}", step)
            return ""
        return word

    def params(self, node: yaml.Node | None, step: str) -> dict[str, object]:
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.complain(_line(node), "`params` must be keys and values.", step)
            return {}
        try:
            values = yaml.SafeLoader("").construct_mapping(node, deep=True)
        except yaml.YAMLError as error:
            self.complain(_line(node), f"`params` cannot be read: {error}.", step)
            return {}
        return {str(name): value for name, value in values.items()}


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def schema(registry: Mapping[str, Step]) -> dict[str, object]:
    """Return the JSON Schema of a checklist, for editors that know one."""
    text = {"type": "string", "minLength": 1}
    shared = {"key": text, "title": text, "part": {"enum": list(PARTS)}, "unless": {"const": "hotfix"}}
    shared |= {"assignee": text, "note": text, "approval": _approval_schema()}
    steps = [_step_schema(step, shared) for step in registry.values() if step.id != MANUAL]
    by_hand = {
        "type": "object",
        "properties": {"manual": text, **shared},
        "required": ["manual", "key"],
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A releasebot checklist",
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": f"^{_NAME.pattern}$"},
            "title": text,
            "description": text,
            **{key: {"type": "string", "pattern": f"^{_NAME.pattern}$"} for key in LOCK_KEYS},
            "steps": {"type": "array", "minItems": 1, "items": {"oneOf": [*steps, by_hand]}},
        },
        "required": ["name", "title", "steps"],
        "additionalProperties": False,
    }


def _approval_schema() -> dict[str, object]:
    return {
        "type": "object",
        "properties": {
            "count": {"type": "integer", "minimum": 1, "maximum": MOST},
            "role": {"enum": list(ROLES)},
            "starter": {"enum": list(STARTER)},
            "expires": {"type": "string", "pattern": "^[1-9][0-9]{0,3}[mhd]$"},
            "typed": {"type": "boolean"},
        },
        "additionalProperties": False,
    }


def _step_schema(step: Step, shared: Mapping[str, object]) -> dict[str, object]:
    params = {"type": "object", "properties": {name: {} for name in sorted(step.params)}, "additionalProperties": False}
    return {
        "type": "object",
        "title": step.title,
        "properties": {"step": {"const": step.id}, "params": params, **shared},
        "required": ["step"],
        "additionalProperties": False,
    }
