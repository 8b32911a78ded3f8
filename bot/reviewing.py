"""Putting a review together: a history, read through its port, and the rules."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from bot.domain import milestones, notes
from bot.domain.review import Review, VersionProposal, pull_requests
from bot.domain.rules import Reading, find, paths
from bot.domain.strategy import recommend
from bot.domain.version import Bump

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.domain.changes import History, Range
    from bot.domain.findings import Finding
    from bot.domain.rules.reading import Surroundings


METASPACE_URL = "https://github.com/metaspace2020/metaspace"
_MOST_LACKING = 5


def review_range(
    history: History, *, base: str, head: str, web_url: str = "", around: Surroundings | None = None
) -> Review:
    """Review ``base...head``. Blocks: run it in a thread. Raises WrongUse for names that are no commits.

    What cannot be read (a file that does not parse, a schema that does not build) becomes a blind spot; the review comes anyway.
    ``web_url`` is the repository's page for links, where the clone's origin does not tell it; ``around`` is what settings and the
    configuration repository add.
    """
    span = history.compare(base=base, head=head)
    reading = Reading(history, span, around)
    findings = find(reading)
    pulls = pull_requests(span.commits)
    url = history.web_url() or web_url
    return Review(
        base=span.base,
        head=span.head,
        merge_base=span.merge_base,
        relation=span.relation,
        compare_url=f"{url}/compare/{span.base.ref}...{span.head.ref}" if url else "",
        commits=span.commits,
        pull_requests=pulls,
        findings=findings,
        strategy=recommend(findings),
        version=_propose(history, reading, findings),
        notes=tuple(notes.draft_all(pulls)),
        blind_spots=tuple(dict.fromkeys((*span.blind_spots, *reading.blind_spots))),
        remarks=tuple(dict.fromkeys((*_lost(span), *paths.remarks(span.changes), *reading.remarks))),
        lacking=span.lacking,
    )


def backtest(history: History, *, web_url: str = "") -> Iterator[Review]:
    """A review of every pair of consecutive version tags, oldest first."""
    for older, newer in pairwise(history.version_tags()):
        yield review_range(history, base=str(older.version), head=str(newer.version), web_url=web_url)


def brought_by(history: History, review: Review) -> dict[str, int]:
    """Return which pull request brings each migration or script that is run by hand: the oldest of the range that has it. Blocks."""
    pulls = {pull.sha: pull.number for pull in review.pull_requests}
    found: dict[str, int] = {}
    for path in {finding.path for finding in review.findings if finding.manual}:
        for commit in reversed(review.commits):
            if history.files(commit=commit.sha, under=path):
                found |= {path: pulls[commit.sha]} if commit.sha in pulls else {}
                break
    return found


def _lost(span: Range) -> Iterator[str]:
    for commit in span.lacking[:_MOST_LACKING]:
        yield f"{span.head.ref} lacks {commit.sha:.8} of {span.base.ref}: {commit.subject}"
    if len(span.lacking) > _MOST_LACKING:
        yield f"{span.head.ref} lacks {len(span.lacking) - _MOST_LACKING} more commits of {span.base.ref}"


def _propose(history: History, reading: Reading, findings: tuple[Finding, ...]) -> VersionProposal:
    """A patch on the version that base stands at: minor and major are declared by a person, never found in a diff."""
    current = history.version_at(commit=reading.span.base.sha)
    proposed = current.next(Bump.PATCH) if current else None
    return VersionProposal(current, proposed, Bump.PATCH, tuple(milestones.candidates(reading, findings)))
