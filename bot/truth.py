"""Comparing reviews with known truth: the form of tests/data/review-examples.json."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.domain.findings import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bot.domain.review import Review

_PATHS = {
    Kind.GRAPHQL_MIGRATION: ("graphql_migrations",),
    Kind.ENGINE_MIGRATION: ("engine_migrations", "engine_migrations_renamed_in"),
    Kind.ENGINE_SCRIPT: ("engine_scripts_added",),
    Kind.CONFIG_TEMPLATE: ("deployed_config_changes",),
    Kind.DEPENDENCY: ("dependency_changes",),
    Kind.ANSIBLE: ("ansible_changes",),
    Kind.DOCKER: ("docker_changes",),
    Kind.CI: ("ci_changes",),
}
_FIELDS = {
    Kind.ES_FIELD_ADDED: "es_fields_added",
    Kind.ES_FIELD_REMOVED: "es_fields_removed",
    Kind.ES_MAPPING_CHANGED: "es_mapping_changed",
}
_RELATIONS = {"linear": "ahead"}
_KINDS = {"Deps": "Dependabot"}
_STATUS = re.compile(r"^[AMDRT]\d* ")


def differences(review: Review, truth: Mapping[str, Any]) -> Iterator[str]:
    """Each point where a review and the truth about the same range differ, in a line."""
    relation = _RELATIONS.get(truth["relation"], truth["relation"])
    for name, ours, theirs in (
        ("base", review.base.sha, truth["from_sha"]),
        ("head", review.head.sha, truth["to_sha"]),
        ("merge_base", review.merge_base, truth["merge_base"]),
        ("relation", review.relation.value, relation),
        ("commits", len(review.commits), truth["commit_count"]),
    ):
        if ours != theirs:
            yield f"{name}: {ours}, not {theirs}"
    yield from _sets("pull_requests", (pr.number for pr in review.pull_requests), truth["prs"])
    yield from _findings(review, truth)
    yield from _values(review, truth.get("es_value_semantics", ()))
    if review.strategy.recommended.value not in truth["acceptable_strategies"]:
        yield f"strategy: {review.strategy.recommended}, not {' or '.join(truth['acceptable_strategies'])}"


def _findings(review: Review, truth: Mapping[str, Any]) -> Iterator[str]:
    for kind, keys in _PATHS.items():
        expected = [_STATUS.sub("", path) for key in keys for path in truth.get(key, ())]
        yield from _sets(kind.value, _subjects(review, kind), expected)
    for kind, key in _FIELDS.items():
        yield from _sets(kind.value, _subjects(review, kind), (_field(entry) for entry in truth.get(key, ())))
    touched = bool(review.of_kind(Kind.ES_EXPORT_TOUCHED))
    if touched != truth["es_export_touched"]:
        yield f"es_export_touched: {touched}, not {truth['es_export_touched']}"
    risks = [risk["field"] for risk in truth.get("graphql_nonnull_risks", ()) if risk["change"] == "added"]
    yield from _sets(Kind.GRAPHQL_NON_NULL.value, _subjects(review, Kind.GRAPHQL_NON_NULL), risks)
    places = {finding.subject: finding.index for finding in review.of_kind(Kind.ES_FIELD_ADDED)}
    for entry in truth.get("es_fields_added", ()):
        ours = places.get(entry["field"])
        if ours is not None and entry.get("index") not in (None, ours):
            yield f"index of {entry['field']}: {ours}, not {entry['index']}"
    needed = {finding.subject: finding.needed_by_new_code for finding in review.of_kind(Kind.ES_FIELD_ADDED)}
    for entry in truth.get("es_fields_added", ()):
        judged = needed.get(entry["field"])
        if judged is not None and judged != entry["needed_by_new_code"]:
            yield f"needed_by_new_code of {entry['field']}: {judged}, not {entry['needed_by_new_code']}"


def _values(review: Review, prose: Sequence[str]) -> Iterator[str]:
    """The truth tells values in prose: a field agrees when a sentence names it, a sentence when it names one of ours."""
    ours = _subjects(review, Kind.ES_VALUES_CHANGED)
    for sentence in prose:
        if not any(_names(sentence, field) for field in ours):
            yield f"es_values_changed: missing: {sentence}"
    for field in ours:
        if not any(_names(sentence, field) for sentence in prose):
            yield f"es_values_changed: not in the truth: {field}"


def _names(sentence: str, field: str) -> bool:
    root = field.split(".", 1)[0]
    return any(re.search(rf"\b{re.escape(name)}\b", sentence) for name in (root, root.replace("_", " ")))


def _subjects(review: Review, kind: Kind) -> list[str]:
    return [finding.subject for finding in review.of_kind(kind)]


def _field(entry: str | Mapping[str, Any]) -> str:
    return entry.split(":", 1)[0] if isinstance(entry, str) else str(entry["field"])


def _sets(name: str, ours: Iterable[object], theirs: Iterable[object]) -> Iterator[str]:
    mine, known = set(ours), set(theirs)
    for missing in sorted(known - mine, key=str):
        yield f"{name}: missing: {missing}"
    for extra in sorted(mine - known, key=str):
        yield f"{name}: not in the truth: {extra}"
