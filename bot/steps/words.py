"""How steps say things: plain text, which views escape; only announcements are Slack's markup already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.views.text import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.domain.world import CommitInfo

SHORT = 8
MANY = 10


def short(sha: str) -> str:
    """Return a commit's id as people read it."""
    return sha[:SHORT]


def listed(words: Iterable[str], *, most: int = MANY) -> str:
    """Join with commas; the tail of a long list becomes a number."""
    every = list(words)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def spoken(seconds: float) -> str:
    """Return a duration in at most two units: ``4 min 10 s``."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def plain(text: str) -> str:
    """Make a line from outside harmless where Slack's markup is read: no mention, link, formatting or emoji comes of it."""
    return escape(text)


def commit_lines(commits: Sequence[CommitInfo]) -> str:
    """Return commits as lines for people, newest first."""
    lines = [f"• {short(one.sha)} {one.subject} ({one.author})" for one in commits[:MANY]]
    if len(commits) > MANY:
        lines.append(f"• and {len(commits) - MANY} more")
    return "\n".join(lines)
