"""Questions to authors: what must be done by hand for their pull requests, and what becomes of the answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.findings import Finding, Kind
from bot.domain.people import authors_of, match
from bot.domain.planning import ManualStep

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from zoneinfo import ZoneInfo

    from bot.domain.people import Known
    from bot.domain.report import ReviewReport

_UNKNOWN_MOMENT = "The review cannot know whether this must come before or after the deploy, so it stands before the start: ask its author."
_BEFORE, _AFTER = "Its author: before the deploy.", "Its author: after the deploy."


class Said(StrEnum):
    """What an author answers."""

    NOTHING = "nothing"  # by hand
    YES = "yes"


class Moment(StrEnum):
    """When something is done by hand."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class AuthorAnswer:
    """An answer. ``on_behalf``: a releaser gave it in the author's place. The last three are a yes's own."""

    said: Said
    by: str  # Slack id
    at: datetime
    on_behalf: bool = False
    what: str = ""
    moment: Moment = Moment.BEFORE
    how: str = ""  # commands or instructions, several lines


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to one author about some pull requests (number, title). ``closed_at`` without an answer: nobody need answer."""

    id: str
    inquiry: str  # the thread that it was asked in
    environment: str
    identity: str
    name: str
    slack: str  # empty while nobody knows who the author is in Slack
    pulls: tuple[tuple[int, str], ...]
    paths: tuple[str, ...]  # migrations and scripts that these pull requests bring
    asked_by: str
    asked_at: datetime
    answer: AuthorAnswer | None = None
    closed_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether an answer is still wanted."""
        return self.closed_at is None

    @property
    def numbers(self) -> str:
        """The pull requests in words: ``#11, #12``."""
        return ", ".join(f"#{number}" for number, _ in self.pulls)


@dataclass(frozen=True, slots=True)
class Reminding:
    """When authors are reminded: at a time of day, on working days (Monday is 0), at most so many times."""

    at: time
    zone: ZoneInfo
    days: frozenset[int]
    most: int

    def next(self, after: datetime, *, reminded: int) -> datetime | None:
        """Return the next moment, on a later working day than ``after``; None when it was often enough."""
        if reminded >= self.most or not self.days:
            return None
        day = after.astimezone(self.zone).date()
        for ahead in range(1, 8):
            wanted = day + timedelta(days=ahead)
            if wanted.weekday() in self.days:
                return datetime.combine(wanted, self.at, tzinfo=self.zone)
        return None


def open_ones(asked: Iterable[Asked]) -> tuple[Asked, ...]:
    """Return the questions that nobody has answered."""
    return tuple(one for one in asked if one.open)


def yes_ones(asked: Iterable[Asked]) -> tuple[Asked, ...]:
    """Return the questions answered with something to do by hand."""
    return tuple(one for one in asked if one.answer and one.answer.said is Said.YES)


def manual_steps(report: ReviewReport, known: Known) -> tuple[ManualStep, ...]:
    """Return what people do by hand in this release: each migration and script by hand, then each author's yes.

    A new script whose author says that nothing is to be done by hand is no step: its author knows what it is for. A migration
    stays one, with the answer in its note.
    """
    of_pull = {number: one for one in report.asked or () for number, _ in one.pulls}
    people = _people(report, known)
    found = [*_of_findings(report, of_pull, people)]
    found += [_of_answer(one, one.answer) for one in yes_ones(report.asked or ()) if one.answer]
    return tuple(found)


def _people(report: ReviewReport, known: Known) -> Mapping[int, str]:
    """Pull request → Slack id of its author, where known."""
    found: dict[int, str] = {}
    for author in authors_of(report):
        if one := match(author, known):
            found |= {pull.number: one.slack for pull in author.pulls}
    return found | {number: one.slack for one in report.asked or () if one.slack for number, _ in one.pulls}


def _of_findings(report: ReviewReport, of_pull: Mapping[int, Asked], people: Mapping[int, str]) -> Iterator[ManualStep]:
    for finding in report.review.of_kind(Kind.ENGINE_MIGRATION, Kind.ENGINE_SCRIPT):
        pull = report.brought.get(finding.path, 0)
        asked = of_pull.get(pull)
        answer = asked.answer if asked else None
        nothing = answer is not None and answer.said is Said.NOTHING
        if not finding.manual or (nothing and finding.kind is Kind.ENGINE_SCRIPT):
            continue
        yield ManualStep(
            text=f"{_verb(finding)} {finding.path.rsplit('/', 1)[-1]}{f' (#{pull})' if pull else ''}",
            after_deploy=bool(answer and answer.said is Said.YES and answer.moment is Moment.AFTER),
            assignee=_mention(people.get(pull, "")),
            note="\n".join(line for line in (finding.path, finding.detail, _moment_of(answer)) if line),
        )


def _verb(finding: Finding) -> str:
    return "Run the migration" if finding.kind is Kind.ENGINE_MIGRATION else "Run the new script"


def _moment_of(answer: AuthorAnswer | None) -> str:
    if answer is None:
        return _UNKNOWN_MOMENT
    if answer.said is Said.NOTHING:
        return "Its author says that nothing is to be done by hand: make sure that it has been run."
    return _AFTER if answer.moment is Moment.AFTER else _BEFORE


def _of_answer(asked: Asked, answer: AuthorAnswer) -> ManualStep:
    who = f"on behalf of {asked.name}" if answer.on_behalf else f"by {asked.name}"
    return ManualStep(
        text=f"{answer.what} ({asked.numbers})",
        after_deploy=answer.moment is Moment.AFTER,
        assignee=_mention(asked.slack),
        note="\n".join(line for line in (answer.how, f"Asked for {who}.") if line),
    )


def _mention(slack: str) -> str:
    return f"<@{slack}>" if slack else ""
