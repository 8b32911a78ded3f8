"""Asking authors: finds out who they are, asks each once, takes answers, reminds. Messages go through the outbox by their keys."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from bot.domain.asking import Asked, AuthorAnswer, Moment, Said, open_ones
from bot.domain.errors import NotAllowed, ReleaseError
from bot.domain.people import Author, Known, Match, authors_of, match, settings_of, suggest
from bot.domain.readmodel import Decided
from bot.engine.author_desk import AuthorDesk, Inquiry, inquiry_id
from bot.views import authors as views

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.domain.asking import Reminding
    from bot.domain.people import Link
    from bot.domain.readmodel import Person
    from bot.domain.report import ReviewReport
    from bot.ports import Clock
    from bot.settings import PersonSettings
    from bot.views.kit import Message

_MOST_LOOKED_UP = 30  # e-mails a request: Slack allows some 50 a minute
_CHOICES = 10  # people offered for an unknown author
_IN_OTHERS_PLACE = frozenset({"releaser", "admin"})


class Directory(Protocol):
    """Slack's people (`bot.slack.directory.SlackDirectory`)."""

    async def by_email(self, email: str) -> str:
        """Return the Slack id of who has that e-mail, empty for nobody."""

    async def members(self) -> Sequence[tuple[str, str]]:
        """Return (Slack id, name) of the people here."""

    async def zone(self, slack: str) -> str:
        """Return the IANA name of somebody's time zone, empty where it is not known."""


class Outbox(Protocol):
    """Where messages go (`bot.slack.outbox.Outbox`): put again under its key, a message is edited."""

    async def put(
        self,
        key: str,
        *,
        text: str,
        blocks: Sequence[Mapping[str, Any]] | None = None,
        channel: str = "",
        thread_key: str = "",
        thread: str = "",
    ) -> None:
        """Store what the message of this key is to look like."""


@dataclass(frozen=True, slots=True)
class Matched:
    """The authors of a range and who they are; ``problem`` says why Slack could not be asked.

    ``suggested``: for each identity that is unknown, the (Slack id, name) of who it may be.
    """

    people: tuple[tuple[Author, Match | None], ...]
    problem: str = ""
    suggested: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    @property
    def unknown(self) -> tuple[Author, ...]:
        """Those whom nobody has been matched with."""
        return tuple(author for author, found in self.people if found is None)


@dataclass(frozen=True, slots=True)
class Inquired:
    """What asking came to: the questions that are new, and all about this range."""

    matched: Matched
    new: tuple[Asked, ...]
    every: tuple[Asked, ...]


@dataclass(slots=True)
class Authors:
    """What commands and the timer ask about authors."""

    desk: AuthorDesk
    directory: Directory
    outbox: Outbox
    people: Sequence[PersonSettings]
    clock: Clock
    reminding: Reminding
    _drawing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def known(self) -> Known:
        """Return what is known without asking Slack."""
        return known_of(self.people, await self.desk.links())

    async def linked(self) -> Sequence[Link]:
        """Return every stored link."""
        return await self.desk.linked()

    async def matched(self, report: ReviewReport) -> Matched:
        """Match the authors of a review; those that links and settings do not know are looked up in Slack by e-mail."""
        known, found = await self.known(), authors_of(report)
        emails = [email for one in found if match(one, known) is None for email in one.emails]
        profiles, problem = await self._profiles(emails)
        known = replace(known, profiles=profiles)
        matched = Matched(tuple((one, match(one, known)) for one in found), problem)
        return await self._suggesting(matched) if matched.unknown and not problem else matched

    async def ask(self, report: ReviewReport, *, by: str, channel: str, thread: str, source: str) -> Inquired:
        """Ask each author of a review about what nobody was asked about yet, in the thread or, without one, in a new one."""
        matched = await self.matched(report)
        inquiry = Inquiry(
            id=inquiry_id(report.environment, channel, thread, source),
            environment=report.environment,
            channel=channel,
            thread=thread,
            asked_by=by,
            remind_at=self.reminding.next(self.clock.now(), reminded=0),
        )
        people = [(author, found.slack if found else "") for author, found in matched.people]
        new = await self.desk.ask(inquiry, people, paths=report.brought, by=by)
        numbers = [pull.number for pull in report.review.pull_requests]
        every = await self.desk.asked(environment=report.environment, pulls=numbers)
        for one in dict.fromkeys(asked.inquiry for asked in every):
            await self.draw(one)
        return Inquired(matched, tuple(new), tuple(every))

    async def draw(self, inquiry: str) -> None:
        """Put an inquiry's messages into the outbox as they stand: what is wanted already changes nothing."""
        async with self._drawing:  # an older state never overtakes a newer one
            found, questions = await self.desk.of_inquiry(inquiry)
            await self._put(found, found.id, views.inquiry(questions), first=True)
            for one in questions:
                await self._put(found, one.id, views.question(one))

    async def answer(
        self, question: str, *, by: Person, said: Said, source: str, what: str = "", moment: str = "", how: str = ""
    ) -> Decided:
        """Take an answer from the author, or from a releaser in the author's place; the first one counts."""
        asked = await self.desk.question(question)
        on_behalf = demand_author(asked, by)
        answer = AuthorAnswer(
            said, by.slack, self.clock.now(), on_behalf, what.strip(), Moment(moment or Moment.BEFORE), how.strip()
        )
        now, effective = await self.desk.answer(question, answer, source=source)
        await self.draw(now.inquiry)
        return Decided(effective=effective, sentence=views.taken(now) if effective else views.late(now))

    async def link(self, identity: str, *, slack: str, by: str) -> int:
        """Note who an author is; returns how many open questions are now that person's, who is told of each thread."""
        theirs = await self.desk.link(identity, slack=slack, by=by)
        for inquiry in dict.fromkeys(one.inquiry for one in theirs):
            await self.draw(inquiry)
            found, questions = await self.desk.of_inquiry(inquiry)
            mine = [one for one in open_ones(questions) if one.identity == identity]
            # An edit mentions nobody in Slack: only a message of its own is noticed.
            await self._put(found, f"{inquiry}:{slack}", views.found(mine))
        return len(theirs)

    async def unlink(self, identity: str, *, by: str) -> None:
        """Forget who an author is; raises `Conflict` where there is no link."""
        await self.desk.unlink(identity, by=by)

    async def remind(self) -> int:
        """Remind of every open question whose time has come; returns how many threads were.

        The message is put before the time moves on, under a key that names the time: a kill in between neither loses nor
        repeats it, and of several replicas all say the same.
        """
        reminded = 0
        for inquiry in await self.desk.due():
            await self.desk.close_released(inquiry)
            await self.draw(inquiry.id)
            _, questions = await self.desk.of_inquiry(inquiry.id)
            still = open_ones(questions)
            if still and inquiry.remind_at:
                await self._put(inquiry, f"{inquiry.id}:{inquiry.remind_at:%Y-%m-%d}", views.reminder(still))
            after = self.reminding.next(self.clock.now(), reminded=inquiry.reminded + 1) if still else None
            reminded += await self.desk.move_reminder(inquiry, to=after) and bool(still)
        return reminded

    async def _suggesting(self, matched: Matched) -> Matched:
        try:
            members = await self.directory.members()
        except ReleaseError as error:
            return replace(matched, problem=f"{error.message} {error.hint}".strip())
        return replace(
            matched, suggested={one.identity: suggest(one, members, most=_CHOICES) for one in matched.unknown}
        )

    async def _profiles(self, emails: Sequence[str]) -> tuple[dict[str, str], str]:
        found: dict[str, str] = {}
        for email in emails[:_MOST_LOOKED_UP]:
            try:
                if slack := await self.directory.by_email(email):
                    found[email] = slack
            except ReleaseError as error:
                return found, f"{error.message} {error.hint}".strip()
        return found, ""

    async def _put(self, inquiry: Inquiry, key: str, message: Message, *, first: bool = False) -> None:
        """Put a message into the inquiry's thread; without a review's thread, its own first message begins one."""
        await self.outbox.put(
            key,
            text=message.text,
            blocks=message.blocks,
            channel=inquiry.channel,
            thread=inquiry.thread,
            thread_key="" if first or inquiry.thread else inquiry.id,
        )


def known_of(people: Sequence[PersonSettings], links: Mapping[str, str]) -> Known:
    """Put together what links and settings say of people."""
    return Known(links=links, settings=settings_of((one.slack, one.github, one.email) for one in people))


def demand_author(asked: Asked, person: Person) -> bool:
    """Tell whether the person answers in the author's place; raises `NotAllowed` for who is neither author nor releaser."""
    if asked.slack and asked.slack == person.slack:
        return False
    if person.roles & _IN_OTHERS_PLACE:
        return True
    raise NotAllowed(
        f"This question is for {asked.name}; nothing was changed.",
        hint="let them answer, or a releaser in their place; if you are they: ask a releaser for /release people link",
    )
