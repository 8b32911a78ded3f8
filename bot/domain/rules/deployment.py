"""Deployed configuration, Ansible and committed keys. Contents are compared by names only: values are never quoted."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.changes import Status
from bot.domain.findings import Finding, Kind, Severity
from bot.domain.rules import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.domain.changes import Change
    from bot.domain.rules.reading import Reading

_KEY_FILE = re.compile(r"\.(key|pem|p12|pfx|jks|crt|csr|cer)$|(^|/)id_(rsa|ed25519)$")
_VARIABLE = re.compile(r"\{\{-?\s*([A-Za-z_][\w.]*)")
_SET = re.compile(r"^\s*(?:-\s*)?register:\s*([A-Za-z_]\w*)|^\s+([A-Za-z_]\w*)\s*:", re.MULTILINE)
_DEFINED = re.compile(r"^\s*#?\s*([A-Za-z_]\w*)\s*:", re.MULTILINE)
_CONFIGURED = re.compile(r"^\s*[\"']?([A-Za-z_]\w*)[\"']?\s*:", re.MULTILINE)
_SECRET = re.compile(r"password|passwd|secret|token|api_?key|private|credential|access_key", re.IGNORECASE)
_ROLE = re.compile(r"^ansible/roles/([\w-]+)/")
_MOST = 8
_NAMES: dict[str, frozenset[str]] = {}  # blob → the variables it defines; a blob never changes
_MOST_NAMES = 4000


def findings(reading: Reading) -> Iterator[Finding]:
    """Templates, defaults and roles, with the names of variables that are new."""
    known = _defined(reading)
    roles = _roles(reading)
    for change in reading.span.changes:
        for kind in paths.kinds(change):
            if kind is Kind.CONFIG_TEMPLATE:
                yield _template(change, reading, known)
            elif kind is Kind.ANSIBLE:
                yield _ansible(change, reading, roles)


def _template(change: Change, reading: Reading, known: set[str]) -> Finding:
    finding = paths.plain(Kind.CONFIG_TEMPLATE, change)
    if change.status is Status.DELETED:
        return finding
    before, after = reading.before(change) or "", reading.after(change) or ""
    variables = sorted(set(_VARIABLE.findall(after)) - set(_VARIABLE.findall(before)))
    settings = sorted(set(_CONFIGURED.findall(after)) - set(_CONFIGURED.findall(before)))
    given = reading.around.variables
    missing = [name for name in variables if name.split(".", 1)[0] not in (known if given is None else known | given)]
    parts = [
        _listed("new variables", variables),
        _listed("new settings", settings),
        _listed("new secrets", [name for name in {*variables, *settings} if _SECRET.search(name)]),
    ]
    detail = "; ".join(part for part in parts if part) or f"{finding.detail}, with no new name"
    if not variables:
        return replace(finding, detail=detail, severity=Severity.INFO if not settings else finding.severity)
    if given is not None and not missing:
        return replace(finding, detail=detail, action="The environment has a value for each.", severity=Severity.INFO)
    action = f"Give the environment's configuration repository: {', '.join((missing if given else variables)[:_MOST])}."
    if missing and given is None:
        action += f" Not even Ansible's templates define {', '.join(missing[:_MOST])}."
    return replace(finding, detail=detail, action=action, severity=Severity.BLOCKING if missing else finding.severity)


def _ansible(change: Change, reading: Reading, roles: set[str]) -> Finding:
    finding = paths.plain(Kind.ANSIBLE, change)
    if _KEY_FILE.search(change.path):
        return replace(
            finding,
            detail=f"{finding.detail}: a key or certificate, not looked into.",
            action="Check where it is installed, and until when it is valid.",
        )
    if change.status is Status.DELETED or not change.path.endswith((".yml", ".yaml", ".template", ".j2")):
        return finding
    before, after = reading.before(change) or "", reading.after(change) or ""
    new = sorted(set(_DEFINED.findall(after)) - set(_DEFINED.findall(before))) if _is_variables(change.path) else []
    used = sorted(set(_VARIABLE.findall(after)) - set(_VARIABLE.findall(before)))
    match = _ROLE.match(change.path)
    parts = [
        f"a new role, {match[1]}" if match and match[1] in roles else "",
        _listed("new variables", new),
        _listed("uses", used),
    ]
    detail = "; ".join([finding.detail, *(part for part in parts if part)])
    action = f"Give the environment's configuration repository: {', '.join(new[:_MOST])}." if new else finding.action
    return replace(finding, detail=detail, action=action)


def _is_variables(path: str) -> bool:
    return path.startswith("ansible/aws/templates/") or "/defaults/" in path or "/group_vars/" in path


def _listed(what: str, names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:_MOST])
    return f"{what}: {shown}{' …' if len(names) > _MOST else ''}" if names else ""


def _defined(reading: Reading) -> set[str]:
    """Every variable that Ansible's own templates, defaults and tasks define in the head."""
    if not any(Kind.CONFIG_TEMPLATE in paths.kinds(change) for change in reading.span.changes):
        return set()
    files = {
        path: blob
        for path, blob in reading.files(commit=reading.new, under="ansible").items()
        # what the environment should have is no proof where it is known what it has
        if _defines(path) and (reading.around.variables is None or not path.startswith("ansible/aws/templates/"))
    }
    reading.expect(blob for blob in files.values() if blob not in _NAMES)
    return {name for path, blob in files.items() for name in _names(reading, blob, path)}


def _defines(path: str) -> bool:
    written = path.endswith((".yml", ".yaml"))
    return (_is_variables(path) and (written or path.endswith(".template"))) or ("/tasks/" in path and written)


def _names(reading: Reading, blob: str, path: str) -> frozenset[str]:
    """The variables that a file of variables or tasks gives a value."""
    if blob not in _NAMES:
        if len(_NAMES) >= _MOST_NAMES:
            _NAMES.clear()
        text = reading.blob(blob, path)
        if _is_variables(path):
            _NAMES[blob] = frozenset(_DEFINED.findall(text))
        else:
            pairs = _SET.findall(text) if "register" in text or "set_fact" in text else []
            _NAMES[blob] = frozenset(name for pair in pairs for name in pair if name)
    return _NAMES[blob]


def _roles(reading: Reading) -> set[str]:
    """Roles whose every file is new."""
    new: set[str] = set()
    old: set[str] = set()
    for change in reading.changes(under="ansible/roles/"):
        if match := _ROLE.match(change.path):
            (new if change.status is Status.ADDED else old).add(match[1])
    return {role for role in new - old if not reading.files(commit=reading.old, under=f"ansible/roles/{role}")}
