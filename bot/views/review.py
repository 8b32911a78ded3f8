"""The review: what is about to ship and what it will need. The summary is the message; evidence comes on demand."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import quote

from bot.domain.changes import Relation
from bot.domain.findings import Severity
from bot.views import facts as around
from bot.views import ids, kit
from bot.views.authors import answers_line
from bot.views.states import STRATEGY
from bot.views.text import clock, code, count, escape, link, listing, sha, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slack_sdk.models.blocks import Block, ButtonElement

    from bot.domain.findings import Finding
    from bot.domain.report import Rerun, ReviewReport
    from bot.domain.review import Review

_SHOWN = {Severity.BLOCKING: 8, Severity.ATTENTION: 6, Severity.INFO: 0}
_WORDS = {
    Severity.BLOCKING: "Blocking: deal with these first",
    Severity.ATTENTION: "Needs attention",
    Severity.INFO: "Good to know",
}
_PULLS = 8
_REASONS = 4
_HOTFIXES = 5
_NAMES = {"es": "Elasticsearch", "graphql": "GraphQL", "ansible": "Ansible", "docker": "Docker", "ci": "CI"}


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
        *_findings(facts, _SHOWN),
        *_pulls(facts),
        *_remarks(facts),
        kit.context(_footer(report)),
        *kit.actions("review", _buttons(report, key)),
    ]
    return kit.message(f"{escape(head)}. {_severity_words(facts)}", blocks)


def findings(facts: Review) -> kit.Message:
    """Show every finding with what it asks of the releaser (a private answer)."""
    everything = dict.fromkeys(Severity, len(facts.findings))
    body = _findings(facts, everything, room=kit.ROOM, full=True)
    text = f"{count(len(facts.findings), 'finding')} in {escape(_range(facts))}"
    return kit.message(text, [kit.section(f"*{text}*"), *(body or [kit.section("Nothing in this range stands out.")])])


def commits(facts: Review) -> kit.Message:
    """Show every commit of the range (a private answer)."""
    text = f"{count(len(facts.commits), 'commit')} in {escape(_range(facts))}"
    rows = [f"• {_commit_link(facts, c.sha)} {escape(c.subject, 120)} – {escape(c.author, 40)}" for c in facts.commits]
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
    yield from kit.actions("review", [*_since_live(report, key), *_merge(report)])


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
        f"• {_commit_link(facts, one.sha)} {escape(one.subject, 120)} – {escape(one.author, 40)}"
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
        if reason.endswith(place := f"({_place(one)})"):
            words = escape(reason.removesuffix(place).rstrip(), limit)
            return f"• {words} – {link(_blob(facts, one), _place(one), 120)}"
    return f"• {escape(reason, limit)}"


def _findings(facts: Review, shown: dict[Severity, int], *, room: int = 3600, full: bool = False) -> list[Block]:
    rows: list[str] = []
    for severity in reversed(Severity):
        group = [one for one in facts.findings if one.severity is severity]
        if not group:
            continue
        limit = shown[severity]
        if not limit:
            rows.append(f"*{_WORDS[severity]}:* {_kinds(group)}")
            continue
        rows.append(f"*{_WORDS[severity]}* ({len(group)})")
        rows += [_finding(facts, one, full=full) for one in group[:limit]]
        if group[limit:]:
            rows.append(f"… and {_kinds(group[limit:])}")
    return kit.lines(rows, room=room, rest="… and {n} more lines; press All findings.")


def _finding(facts: Review, one: Finding, *, full: bool) -> str:
    subject = "" if one.subject == one.path else f" {code(one.subject, 80)}"
    row = f"• {_kind(one.kind)}{subject} – {link(_blob(facts, one), _place(one), 120)}"
    if one.detail:
        row += f": {escape(one.detail, 300 if full else 160)}"
    if full and one.action:
        row += f" *Do:* {escape(one.action, 300)}"
    return row


def _place(one: Finding) -> str:
    return f"{one.path}:{one.line}" if one.line else one.path


def _kinds(group: Sequence[Finding]) -> str:
    return listing(f"{n} × {_kind(kind)}" for kind, n in Counter(one.kind for one in group).items())


def _kind(kind: str) -> str:
    first, _, rest = kind.partition("_")
    return f"{_NAMES.get(first, first)} {rest.replace('_', ' ')}".strip()


def _pulls(facts: Review) -> list[Block]:
    if not facts.pull_requests:
        return []
    root = _web(facts)
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
        f"{escape(facts.head.ref, 60)} at {_commit_link(facts, facts.head.sha)}",
        f"read {clock(report.made_at)}",
        around.following(report),
        waiting,
    ]
    return " · ".join(part for part in parts if part)


def _buttons(report: ReviewReport, key: str) -> list[ButtonElement]:
    facts, value = report.review, _value(report, key)
    buttons = [
        *([kit.button("Start a release …", ids.REVIEW_START, value)] if report.releasable else []),
        kit.button(f"All commits ({len(facts.commits)})", ids.REVIEW_COMMITS, value),
    ]
    if facts.findings:
        buttons.append(kit.button(f"All findings ({len(facts.findings)})", ids.REVIEW_FINDINGS, value))
    if facts.strategy.reasons[_REASONS:]:
        buttons.append(kit.button("Why this strategy", ids.REVIEW_WHY, value))
    if facts.pull_requests:
        buttons.append(kit.button("Ask authors", ids.REVIEW_ASK, value))
    return [*buttons, *_rerun(report, value), *_since_live(report, key), *_merge(report)]


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


def _since_live(report: ReviewReport, key: str) -> list[ButtonElement]:
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


def _merge(report: ReviewReport) -> list[ButtonElement]:
    return [kit.url_button("Open the merge", ids.REVIEW_MERGE, report.merge_url)] if report.merge_url else []


def _web(facts: Review) -> str:
    return facts.compare_url.partition("/compare/")[0]


def _commit_link(facts: Review, commit: str) -> str:
    root = _web(facts)
    return link(f"{root}/commit/{commit}", commit[:8]) if root else sha(commit)


def _blob(facts: Review, one: Finding) -> str:
    root = _web(facts)
    line = f"#L{one.line}" if one.line else ""
    return f"{root}/blob/{facts.head.sha}/{quote(one.path)}{line}" if root else ""
