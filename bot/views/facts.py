"""The facts around a review, in mrkdwn lines: how CI stands, and branch, newest tag and server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.report import Following
from bot.domain.world import CheckState
from bot.views.text import clock, code, count, duration, escape, link, listing, mention, sha, when

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from bot.domain.report import Drift, ReviewReport


def ci_lines(report: ReviewReport) -> Iterator[str]:
    """Say how CI stands for the head: the required jobs in one line, those that never block in another."""
    again = f" – run again by {mention(report.rerun_by)}" if report.rerun_by else ""
    yield f"*CI:* {ci_words(report)}{again}"
    urls = _urls(report)
    if report.not_blocking:
        jobs = (f"{link(urls.get(name, ''), name, 60)} {state}" for name, state in report.not_blocking.items())
        yield f"*Not blocking:* {listing(list(jobs)[:6])}"


def ci_words(report: ReviewReport) -> str:
    """Say in one line how the required jobs stand; what runs at the moment, for how long and in which workflow."""
    states = report.ci
    if states is None:
        return "no answer" if report.checks_problem else "asking …"
    urls = _urls(report)
    bad = [_job(report, name, state, urls) for name, state in states.items() if state != CheckState.PASSED]
    passed = f"{len(states) - len(bad)} of {count(len(states), 'required job')} passed"
    return f"not ready – {passed}; {', '.join(bad)}" if bad else f"green – {passed}"


def failed_jobs(report: ReviewReport) -> list[str]:
    """Name the required jobs that failed and are not being run again."""
    return [name for name, state in (report.ci or {}).items() if state is CheckState.FAILED]


def following(report: ReviewReport) -> str:
    """Say whether the message goes on following CI."""
    match report.following:
        case Following.ON if report.followed_until:
            return f"CI is asked again until it is decided, until {clock(report.followed_until)} at the latest"
        case Following.OVER:
            return "CI is no longer followed here: ask for a new review"
        case Following.ELSEWHERE:
            return "CI is followed in a newer review below"
        case _:
            return ""


def drift_lines(drift: Drift) -> Iterator[str]:
    """Show branch, newest tag and server as three facts, and say which of them disagree and by how much."""
    tag = f"newest tag {code(drift.tag)} {sha(drift.tag_sha)}" if drift.tag else "no version tag yet"
    branch = f"branch {code(drift.branch)} {sha(drift.branch_sha)}"
    if drift.refs_problem:
        branch, tag = "branch and newest tag unknown", ""
    elif drift.tag and drift.live == drift.tag_sha == drift.branch_sha:
        yield f"*Live now:* {escape(drift.tag, 40)} ({sha(drift.live)}){_since(drift)}; branch and newest tag agree"
        return
    live = f"live {sha(drift.live)}{_checkout(drift)}{_since(drift)}" if drift.live else "live commit unknown"
    yield f"*Now:* {' · '.join(part for part in (branch, tag, live) if part)}"
    disagree = [escape(one, 200) for one in drift.sentences()]
    if disagree:
        yield f"These name different commits: {'; '.join(disagree)}. Know why before going on."
    if drift.live_dirty:
        yield "The server's checkout has uncommitted changes, which the next deploy throws away."


def _job(report: ReviewReport, name: str, state: CheckState, urls: dict[str, str]) -> str:
    found = report.running(name)
    if state is not CheckState.PENDING or found is None:
        return f"{link(urls.get(name, ''), name, 80)} {state}"
    workflow, job = found
    words = job.status.replace("_", " ") or state
    return (
        f"{link(job.url, name, 80)} {escape(words, 30)}{_for(job.started_at, report.ci_at)} "
        f"(workflow {link(workflow.url, workflow.name, 60)})"
    )


def _for(begun: datetime | None, now: datetime | None) -> str:
    return f" for {duration((now - begun).total_seconds())}" if begun and now and now > begun else ""


def _urls(report: ReviewReport) -> dict[str, str]:
    return {check.name: check.url for check in report.checks or ()}


def _checkout(drift: Drift) -> str:
    return f" (on {code(drift.live_branch, 60)})" if drift.live_branch else ""


def _since(drift: Drift) -> str:
    if drift.live_since is None:
        return ""
    before = f", before that {sha(drift.before)}" if drift.before else ""
    return f" since {when(drift.live_since)}{before}"
