"""What can be pressed under a review."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.views import facts as around
from bot.views import ids, kit
from bot.views.text import listing, shorten

if TYPE_CHECKING:
    from slack_sdk.models.blocks import ButtonElement

    from bot.domain.report import ReviewReport


def under(report: ReviewReport, key: str, *, reasons: int) -> list[ButtonElement]:
    """All buttons of a review; ``reasons`` are shown already."""
    facts, value = report.review, _value(report, key)
    found = [
        *([kit.button("Start a release …", ids.REVIEW_START, value)] if report.releasable else []),
        kit.button(f"All commits ({len(facts.commits)})", ids.REVIEW_COMMITS, value),
    ]
    if facts.findings:
        found.append(kit.button(f"All findings ({len(facts.findings)})", ids.REVIEW_FINDINGS, value))
    if facts.strategy.reasons[reasons:]:
        found.append(kit.button("Why this strategy", ids.REVIEW_WHY, value))
    if facts.pull_requests:
        found.append(kit.button("Ask authors", ids.REVIEW_ASK, value))
    return [*found, *_rerun(report, value), *since_live(report, key), *merge(report)]


def _value(report: ReviewReport, key: str) -> dict[str, object]:
    facts = report.review
    return {
        "environment": report.environment,
        "base": facts.base.sha,
        "head": facts.head.sha,
        "names": [shorten(facts.base.ref, 80), shorten(facts.head.ref, 80)],
        "hotfix": report.hotfix,
        "key": key,
    }


def _rerun(report: ReviewReport, value: dict[str, object]) -> list[ButtonElement]:
    """Offer to run failed jobs again where CI itself was heard: without a token there is nobody to ask."""
    failed = around.failed_jobs(report)
    if not failed or not report.workflows:
        return []
    sentence = f"CircleCI runs {listing(failed[:6])} and what waits for them once more, for this very commit."
    return [
        kit.button(
            "Rerun failed jobs …", ids.REVIEW_RERUN, value, confirm=("Run failed jobs again?", sentence, "Run again")
        )
    ]


def since_live(report: ReviewReport, key: str) -> list[ButtonElement]:
    """Where the three facts disagree, offer what was changed since what is really live, or since the tag where that is the head."""
    drift, facts = report.drift, report.review
    if drift is None or drift.agrees:
        return []
    choices = [
        ("Review since what is live", "live", drift.live),
        (f"Review since {drift.tag}", drift.tag, drift.tag_sha),
    ]
    for label, name, sha_ in choices:
        if sha_ and sha_ not in (facts.base.sha, facts.head.sha):
            value = {**_value(report, key), "base": sha_, "names": [shorten(name, 80), shorten(facts.head.ref, 80)]}
            return [kit.button(label, ids.REVIEW_LIVE, value)]
    return []


def merge(report: ReviewReport) -> list[ButtonElement]:
    """Offer the page where hotfixes are merged into the head."""
    return [kit.url_button("Open the merge", ids.REVIEW_MERGE, report.merge_url)] if report.merge_url else []
