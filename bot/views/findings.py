"""A review's findings, and the pages of commits and lines that they point at."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import quote

from bot.domain.findings import Severity
from bot.views import kit
from bot.views.text import code, escape, link, listing, sha

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slack_sdk.models.blocks import Block

    from bot.domain.findings import Finding
    from bot.domain.review import Review

_SHOWN = {Severity.BLOCKING: 8, Severity.ATTENTION: 6, Severity.INFO: 0}
_WORDS = {
    Severity.BLOCKING: "Blocking: deal with these first",
    Severity.ATTENTION: "Needs attention",
    Severity.INFO: "Good to know",
}
_NAMES = {"es": "Elasticsearch", "graphql": "GraphQL", "ansible": "Ansible", "docker": "Docker", "ci": "CI"}


def blocks(
    facts: Review, shown: Mapping[Severity, int] = _SHOWN, *, room: int = 3600, full: bool = False
) -> list[Block]:
    """List findings by gravity, so many of each; ``full`` with what they ask of the releaser."""
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
    row = f"• {_kind(one.kind)}{subject} – {linked(facts, one, whole=full)}"
    if one.detail:
        row += f": {escape(one.detail, 300 if full else 160)}"
    if full and one.action:
        row += f" *Do:* {escape(one.action, 300)}"
    return row


def place(one: Finding) -> str:
    """Name the file and line of a finding."""
    return f"{one.path}:{one.line}" if one.line else one.path


def linked(facts: Review, one: Finding, *, whole: bool = False) -> str:
    """Link to a finding's line. Unless the ``whole`` path is wanted, folder and file name it: a phone shows no more in a row."""
    page, name = blob(facts, one), place(one)
    nearest = "/".join(name.split("/")[-2:])
    return link(page, name if whole or not page or nearest == name else f"…/{nearest}", 120)


def _kinds(group: Sequence[Finding]) -> str:
    return listing(f"{n} × {_kind(kind)}" for kind, n in Counter(one.kind for one in group).items())


def _kind(kind: str) -> str:
    first, _, rest = kind.partition("_")
    return f"{_NAMES.get(first, first)} {rest.replace('_', ' ')}".strip()


def web(facts: Review) -> str:
    """Give the repository's page; empty where it is unknown."""
    return facts.compare_url.partition("/compare/")[0]


def commit_link(facts: Review, commit: str) -> str:
    """Show a commit, with its page where that is known."""
    root = web(facts)
    return link(f"{root}/commit/{commit}", commit[:8]) if root else sha(commit)


def blob(facts: Review, one: Finding) -> str:
    """Give the page of a finding's line in the head."""
    root = web(facts)
    line = f"#L{one.line}" if one.line else ""
    return f"{root}/blob/{facts.head.sha}/{quote(one.path)}{line}" if root else ""
