"""Links and questions to authors in the database. Every method is one transaction; each raises `StoreUnavailable`."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.domain.asking import Asked, AuthorAnswer, Moment, Said
from bot.domain.errors import Conflict, WrongUse
from bot.domain.people import Link
from bot.domain.release import ReleaseState
from bot.engine import audit
from bot.engine.asking_tables import AskedPullRow, AuthorQuestionRow, InquiryRow, LinkRow
from bot.engine.codec import plan_in
from bot.engine.tables import ReleaseRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.people import Author
    from bot.engine.store import Store
    from bot.ports import Clock


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A thread in which authors are asked. Without ``thread`` its own message is the first one there."""

    id: str
    environment: str
    channel: str
    thread: str
    asked_by: str
    remind_at: datetime | None = None
    reminded: int = 0


def inquiry_id(environment: str, channel: str, thread: str, source: str) -> str:
    """Name the inquiry of a thread: the same however often it is asked there; without one, of a request."""
    place = [environment, channel, thread or source]
    return f"ask-{hashlib.sha256(repr(place).encode()).hexdigest()[:16]}"


class AuthorDesk:
    """Who authors are, what they were asked, and what they said (`bot.ports.AuthorQuestions`)."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def links(self) -> Mapping[str, str]:
        """Return who was linked: identity → Slack id."""
        async with self._store.reading() as session:
            return {row.identity: row.slack for row in await session.scalars(select(LinkRow))}

    async def linked(self) -> Sequence[Link]:
        """Return every link with who made it, in the order of the identities."""
        async with self._store.reading() as session:
            rows = await session.scalars(select(LinkRow).order_by(LinkRow.identity))
            return [Link(row.identity, row.slack, row.by, row.at) for row in rows]

    async def link(self, identity: str, *, slack: str, by: str) -> Sequence[Asked]:
        """Note who an author is; returns the open questions that are that person's from now on."""
        now = self._clock.now()
        async with self._store.writing() as session:
            values = {"slack": slack, "by": by, "at": now}
            new = self._insert(LinkRow, {"identity": identity, **values})
            await session.execute(new.on_conflict_do_update(index_elements=["identity"], set_=values))
            theirs = (AuthorQuestionRow.identity == identity, AuthorQuestionRow.closed_at.is_(None))
            changed = await session.scalars(
                update(AuthorQuestionRow)
                .where(*theirs, AuthorQuestionRow.slack != slack)
                .values(slack=slack)
                .returning(AuthorQuestionRow.id)
            )
            ids = list(changed)
            await self._event(session, "people.linked", by=by, data={"identity": identity, "slack": slack})
            return await _asked(session, AuthorQuestionRow.id.in_(ids))

    async def unlink(self, identity: str, *, by: str) -> None:
        """Forget who an author is; questions already asked stay that person's. Raises `Conflict` where there is no link."""
        async with self._store.writing() as session:
            row = await session.get(LinkRow, identity)
            if row is None:
                raise Conflict(f"{identity} is not linked to anybody; nothing was changed.", hint="/release people")
            await session.delete(row)
            await self._event(session, "people.unlinked", by=by, data={"identity": identity, "slack": row.slack})

    async def asked(self, *, environment: str, pulls: Sequence[int]) -> Sequence[Asked]:
        """Return every question about these pull requests, answered or not, oldest first."""
        about = select(AskedPullRow.question).where(
            AskedPullRow.environment == environment, AskedPullRow.number.in_(list(pulls))
        )
        async with self._store.reading() as session:
            return await _asked(session, AuthorQuestionRow.id.in_(about))

    async def ask(
        self,
        inquiry: Inquiry,
        authors: Sequence[tuple[Author, str]],
        *,
        paths: Mapping[str, int],
        by: str,
    ) -> Sequence[Asked]:
        """Ask each author (with the Slack id, empty where unknown) about the pull requests that nobody was asked about yet.

        Returns the questions that are new; asking the same again makes none.
        """
        now, new = self._clock.now(), list[str]()
        async with self._store.writing() as session:
            await audit.turn(session)  # of two that ask at once, the second one sees what the first one asked
            taken = await _taken(session, inquiry.environment)
            for author, slack in authors:
                pulls = [pull for pull in author.pulls if pull.number not in taken]
                if not pulls:
                    continue
                if not new:
                    row = {**asdict(inquiry), "asked_by": by, "asked_at": now}
                    await session.execute(self._insert(InquiryRow, row).on_conflict_do_nothing())
                numbers = {pull.number for pull in pulls}
                question = _question(inquiry, author, slack, by=by, now=now)
                question.paths = sorted(path for path, number in paths.items() if number in numbers)
                session.add(question)
                await session.flush()
                session.add_all(_about(question, pull.number, pull.title) for pull in pulls)
                new.append(question.id)
            if new:
                await self._wake(session, inquiry)
                await self._event(session, "authors.asked", by=by, data={"inquiry": inquiry.id, "questions": new})
            await session.flush()
            return await _asked(session, AuthorQuestionRow.id.in_(new))

    async def question(self, question: str) -> Asked:
        """Return a question; raises `WrongUse` for one that is not known."""
        async with self._store.reading() as session:
            return await _one(session, question)

    async def of_inquiry(self, inquiry: str) -> tuple[Inquiry, Sequence[Asked]]:
        """Return an inquiry and its questions, oldest first; raises `WrongUse` for one that is not known."""
        async with self._store.reading() as session:
            row = await session.get(InquiryRow, inquiry)
            if row is None:
                raise WrongUse("That question is not known.", hint="/release ask")
            return _inquiry(row), await _asked(session, AuthorQuestionRow.inquiry == inquiry)

    async def answer(self, question: str, answer: AuthorAnswer, *, source: str) -> tuple[Asked, bool]:
        """Take an answer; the first one counts. Returns the question as it stands, and whether this answer did.

        The same click told again (a bot that was killed right after taking it) counts still.
        """
        async with self._store.writing() as session:
            values = {"closed_at": answer.at, "answer": _answer_out(answer), "source": source}
            first: Any = await session.execute(
                update(AuthorQuestionRow)
                .where(AuthorQuestionRow.id == question, AuthorQuestionRow.closed_at.is_(None))
                .values(**values)
                .execution_options(synchronize_session=False)
            )
            asked = await _one(session, question)
            row = await session.get_one(AuthorQuestionRow, question)
            if first.rowcount:
                data = {"question": question, "said": answer.said, "on_behalf": answer.on_behalf}
                await self._event(session, "authors.answered", by=answer.by, data=data)
            return asked, row.source == source

    async def due(self) -> Sequence[Inquiry]:
        """Return the inquiries whose reminder is due, the longest first."""
        query = select(InquiryRow).where(InquiryRow.remind_at <= self._clock.now()).order_by(InquiryRow.remind_at)
        async with self._store.reading() as session:
            return [_inquiry(row) for row in await session.scalars(query)]

    async def move_reminder(self, inquiry: Inquiry, *, to: datetime | None) -> bool:
        """Set the next reminder, if nobody has meanwhile: of several replicas, one does."""
        async with self._store.writing() as session:
            moved: Any = await session.execute(
                update(InquiryRow)
                .where(InquiryRow.id == inquiry.id, InquiryRow.remind_at == inquiry.remind_at)
                .values(remind_at=to, reminded=InquiryRow.reminded + 1)
                .execution_options(synchronize_session=False)
            )
            return bool(moved.rowcount)

    async def close_released(self, inquiry: Inquiry) -> None:
        """Ask no more about what a whole release has shipped since: one that began after the question."""
        async with self._store.writing() as session:
            released = select(ReleaseRow).where(
                ReleaseRow.environment == inquiry.environment, ReleaseRow.state == ReleaseState.SUCCEEDED
            )
            begun = [
                row.created_at
                for row in await session.scalars(released)
                if not (plan := plan_in(row.plan)).partial and not plan.hotfix
            ]
            if begun:
                theirs = (AuthorQuestionRow.inquiry == inquiry.id, AuthorQuestionRow.asked_at < max(begun))
                still = update(AuthorQuestionRow).where(*theirs, AuthorQuestionRow.closed_at.is_(None))
                await session.execute(still.values(closed_at=self._clock.now()))

    async def _wake(self, session: AsyncSession, inquiry: Inquiry) -> None:
        """What is asked anew in a thread is reminded afresh there."""
        values = {"remind_at": inquiry.remind_at, "reminded": 0}
        await session.execute(update(InquiryRow).where(InquiryRow.id == inquiry.id).values(**values))

    def _insert(self, table: type[Any], values: Mapping[str, Any]) -> Any:
        return (sqlite.insert if self._store.sqlite else postgresql.insert)(table).values(**values)

    async def _event(self, session: AsyncSession, kind: str, *, by: str, data: Mapping[str, Any]) -> None:
        await audit.append(session, release=None, kind=kind, at=self._clock.now(), by=by, data=data)


async def _taken(session: AsyncSession, environment: str) -> set[int]:
    """Return the pull requests that were asked about."""
    query = select(AskedPullRow.number).where(AskedPullRow.environment == environment)
    return set((await session.scalars(query)).all())


async def _one(session: AsyncSession, question: str) -> Asked:
    found = await _asked(session, AuthorQuestionRow.id == question)
    if not found:
        raise WrongUse("That question is not known; nothing was changed.", hint="/release ask")
    return found[0]


async def _asked(session: AsyncSession, which: Any) -> tuple[Asked, ...]:
    query = select(AuthorQuestionRow).where(which).order_by(AuthorQuestionRow.asked_at, AuthorQuestionRow.identity)
    rows = (await session.scalars(query.execution_options(populate_existing=True))).all()
    about = select(AskedPullRow).where(AskedPullRow.question.in_([row.id for row in rows]))
    pulls: dict[str, list[tuple[int, str]]] = {row.id: [] for row in rows}
    for one in await session.scalars(about.order_by(AskedPullRow.number.desc())):
        pulls[one.question].append((one.number, one.title))
    return tuple(_view(row, tuple(pulls[row.id])) for row in rows)


def _view(row: AuthorQuestionRow, pulls: tuple[tuple[int, str], ...]) -> Asked:
    return Asked(
        id=row.id,
        inquiry=row.inquiry,
        environment=row.environment,
        identity=row.identity,
        name=row.name,
        slack=row.slack,
        pulls=pulls,
        paths=tuple(str(path) for path in row.paths),
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        answer=_answer_in(row.answer),
        closed_at=row.closed_at,
    )


def _question(inquiry: Inquiry, author: Author, slack: str, *, by: str, now: datetime) -> AuthorQuestionRow:
    return AuthorQuestionRow(
        id=f"A{uuid.uuid4().hex[:12]}",
        inquiry=inquiry.id,
        environment=inquiry.environment,
        identity=author.identity,
        name=author.name,
        slack=slack,
        asked_by=by,
        asked_at=now,
    )


def _about(question: AuthorQuestionRow, number: int, title: str) -> AskedPullRow:
    return AskedPullRow(environment=question.environment, number=number, question=question.id, title=title)


def _inquiry(row: InquiryRow) -> Inquiry:
    return Inquiry(row.id, row.environment, row.channel, row.thread, row.asked_by, row.remind_at, row.reminded)


def _answer_out(answer: AuthorAnswer) -> dict[str, Any]:
    return {**asdict(answer), "at": answer.at.isoformat()}


def _answer_in(stored: Mapping[str, Any] | None) -> AuthorAnswer | None:
    if stored is None:
        return None
    said, moment = Said(stored["said"]), Moment(stored["moment"])
    return AuthorAnswer(**{**stored, "said": said, "moment": moment, "at": datetime.fromisoformat(stored["at"])})
