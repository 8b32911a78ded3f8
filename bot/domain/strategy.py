"""Which checklist a range needs, by the rules that docs/strategies.md states. Every recommendation carries its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bot.domain.findings import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ES_CHANGES = (Kind.ES_FIELD_ADDED, Kind.ES_FIELD_REMOVED, Kind.ES_VALUES_CHANGED)


class StrategyName(StrEnum):
    """The shipped checklists, from the lightest to the heaviest."""

    IN_PLACE = "in_place"
    DEPLOY_THEN_ES_UPDATE = "deploy_then_es_update"
    REINDEX_BEFORE = "reindex_before"
    FORK_VM = "fork_vm"


class Part(StrEnum):
    """Optional parts of a checklist, switched on by findings."""

    ES_UPDATE = "es_update"
    MANUAL_MIGRATIONS = "manual_migrations"


@dataclass(frozen=True, slots=True)
class Strategy:
    """A recommended checklist; a person may override it with a reason."""

    recommended: StrategyName
    parts: tuple[Part, ...]
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The form of ``releasebot review --json``."""
        return {
            "recommended": self.recommended.value,
            "parts": [part.value for part in self.parts],
            "reasons": list(self.reasons),
        }


def recommend(findings: Sequence[Finding]) -> Strategy:
    """The heaviest strategy that any finding asks for.

    Work by hand that must stop the site asks for a fork; a field that new code cannot do without, or a changed mapping,
    for a reindex before; other changes of documents for an update after; all else is done in place.
    """
    asked = [(name, reason) for name, reason in _demands(findings)]
    name = max((name for name, _ in asked), key=_WEIGHT.index, default=StrategyName.IN_PLACE)
    reasons = [reason for _, reason in sorted(asked, key=lambda item: -_WEIGHT.index(item[0]))]
    if not reasons:
        reasons = ["No change of documents, mappings, migrations by hand or scripts: a deployment is enough."]
    return Strategy(name, tuple(_parts(name, findings)), tuple(reasons))


_WEIGHT = list(StrategyName)


def _demands(findings: Iterable[Finding]) -> Iterable[tuple[StrategyName, str]]:
    for finding in findings:
        if finding.downtime:
            yield StrategyName.FORK_VM, f"{finding.downtime} ({_place(finding)})"
        if finding.rebuild:
            yield StrategyName.REINDEX_BEFORE, f"{finding.rebuild} ({_place(finding)})"
        elif finding.kind is Kind.ES_MAPPING_CHANGED:
            yield (
                StrategyName.REINDEX_BEFORE,
                f"The mapping of {finding.subject} changed: {finding.detail} ({_place(finding)})",
            )
        elif finding.kind is Kind.ES_FIELD_ADDED and finding.needed_by_new_code:
            yield StrategyName.REINDEX_BEFORE, f"New code needs the new field {finding.subject} ({_place(finding)})"
        elif finding.kind in _ES_CHANGES and finding.kind is not Kind.ES_FIELD_REMOVED:
            what = (
                "is new, and may fill over days" if finding.kind is Kind.ES_FIELD_ADDED else "is computed differently"
            )
            yield (
                StrategyName.DEPLOY_THEN_ES_UPDATE,
                f"{finding.index} field {finding.subject} {what} ({_place(finding)})",
            )
        elif finding.kind is Kind.ES_FIELD_REMOVED:
            yield (
                StrategyName.IN_PLACE,
                f"{finding.index} field {finding.subject} is no longer written; old documents keep it ({_place(finding)})",
            )
        elif finding.manual and not finding.downtime:
            yield (
                StrategyName.IN_PLACE,
                f"By hand, while the site runs: {finding.detail or finding.subject} ({_place(finding)})",
            )
        elif finding.kind is Kind.GRAPHQL_MIGRATION and not finding.downtime:
            yield StrategyName.IN_PLACE, f"Runs by itself at the restart: {finding.detail} ({_place(finding)})"


def _parts(name: StrategyName, findings: Iterable[Finding]) -> Iterable[Part]:
    """A fork still owes the documents their update; work by hand is a part of every strategy."""
    found = list(findings)
    if name is StrategyName.FORK_VM and any(
        finding.kind in (*_ES_CHANGES, Kind.ES_MAPPING_CHANGED) for finding in found
    ):
        yield Part.ES_UPDATE
    if any(finding.manual for finding in found):
        yield Part.MANUAL_MIGRATIONS


def _place(finding: Finding) -> str:
    return f"{finding.path}:{finding.line}" if finding.line else finding.path
