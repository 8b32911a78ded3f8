"""Asking authors, on both databases: once each, first answer counts, nothing is lost or repeated by a kill."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from bot.domain.asking import Moment, Reminding, Said, open_ones
from bot.domain.errors import Conflict, NotAllowed, Unavailable, WrongUse
from bot.domain.people import How
from bot.domain.readmodel import Person
from bot.domain.release import ReleaseState
from bot.domain.review import PullRequest
from bot.engine.author_desk import AuthorDesk
from bot.engine.authors import Authors
from bot.engine.codec import plan_out
from bot.engine.store import Store
from bot.engine.tables import EventRow, ReleaseRow
from bot.settings import PersonSettings
from bot.slack.outbox import Wish
from bot.slack.store import SqlMessages
from bot.views.limits import message_faults
from tests.domain.test_people import commit
from tests.engine.clock import FakeClock
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.asking import Asked
    from bot.domain.report import ReviewReport

ADA, BO = Person("U06ADA", "Ada", frozenset({"viewer"})), Person("U07BOL", "<@U07BOL>")
RELEASER, VIEWER = (
    Person("U01REL", "Releaser", frozenset({"releaser"})),
    Person("U03VIE", "Viewer", frozenset({"viewer"})),
)
PEOPLE = (PersonSettings(slack="U06ADA", name="Ada", github="ada"),)
DAILY = Reminding(time(10), ZoneInfo("UTC"), frozenset(range(5)), 3)
COMMITS = (
    commit(11, "Ada Keller", "ada@users.noreply.github.com"),
    commit(12, "Bo Lindqvist", "bo@example.org"),
    commit(13, "Chen Wu", "chen@users.noreply.github.com"),
    commit(14, "Ada Keller", "ada@users.noreply.github.com"),
)


@dataclass
class Directory:
    """Slack's people; ``calls`` counts how often it was asked."""

    profiles: dict[str, str] = field(default_factory=lambda: {"bo@example.org": "U07BOL"})
    calls: int = 0
    trouble: Exception | None = None

    async def members(self) -> list[tuple[str, str]]:
        return [("U01REL", "Renata Releaser"), ("U08CHE", "Chen Wu"), ("U06ADA", "Ada Keller")]

    async def by_email(self, email: str) -> str:
        self.calls += 1
        if self.trouble:
            raise self.trouble
        return self.profiles.get(email, "")


@dataclass
class Messages:
    """The outbox's table, in the same database; every message is held against Slack's limits."""

    store: SqlMessages
    broken: bool = False

    async def put(
        self, key: str, *, text: str, blocks: Any = None, channel: str = "", thread_key: str = "", thread: str = ""
    ) -> None:
        if self.broken:
            raise Unavailable("killed here")
        assert message_faults(text, blocks or []) == []
        await self.store.put(key, Wish(text, blocks or [], channel, thread_key, thread))

    async def every(self) -> dict[str, Any]:
        return {row.key: row for row in await self.store.pending()}


@dataclass
class Replica:
    """One bot: a store, and everything over it."""

    store: Store
    clock: FakeClock
    directory: Directory = field(default_factory=Directory)

    def __post_init__(self) -> None:
        self.messages = Messages(SqlMessages(self.store, clock=self.clock))
        self.desk = AuthorDesk(self.store, clock=self.clock)
        self.authors = Authors(self.desk, self.directory, self.messages, PEOPLE, self.clock, DAILY)

    async def ask(self, report: ReviewReport, *, thread: str = "17.5", source: str = "E1") -> tuple[Asked, ...]:
        return (await self.authors.ask(report, by="U01REL", channel="C01DEV", thread=thread, source=source)).new

    async def said(self, question: Asked, by: Person, source: str, said: Said = Said.NOTHING) -> Any:
        return await self.authors.answer(question.id, by=by, said=said, source=source, what="Fill the colours")

    async def events(self) -> list[str]:
        async with self.store.reading() as session:
            return list(await session.scalars(select(EventRow.kind).order_by(EventRow.id)))


@asynccontextmanager
async def replica(url: str, clock: FakeClock | None = None) -> AsyncIterator[Replica]:
    async with Store(url) as store:
        yield Replica(store, clock or FakeClock())


@pytest.fixture
async def bot(url: str) -> AsyncIterator[Replica]:
    async with replica(url) as one:
        yield one


def report(count: int = 4, **changes: Any) -> ReviewReport:
    commits = COMMITS[:count]
    pulls = tuple(PullRequest(int(one.sha, 16), f"Title {int(one.sha, 16)}", one.author, one.sha) for one in commits)
    return worlds.report(review=worlds.review(commits=commits, pull_requests=pulls), **changes)


def about(asked: tuple[Asked, ...]) -> dict[str, list[int]]:
    return {one.identity: [number for number, _ in one.pulls] for one in asked}


async def test_each_author_is_asked_once_in_the_thread_and_mentioned_where_known(bot: Replica) -> None:
    new = await bot.ask(report(brought={"metaspace/engine/scripts/x.py": 14}))
    assert about(new) == {"ada": [14, 11], "bo@example.org": [12], "chen": [13]}
    assert {one.identity: one.slack for one in new} == {"ada": "U06ADA", "bo@example.org": "U07BOL", "chen": ""}
    written = await bot.messages.every()
    assert set(written) == {one.id for one in new} | {new[0].inquiry}
    assert {row.wish.thread for row in written.values()} == {"17.5"}
    texts = {one.identity: written[one.id].wish for one in new}
    assert "<@U06ADA>" in texts["ada"].text
    assert "scripts/x.py" in str(texts["ada"].blocks)
    assert "<@" not in texts["chen"].text
    assert await bot.events() == ["authors.asked"]


async def test_a_longer_range_asks_only_what_is_new_and_the_same_again_nothing(bot: Replica) -> None:
    first = await bot.ask(report(2), thread="17.5")
    assert await bot.ask(report(2), thread="18.5", source="E2") == ()
    second = await bot.ask(report(4), thread="18.5", source="E3")
    assert about(first) == {"ada": [11], "bo@example.org": [12]}
    assert about(second) == {"ada": [14], "chen": [13]}
    every = await bot.desk.asked(environment="prod", pulls=[11, 12, 13, 14])
    assert len(every) == 4
    assert await bot.desk.asked(environment="staging", pulls=[11]) == (), "another environment asks for itself"


async def test_without_a_review_the_questions_have_a_thread_of_their_own(bot: Replica) -> None:
    new = await bot.ask(report(2), thread="")
    written = await bot.messages.every()
    assert written[new[0].inquiry].wish.thread_key == ""
    assert {written[one.id].wish.thread_key for one in new} == {new[0].inquiry}


async def test_of_two_that_ask_at_once_each_pull_request_is_asked_about_once(url: str) -> None:
    async with replica(url) as one:
        other = await Store(url).open() if not one.store.sqlite else one.store
        bots = [one, Replica(other, one.clock)] * 3
        asked = await asyncio.gather(
            *(bot.ask(report(), thread=f"{n}.5", source=f"E{n}") for n, bot in enumerate(bots))
        )
        numbers = [number for new in asked for question in new for number, _ in question.pulls]
        assert sorted(numbers) == [11, 12, 13, 14]
        if other is not one.store:
            await other.close()


async def test_killed_between_the_rows_and_the_messages_the_same_request_brings_them(bot: Replica) -> None:
    bot.messages.broken = True
    with pytest.raises(Unavailable):
        await bot.ask(report(), thread="", source="E1")
    assert await bot.messages.every() == {}
    bot.messages.broken = False
    assert await bot.ask(report(), thread="", source="E1") == (), "nobody is asked again"
    assert len(await bot.messages.every()) == 4, "the thread's first message and three questions"


async def test_slack_that_cannot_be_asked_leaves_people_unknown_and_says_why(bot: Replica) -> None:
    bot.directory.trouble = Unavailable("Slack does not answer.", hint="Wait.")
    found = await bot.authors.matched(report())
    assert found.problem == "Slack does not answer. Wait."
    assert [one.identity for one in found.unknown] == ["bo@example.org", "chen"]
    assert found.suggested == {}
    bot.directory.trouble = None
    assert (await bot.authors.matched(report())).suggested["chen"][0] == ("U08CHE", "Chen Wu")
    assert [(one.how if one else None) for _, one in (await bot.authors.matched(report())).people] == [
        How.SETTINGS,
        How.EMAIL,
        None,
    ]


async def test_the_author_answers_or_a_releaser_in_their_place_and_nobody_else(bot: Replica) -> None:
    ada, bo, chen = sorted(await bot.ask(report()), key=lambda one: one.identity)
    for one, who in ((ada, BO), (bo, ADA), (chen, VIEWER)):
        with pytest.raises(NotAllowed) as caught:
            await bot.said(one, who, "E9")
        assert caught.value.hint
    assert (await bot.said(ada, ADA, "E2", Said.YES)).effective
    assert (await bot.said(bo, BO, "E3")).effective, "who is not on the list of people answers for their own"
    assert (await bot.said(chen, RELEASER, "E4")).effective
    answers = {one.identity: one.answer for one in await bot.desk.asked(environment="prod", pulls=[11, 12, 13])}
    assert {name: one and (one.said, one.by, one.on_behalf) for name, one in answers.items()} == {
        "ada": (Said.YES, "U06ADA", False), "bo@example.org": (Said.NOTHING, "U07BOL", False),
        "chen": (Said.NOTHING, "U01REL", True),
    }  # fmt: skip
    with pytest.raises(WrongUse):
        await bot.said(replace(ada, id="Anothing"), RELEASER, "E5")


async def test_of_many_answers_at_once_one_counts_and_the_others_are_told_whose(bot: Replica) -> None:
    ada = next(one for one in await bot.ask(report()) if one.identity == "ada")
    people = [ADA, RELEASER] * 3
    verdicts = await asyncio.gather(*(bot.said(ada, one, f"S{n}") for n, one in enumerate(people)))
    assert [one.effective for one in verdicts].count(True) == 1
    first = people[[one.effective for one in verdicts].index(True)]
    assert all(
        f"<@{first.slack}>" in one.sentence and "changed nothing" in one.sentence
        for one in verdicts
        if not one.effective
    )
    assert (await bot.events()).count("authors.answered") == 1
    block = str((await bot.messages.every())[ada.id].wish.blocks)
    assert "ask:nothing" not in block, "the buttons are gone"


async def test_answers_at_once_leave_messages_that_show_them_all(bot: Replica) -> None:
    asked = await bot.ask(report())
    await asyncio.gather(*(bot.said(one, RELEASER, f"S{one.id}") for one in asked))
    written = await bot.messages.every()
    assert "3 answered, 0 open" in written[asked[0].inquiry].wish.text
    assert not any("ask:nothing" in str(written[one.id].wish.blocks) for one in asked)


async def test_killed_right_after_an_answer_was_taken_the_same_click_still_counts(bot: Replica) -> None:
    ada = next(one for one in await bot.ask(report()) if one.identity == "ada")
    bot.messages.broken = True
    with pytest.raises(Unavailable):
        await bot.said(ada, ADA, "S1")
    bot.messages.broken = False
    again = await bot.said(ada, ADA, "S1")
    assert again.effective
    assert (await bot.events()).count("authors.answered") == 1
    assert "nothing by hand" in (await bot.messages.every())[ada.id].wish.text


async def test_a_yes_keeps_what_when_and_how(bot: Replica) -> None:
    (ada,) = await bot.ask(report(1))
    how = "psql -c 'select 1'\n<!channel> rm -rf / ; $(id)"
    await bot.authors.answer(ada.id, by=ADA, said=Said.YES, source="S1", what=" Fill <@U1> ", moment="after", how=how)
    (asked,) = await bot.desk.asked(environment="prod", pulls=[11])
    assert asked.answer
    assert (asked.answer.what, asked.answer.moment, asked.answer.how) == ("Fill <@U1>", Moment.AFTER, how)
    assert asked.answer.at == bot.clock.now()
    shown = (await bot.messages.every())[ada.id].wish
    assert "<!channel>" not in str(shown.blocks)
    assert "<@U1>" not in str(shown)


async def test_a_link_wins_gives_open_questions_to_the_person_and_is_told_where_it_is_noticed(bot: Replica) -> None:
    chen = next(one for one in await bot.ask(report()) if one.identity == "chen")
    assert await bot.authors.link("chen", slack="U08CHE", by="U01REL") == 1
    assert await bot.authors.link("chen", slack="U08CHE", by="U01REL") == 0, "again changes nothing"
    written = await bot.messages.every()
    assert "<@U08CHE>" in written[chen.id].wish.text
    assert "<@U08CHE>" in written[f"{chen.inquiry}:U08CHE"].wish.text
    assert (await bot.said(chen, Person("U08CHE", "Chen"), "S1")).effective
    await bot.authors.link("ada", slack="U09NEW", by="U01REL")
    assert [(one.identity, one.slack, one.by) for one in await bot.authors.linked()] == [
        ("ada", "U09NEW", "U01REL"),
        ("chen", "U08CHE", "U01REL"),
    ]
    assert [found and found.slack for _, found in (await bot.authors.matched(report())).people] == [
        "U09NEW",
        "U07BOL",
        "U08CHE",
    ]
    await bot.authors.unlink("ada", by="U01REL")
    assert [found and found.how for _, found in (await bot.authors.matched(report(1))).people] == [How.SETTINGS]
    with pytest.raises(Conflict, match="not linked"):
        await bot.authors.unlink("ada", by="U01REL")
    assert (await bot.events())[-1] == "people.unlinked"


def reminders(written: dict[str, Any]) -> list[str]:
    return sorted(key.rsplit(":", 1)[1] for key in written if key.startswith("ask-") and key[-3:-2] == "-")


async def test_open_questions_are_reminded_once_a_working_day_until_it_is_enough(bot: Replica) -> None:
    ada, *_ = await bot.ask(report())
    assert await bot.authors.remind() == 0
    for _ in range(24 * 9):
        await bot.clock.advance(3600)
        await bot.authors.remind()
    written = await bot.messages.every()
    assert reminders(written) == ["2026-11-24", "2026-11-25", "2026-11-26"]
    text = written[f"{ada.inquiry}:2026-11-24"].wish.text
    assert "<@U06ADA>" in text
    assert "Chen Wu" in text


async def test_who_has_answered_is_not_reminded_and_with_nobody_left_nothing_is(bot: Replica) -> None:
    asked = await bot.ask(report())
    await bot.said(asked[0], RELEASER, "S1")
    await bot.clock.advance(24 * 3600)
    assert await bot.authors.remind() == 1
    assert asked[0].name not in (await bot.messages.every())[f"{asked[0].inquiry}:2026-11-24"].wish.text
    for one in asked[1:]:
        await bot.said(one, RELEASER, f"S{one.id}")
    await bot.clock.advance(24 * 3600)
    assert await bot.authors.remind() == 0
    assert await bot.desk.due() == []


async def test_of_several_replicas_one_moves_the_reminder_on_and_one_message_stands(url: str) -> None:
    async with replica(url) as one:
        other = await Store(url).open() if not one.store.sqlite else one.store
        bots = [one, Replica(other, one.clock)] * 3
        await one.ask(report())
        await one.clock.advance(24 * 3600)
        assert sum(await asyncio.gather(*(bot.authors.remind() for bot in bots))) == 1
        assert len(reminders(await one.messages.every())) == 1
        if other is not one.store:
            await other.close()


async def test_killed_between_the_reminder_and_its_next_time_it_is_neither_lost_nor_repeated(
    bot: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.ask(report())
    await bot.clock.advance(24 * 3600)

    async def killed(*_: Any, **__: Any) -> bool:
        raise Unavailable("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(AuthorDesk, "move_reminder", killed)
        with pytest.raises(Unavailable):
            await bot.authors.remind()
    before = await bot.messages.every()
    assert await bot.authors.remind() == 1
    after = await bot.messages.every()
    assert {key: row.wanted for key, row in before.items()} == {key: row.wanted for key, row in after.items()}


async def released(bot: Replica, created_at: datetime, state: ReleaseState, **plan: Any) -> None:
    made = worlds.plan(**plan)
    async with bot.store.writing() as session:
        session.add(
            ReleaseRow(
                environment="prod", state=state, plan=plan_out(made), fingerprint=made.fingerprint,
                started_by="U01REL", created_at=created_at,
            )
        )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "plan", "closed"),
    [
        (ReleaseState.SUCCEEDED, {}, True),
        (ReleaseState.ABORTED, {}, False),
        (ReleaseState.SUCCEEDED, {"hotfix": True}, False),
        (ReleaseState.SUCCEEDED, {"tags": ("sm-api",)}, False),
    ],
)
async def test_what_a_whole_release_has_shipped_since_is_asked_no_more(
    bot: Replica,
    state: ReleaseState,
    plan: dict[str, Any],
    closed: bool,  # noqa: FBT001  # a case of the table
) -> None:
    asked = await bot.ask(report())
    await released(bot, bot.clock.now() + timedelta(minutes=5), state, **plan)
    await bot.clock.advance(24 * 3600)
    await bot.authors.remind()
    every = await bot.desk.asked(environment="prod", pulls=[11, 12, 13, 14])
    assert (open_ones(every) == ()) is closed
    if closed:
        assert "ask:nothing" not in str((await bot.messages.every())[asked[0].id].wish.blocks)
        late = await bot.said(asked[0], ADA, "S1")
        assert not late.effective
        assert "without an answer" in late.sentence


async def test_a_release_from_before_the_question_closes_nothing(bot: Replica) -> None:
    await released(bot, bot.clock.now() - timedelta(days=1), ReleaseState.SUCCEEDED)
    await bot.ask(report())
    await bot.clock.advance(24 * 3600)
    assert await bot.authors.remind() == 1
