"""The review: what is about to ship and what it will need. The summary is the message; evidence comes on demand."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bot.domain.changes import Relation
from bot.domain.findings import Severity
from bot.views import facts as around
from bot.views import findings as found
from bot.views import kit, review_buttons
from bot.views.authors import answers_line
from bot.views.states import STRATEGY
from bot.views.text import clock, code, count, escape, link, listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slack_sdk.models.blocks import Block

    from bot.domain.report import Rerun, ReviewReport
    from bot.domain.review import Review

_PULLS = 8
_REASONS = 4
_HOTFIXES = 5


def review(report: ReviewReport, *, key: str = "") -> kit.Message:
    """Show a review in the channel; facts that have not arrived yet are named as being asked. ``key`` is the message's own."""
    facts = report.review
    head = f"Review for {report.environment}: {_range_words(report)}"
    if facts.relation in (Relation.IDENTICAL, Relation.BEHIND):
        return kit.message(escape(head), [kit.header(head), *_nothing(report, key)])
    blocks = [
        kit.header(head),
        *_not_seen(report),
        *kit.lines(list(_summary(report)), room=2400),
        *_hotfixes(report),
        *_strategy(facts),
        *found.blocks(facts),
        *_pulls(facts),
        *_remarks(facts),
        kit.context(_footer(report)),
        *kit.actions("review", review_buttons.under(report, key, reasons=_REASONS)),
    ]
    return kit.message(f"{escape(head)}. {_severity_words(facts)}", blocks)


def findings(facts: Review) -> kit.Message:
    """Show every finding with what it asks of the releaser (a private answer)."""
    everything = dict.fromkeys(Severity, len(facts.findings))
    body = found.blocks(facts, everything, room=kit.ROOM, full=True)
    text = f"{count(len(facts.findings), 'finding')} in {escape(_range(facts))}"
    return kit.message(text, [kit.section(f"*{text}*"), *(body or [kit.section("Nothing in this range stands out.")])])


def commits(facts: Review) -> kit.Message:
    """Show every commit of the range (a private answer)."""
    text = f"{count(len(facts.commits), 'commit')} in {escape(_range(facts))}"
    rows = [
        f"• {found.commit_link(facts, c.sha)} {escape(c.subject, 120)} – {escape(c.author, 40)}" for c in facts.commits
    ]
    body = kit.lines(rows, room=kit.ROOM, rest="… and {n} more: see the compare link.")
    return kit.message(text, [kit.section(f"*{text}*"), *body])


def why(facts: Review) -> kit.Message:
    """Give every reason for the recommended strategy (a private answer)."""
    text = f"Why {_strategy_name(facts)}, for {escape(_range(facts))}"
    rows = [_reason(facts, reason, 400) for reason in facts.strategy.reasons]
    return kit.message(text, [kit.section(f"*{text}*"), *kit.lines(rows, room=kit.ROOM)])


def rerun(done: Rerun) -> kit.Message:
    """Say what became of asking for failed jobs again (a private answer)."""
    started, running = (listing(code(one, 60) for one in names) for names in (done.started, done.running))
    if done.started:
        text = f"The failed jobs of {started} run again; the review follows them."
    elif done.running:
        text = f"{running} runs already; nothing was started twice. The review follows it."
    else:
        text = (
            "CircleCI shows no failed required job for this commit, so nothing was started. GitHub may hear of it late."
        )
    return kit.message(text, [kit.section(text)])


def merge(url: str) -> kit.Message:
    """Give the address of the merge's page once more (a private answer): not every Slack opens it by itself."""
    text = f"The merge is {link(url, 'on GitHub')}. {code('/release start')} makes it too, after asking you."
    return kit.message(text, [kit.section(text)])


def asking(environment: str) -> kit.Message:
    """Stand in for the review until Git has answered."""
    text = f"Review for {escape(environment)}: reading the repository …"
    return kit.message(text, [kit.section(text)])


def summary_lines(report: ReviewReport) -> list[str]:
    """Give the few lines that the plan preview repeats of a review."""
    return [*(line for line in _summary(report) if not line.startswith("*Version:*")), _severity_words(report.review)]


def _range_words(report: ReviewReport) -> str:
    facts = report.review
    if facts.relation in (Relation.IDENTICAL, Relation.BEHIND):
        return "nothing to release"
    proposed = f" towards {facts.version.proposed}" if facts.version.proposed else ""
    return f"{count(len(facts.commits), 'commit')}{proposed}{' (hotfix)' if report.hotfix else ''}"


def _range(facts: Review) -> str:
    return f"{facts.base.ref}…{facts.head.ref}"


def _nothing(report: ReviewReport, key: str) -> Iterator[Block]:
    facts = report.review
    head, base = code(facts.head.ref), code(facts.base.ref)
    yield from _not_seen(report)
    yield kit.section(
        f"{head} has no commit that {base} lacks, so there is nothing to release.\n"
        f"Once something is merged, ask again. To look at another range: {code('/release review BASE..HEAD')}."
    )
    if report.drift:
        yield kit.section("\n".join(around.drift_lines(report.drift)))
    yield from _hotfixes(report)
    yield kit.context(_footer(report))
    yield from kit.actions("review", [*review_buttons.since_live(report, key), *review_buttons.merge(report)])


def _not_seen(report: ReviewReport) -> list[Block]:
    """Put what could not be looked at first: a review that hides its gaps is worse than none."""
    spots = [*report.review.blind_spots]
    if report.checks_problem:
        spots.append(f"CI: {report.checks_problem}")
    if report.workflows_problem:
        spots.append(f"what CircleCI runs: {report.workflows_problem}")
    if report.drift and report.drift.refs_problem:
        spots.append(f"branch and newest tag: {report.drift.refs_problem}")
    if report.drift and report.drift.live_problem:
        spots.append(f"The server: {report.drift.live_problem}")
    if report.review.relation is Relation.DIVERGED:
        spots.append(
            f"{report.review.base.ref} has commits that {report.review.head.ref} lacks; findings are those since they parted."
        )
    rows = [f"• {escape(spot, 250)}" for spot in spots]
    return kit.lines(["*Not seen, so look yourself*", *rows], room=1500) if rows else []


def _summary(report: ReviewReport) -> Iterator[str]:
    facts = report.review
    people = {report.authors.get(pull.number, pull.author) for pull in facts.pull_requests} or {
        commit.author for commit in facts.commits
    }
    yield (
        f"*Range:* {link(facts.compare_url, _range(facts))} – {count(len(facts.commits), 'commit')}, "
        f"{count(len(facts.pull_requests), 'pull request')} by {count(len(people), 'author')}"
    )
    yield from around.ci_lines(report)
    proposed, current = facts.version.proposed, facts.version.current
    after = f" ({facts.version.bump} after {current})" if current else " (the first)"
    yield f"*Version:* {f'{proposed}{after}' if proposed else 'none to propose'}"
    if facts.version.milestone_candidates:
        shown = [f"“{escape(one, 80)}”" for one in facts.version.milestone_candidates[:3]]
        yield f"A milestone? {listing(shown)} might be one; raise the version yourself if so."
    if report.drift:
        yield from around.drift_lines(report.drift)
    yield from answers_line(report)


def _hotfixes(report: ReviewReport) -> list[Block]:
    """List what base has and head lacks: a release of head would undo it."""
    facts = report.review
    if not facts.lacking:
        return []
    base, head = escape(facts.base.ref, 60), escape(facts.head.ref, 60)
    what = f"Hotfixes on {base} that {head} lacks" if report.merge_url else f"On {base}, and not in {head}"
    rows = [f"*{what}* ({len(facts.lacking)})"]
    rows += [
        f"• {found.commit_link(facts, one.sha)} {escape(one.subject, 120)} – {escape(one.author, 40)}"
        for one in facts.lacking[:_HOTFIXES]
    ]
    if facts.lacking[_HOTFIXES:]:
        rows.append(f"… and {count(len(facts.lacking) - _HOTFIXES, 'more', 'more')}.")
    if report.merge_url:
        rows.append(
            f"{code('/release start')} merges them into {head} after asking you. To have CI see the merge first, open it now."
        )
    return kit.lines(rows, room=1600)


def _strategy_name(facts: Review) -> str:
    parts = f" with {listing(code(part) for part in facts.strategy.parts)}" if facts.strategy.parts else ""
    name = facts.strategy.recommended
    words = f"{STRATEGY[name]} ({code(name)})" if name in STRATEGY else code(name)
    return f"{words}{parts}"


def _strategy(facts: Review) -> list[Block]:
    reasons = facts.strategy.reasons
    rows = [_reason(facts, reason, 220) for reason in reasons[:_REASONS]]
    if reasons[_REASONS:]:
        rows.append(f"… and {count(len(reasons) - _REASONS, 'more reason')}; press Why this strategy.")
    return kit.lines([f"*Strategy:* {_strategy_name(facts)}, because", *rows], room=1400)


def _reason(facts: Review, reason: str, limit: int) -> str:
    """Show a reason; the place that it ends with is linked where a finding is there."""
    for one in facts.findings:
        if reason.endswith(place := f"({found.place(one)})"):
            words = escape(reason.removesuffix(place).rstrip(), limit)
            return f"• {words} – {found.linked(facts, one)}"
    return f"• {escape(reason, limit)}"


def _pulls(facts: Review) -> list[Block]:
    if not facts.pull_requests:
        return []
    root = found.web(facts)
    rows = [
        f"• {link(f'{root}/pull/{one.number}' if root else '', f'#{one.number}')} {escape(one.title, 110)}"
        for one in facts.pull_requests[:_PULLS]
    ]
    if facts.pull_requests[_PULLS:]:
        rows.append(f"… and {count(len(facts.pull_requests) - _PULLS, 'more', 'more')}; press All commits.")
    return kit.lines(["*Pull requests*", *rows], room=1800)


def _remarks(facts: Review) -> list[Block]:
    rows = [f"• {escape(one, 200)}" for one in facts.remarks[:4]]
    return kit.lines(["*Besides*", *rows], room=900) if rows else []


def _severity_words(facts: Review) -> str:
    counts = Counter(one.severity for one in facts.findings)
    if not counts:
        return "No findings."
    return f"Findings: {', '.join(f'{counts[one]} {one}' for one in reversed(Severity) if counts[one])}."


def _footer(report: ReviewReport) -> str:
    waiting = f"still asking {listing(escape(one, 40) for one in report.pending)} …" if report.pending else ""
    facts = report.review
    parts = [
        f"{escape(facts.head.ref, 60)} at {found.commit_link(facts, facts.head.sha)}",
        f"read {clock(report.made_at)}",
        around.following(report),
        waiting,
    ]
    return " · ".join(part for part in parts if part)
