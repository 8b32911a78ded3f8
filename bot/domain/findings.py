"""A finding: one hot spot of a range, with its evidence and what it asks of the releaser."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a finding is about. Its subject is a document field, a ``Type.field`` or a path."""

    ES_FIELD_ADDED = "es_field_added"
    ES_FIELD_REMOVED = "es_field_removed"
    ES_MAPPING_CHANGED = "es_mapping_changed"
    ES_VALUES_CHANGED = "es_values_changed"
    ES_EXPORT_TOUCHED = "es_export_touched"
    GRAPHQL_NON_NULL = "graphql_non_null"
    GRAPHQL_MIGRATION = "graphql_migration"
    ENGINE_MIGRATION = "engine_migration"
    ENGINE_SCRIPT = "engine_script"
    CONFIG_TEMPLATE = "config_template"
    ANSIBLE = "ansible"
    DEPENDENCY = "dependency"
    DOCKER = "docker"
    CI = "ci"


class Severity(StrEnum):
    """``blocking``: nobody should release without having dealt with it. ``attention``: a person should know."""

    INFO = "info"
    ATTENTION = "attention"
    BLOCKING = "blocking"


@dataclass(frozen=True, slots=True)
class Finding:
    """One hot spot. ``line`` counts from 1 in the head's version (the base's where the thing is gone); 0 means the whole file.

    ``index`` (``dataset`` or ``annotation``) and ``needed_by_new_code`` are set for Elasticsearch fields only.
    ``rebuild`` says why the indices must be made anew before the deployment.
    ``backward_compatible`` is True for a migration after which the code from before works on.
    ``downtime`` is set by what keeps METASPACE from answering while it runs; ``manual`` by what a person must run.
    """

    kind: Kind
    subject: str
    severity: Severity
    path: str
    line: int = 0
    index: str = ""
    needed_by_new_code: bool | None = None
    detail: str = ""
    action: str = ""
    downtime: str = ""
    rebuild: str = ""
    manual: bool = False
    backward_compatible: bool = False

    def to_json(self) -> dict[str, Any]:
        """The form of ``releasebot review --json``; keys without a meaning for the kind are left out."""
        data: dict[str, Any] = {
            "kind": self.kind.value,
            "subject": self.subject,
            "severity": self.severity.value,
            "path": self.path,
            "line": self.line,
        }
        if self.index:
            data["index"] = self.index
        if self.needed_by_new_code is not None:
            data["needed_by_new_code"] = self.needed_by_new_code
        return {**data, "detail": self.detail, "action": self.action}
