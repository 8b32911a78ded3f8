"""What the steps of a plan are told by the facts of a release, beside what their checklist says. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.findings import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bot.domain.drafting import Draft
    from bot.domain.findings import Finding
    from bot.domain.planning import Merge

CI = "ci_green"
MERGE = "master_contains_release"
NOTES = "notes"
AUTHORS = "authors_answered"
COMMENTS = "pull_request_comments"
PULLS = "pull_requests"  # its parameter: the numbers of the range
DEPLOY = "deploy"
BACK = "processing_back"
ROLL_BACK = "roll_back"  # the parameter of a deploy that goes back; no checklist may set it
SWAP, SWAP_BACK = "swap", "swap_back"
SWAPPED = "swapped"  # the parameter of a swap back: both pairs by Elasticsearch's own ids; no checklist may set it
IGNORED = "ignored"  # the parameter of what compares documents: fields that the new code adds, removes or changes
_COMPARING = ("catch_up", SWAP, "catch_up_after")
_CHANGED = frozenset({Kind.ES_FIELD_ADDED, Kind.ES_FIELD_REMOVED, Kind.ES_VALUES_CHANGED})

Given = dict[str, dict[str, object]]  # step id → parameters


@dataclass(frozen=True, slots=True)
class GoingBack:
    """What a plan rolls back: from which release, and what that one had found or done and not given back."""

    release: str  # "R7"
    found: Mapping[str, object] | None = None
    swapped: Mapping[str, object] | None = None  # the pairs of a release that had moved the aliases


def given(
    notes: Draft,
    authors: Mapping[str, object] | None,
    *,
    ignored: Sequence[str],
    merge: Merge | None,
    ci_again: bool,
    back: Given,
) -> Given:
    """Return the parameters that the facts give each step. ``ci_again``: CI is asked of master before the merge."""
    told: Given = {
        NOTES: notes.params(),
        COMMENTS: {PULLS: list(notes.pull_requests)},
        AUTHORS: dict(authors or {}),
        **{step: {IGNORED: sorted(set(ignored))} for step in _COMPARING},
        **back,
    }
    if merge and ci_again:
        told[CI] = {"commit": merge.ours}
    if merge:
        told[MERGE] = {"merge": {"ours": merge.ours, "theirs": merge.theirs}}
    return told


def going_back(head: str, back: GoingBack | None) -> Given:
    """Return the parameters of a rollback: its deploy is allowed for exactly this commit."""
    if back is None:
        return {}
    told: Given = {DEPLOY: {ROLL_BACK: {"commit": head, "release": back.release}}}
    if back.found:
        told[BACK] = {"found": dict(back.found)}
    if back.swapped:
        told[SWAP_BACK] = {SWAPPED: dict(back.swapped)}
    return told


def changed_fields(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the document fields that the new code adds, removes or computes otherwise, as findings name them (dotted)."""
    return tuple(sorted({one.subject for one in findings if one.kind in _CHANGED}))
