"""Who wrote what is released: authors on GitHub and in Git, and which person in Slack each of them is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.errors import WrongUse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from bot.domain.changes import Commit
    from bot.domain.report import ReviewReport
    from bot.domain.review import PullRequest

# The address that GitHub gives people who hide theirs: https://docs.github.com/account-and-profile/reference/email-addresses-reference
_NOREPLY = re.compile(r"(?:\d+\+)?([a-z\d-]+(?:\[bot\])?)@users\.noreply\.github\.com", re.IGNORECASE)
_LOGIN = re.compile(r"[a-z\d](?:[a-z\d-]{0,38})", re.IGNORECASE)
_EMAIL = re.compile(r"[^\s@<>|,;]{1,64}@[^\s@<>|,;]{1,180}\.[^\s@<>|,;]{2,63}")
_LONGEST = 320  # characters of an e-mail address; Git takes anything for one
_GHOST = "ghost"  # GitHub's name for a deleted account: nobody
_SLACK = re.compile(r"(?:<@)?([UW][A-Z0-9]{2,20})(?:\|[^>]*)?>?")


class How(StrEnum):
    """How a person was found, the surest first."""

    LINK = "linked"  # somebody said so
    SETTINGS = "settings"  # the settings name the GitHub login or the e-mail
    EMAIL = "e-mail"  # the Slack profile has the e-mail of the commits


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody who wrote pull requests of a range. ``identity`` is the GitHub login, else the commits' e-mail, in small letters."""

    identity: str
    name: str
    emails: tuple[str, ...] = ()
    pulls: tuple[PullRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """Somebody said who an author is."""

    identity: str
    slack: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Match:
    """The person in Slack, and how we know."""

    slack: str
    how: How


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that tells who an author is, each identity or e-mail (in small letters) → Slack id."""

    links: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)  # logins and e-mails
    profiles: Mapping[str, str] = field(default_factory=dict)  # e-mails that Slack was asked for


def match(author: Author, known: Known) -> Match | None:
    """A stored link wins, then the settings, then the e-mail of the Slack profile; else somebody has to be asked."""
    marks = (author.identity, *author.emails)
    for how, found in ((How.LINK, known.links), (How.SETTINGS, known.settings), (How.EMAIL, known.profiles)):
        for mark in marks:
            if slack := found.get(mark):
                return Match(slack, how)
    return None


def suggest(author: Author, members: Iterable[tuple[str, str]], *, most: int) -> tuple[tuple[str, str], ...]:
    """Return the (Slack id, name) of who may be the author, the likeliest name first: a person chooses, we only sort."""

    def likeness(name: str) -> float:
        pairs = ((name.lower(), mark.partition("@")[0].lower()) for mark in (author.name, author.identity))
        return max(SequenceMatcher(None, *pair).ratio() for pair in pairs)

    return tuple(sorted(members, key=lambda one: (-likeness(one[1]), one[1], one[0]))[:most])


def authors_of(report: ReviewReport) -> tuple[Author, ...]:
    """Return who wrote the pull requests of a review, the newest first; bots (Dependabot) are nobody to ask.

    GitHub's login is taken where GitHub told it, else the one in the commit's noreply address, else the address itself.
    """
    commits = {commit.sha: commit for commit in report.review.commits}
    found: dict[str, Author] = {}
    for pull in report.review.pull_requests:
        commit = commits.get(pull.sha)
        identity = identity_of(report.authors.get(pull.number, ""), commit)
        if not identity or is_bot(identity):
            continue
        before = found.get(identity) or Author(identity, pull.author)
        found[identity] = Author(identity, before.name, _with_email(before.emails, commit), (*before.pulls, pull))
    return tuple(found.values())


def identity_of(login: str, commit: Commit | None) -> str:
    """Return the login, or what the commit says in its place; empty where nothing is known."""
    if login and login.lower() != _GHOST:
        return login.lower()
    email = commit.author_email.strip().lower() if commit else ""
    return login_in(email) or email[:_LONGEST]


def login_in(email: str) -> str:
    """Return the login in an address that GitHub gave, ``12345+login@users.noreply.github.com``; empty in any other."""
    found = _NOREPLY.fullmatch(email.strip())
    return found[1].lower() if found else ""


def is_bot(identity: str) -> bool:
    """GitHub marks the accounts of apps."""
    return identity.endswith("[bot]")


def read_identity(text: str) -> str:
    """Read what a person typed for an author, a login (with or without @) or an e-mail; raises `WrongUse`."""
    plain = text.strip().removeprefix("@").lower()
    if login := login_in(plain):
        plain = login
    if is_bot(plain):
        raise WrongUse(f"{plain[:60]} is a bot: there is nobody to link.", hint="/release people")
    if _LOGIN.fullmatch(plain) or _EMAIL.fullmatch(plain):
        return plain
    raise WrongUse(
        f"{text[:60]!r} is neither a GitHub login nor an e-mail address; nothing was changed.",
        hint="/release people link LOGIN @person",
    )


def read_slack(text: str) -> str:
    """Read a mention as Slack writes it (``<@U123|name>``) or a plain Slack id; raises `WrongUse`."""
    if found := _SLACK.fullmatch(text.strip()):
        return found[1]
    raise WrongUse(
        f"{text[:60]!r} is no mention of a person and no Slack id; nothing was changed.",
        hint="choose the person from the list that opens after @, or type the id (U…) of their profile",
    )


def settings_of(people: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return what the settings say of people: (Slack id, GitHub login, e-mail) each; the first one listed wins."""
    found: dict[str, str] = {}
    for slack, *marks in people:
        for mark in marks:
            if mark:
                found.setdefault(mark.lower(), slack)
    return found


def _with_email(emails: tuple[str, ...], commit: Commit | None) -> tuple[str, ...]:
    email = commit.author_email.strip().lower() if commit else ""
    return emails if not email or email in emails or login_in(email) else (*emails, email)
