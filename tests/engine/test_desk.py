"""What people may ask and decide, on both databases: the first answer counts, and everybody is answered."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from bot.domain.errors import Conflict, NotAllowed, ReleaseError, WrongUse
from bot.domain.plan import StepKind
from bot.domain.readmodel import Person
from bot.domain.release import Choice, DecisionKind, Question, ReleaseState
from bot.engine.desk import Desk
from bot.engine.store import Store
from bot.engine.tables import DecisionRow
from tests.engine.clock import BEGIN, FakeClock
from tests.engine.scripted import ADMIN, RELEASER, STRANGER, Bot, Files, opened, plan, running, steps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OTHER = Person("U04REL", "Other", frozenset({"releaser"}))
VIEWER = Person("U05VIEW", "Viewer", frozenset({"viewer"}))
PLAN = plan(("first", "file"), ("ask", "asking"), ("last", "file"))
QUESTION = Question("May I?", "", (Choice(DecisionKind.APPROVE, "Yes", value="yes"), Choice(DecisionKind.REJECT, "No")))


@asynccontextmanager
async def engine(url: str, files: Files) -> AsyncIterator[Bot]:
    async with opened(url, steps(files), clock=FakeClock()) as bot:
        yield bot


async def ask(bot: Bot) -> str:
    """Put a question, as the runner does."""
    ((number, fence),) = await bot.ledger.claim(("prod",), but=())
    book = bot.ledger.book(number, fence)
    await book.begin("first", retry=False)
    await book.ask("first", QUESTION)
    return (await bot.desk.release(f"R{number}")).questions[0].id


async def test_of_many_answers_at_once_one_counts_and_each_is_answered(url: str, files: Files) -> None:
    async with engine(url, files) as bot:
        await bot.start(PLAN)
        question = await ask(bot)
        people = [RELEASER, OTHER, ADMIN] * 3
        verdicts = await asyncio.gather(
            *(
                bot.desk.answer(question=question, kind=DecisionKind.APPROVE, by=one, value="yes", source=f"E{n}")
                for n, one in enumerate(people)
            )
        )
        assert [one.effective for one in verdicts].count(True) == 1
        first = people[[one.effective for one in verdicts].index(True)]
        assert all(first.slack in one.sentence for one in verdicts if not one.effective)
        ((asked),) = await bot.desk.questions("R1")
        assert asked.answer is not None
        assert asked.answer.by == first.slack
        async with bot.store.reading() as session:
            kept = (await session.scalars(select(DecisionRow.effective))).all()
        assert sorted(kept) == [False] * 8 + [True], "what came too late is kept as well"


@pytest.mark.parametrize("person", [STRANGER, VIEWER])
async def test_who_may_not_decide_changes_nothing(url: str, files: Files, person: Person) -> None:
    async with engine(url, files) as bot:
        number = await bot.start(PLAN)
        question = await ask(bot)
        with pytest.raises(NotAllowed, match="nothing was done"):
            await bot.desk.answer(question=question, kind=DecisionKind.APPROVE, by=person, value="yes")
        for kind in (DecisionKind.PAUSE, DecisionKind.ABORT, DecisionKind.RETRY, DecisionKind.SKIP):
            with pytest.raises(NotAllowed):
                await bot.desk.control(release=number, kind=kind, by=person, reason="x")
        release = await bot.desk.release(number)
        assert release.state is ReleaseState.RUNNING
        assert len(release.questions) == 1


async def test_only_an_offered_answer_is_taken(url: str, files: Files) -> None:
    async with engine(url, files) as bot:
        await bot.start(PLAN)
        question = await ask(bot)
        for kind, value in ((DecisionKind.DONE, ""), (DecisionKind.APPROVE, "something else"), (DecisionKind.SKIP, "")):
            with pytest.raises(WrongUse):
                await bot.desk.answer(question=question, kind=kind, by=ADMIN, value=value)
        with pytest.raises(WrongUse, match="not known"):
            await bot.desk.answer(question="Qnone", kind=DecisionKind.APPROVE, by=ADMIN)
        assert (await bot.desk.release("R1")).questions


async def test_of_two_starts_at_once_one_begins_and_the_other_is_told_who(url: str, files: Files) -> None:
    async with engine(url, files) as bot:
        tried = await asyncio.gather(
            *(bot.desk.start(plan=PLAN, checklist="", by=one.slack) for one in (RELEASER, OTHER, RELEASER, OTHER)),
            return_exceptions=True,
        )
        begun = [one for one in tried if not isinstance(one, BaseException)]
        assert len(begun) == 1
        refused = [one for one in tried if isinstance(one, BaseException)]
        assert all(isinstance(one, Conflict) and begun[0].started_by in one.message for one in refused), refused
        assert len(await bot.desk.history("prod", limit=10)) == 1


async def test_of_two_locks_at_once_one_is_taken(url: str, files: Files) -> None:
    async with engine(url, files) as bot:
        tried = await asyncio.gather(
            *(bot.desk.lock("prod", by=one, reason="mine") for one in (RELEASER, OTHER, ADMIN)), return_exceptions=True
        )
        assert sum(isinstance(one, Conflict) for one in tried) == 2
        assert sum(not isinstance(one, BaseException) for one in tried) == 1


async def test_a_lock_keeps_others_out_and_is_lent_to_its_owners_release(url: str, files: Files) -> None:
    async with engine(url, files) as bot:
        await bot.desk.lock("prod", by=RELEASER, reason="big import")
        with pytest.raises(Conflict, match="big import"):
            await bot.desk.start(plan=PLAN, checklist="", by=OTHER.slack)
        with pytest.raises(NotAllowed):
            await bot.desk.unlock("prod", by=OTHER)
        release = await bot.start(PLAN)
        with pytest.raises(Conflict, match=release):
            await bot.desk.unlock("prod", by=ADMIN)
        await bot.desk.control(release=release, kind=DecisionKind.ABORT, by=RELEASER, reason="no")
        lock = await bot.desk.lock_of("prod")
        assert lock is not None
        assert (lock.owner, lock.reason, lock.release) == (RELEASER.slack, "big import", "")
        await bot.desk.unlock("prod", by=ADMIN)
        assert await bot.desk.lock_of("prod") is None
        with pytest.raises(Conflict, match="not locked"):
            await bot.desk.unlock("prod", by=ADMIN)


async def test_answers_and_controls_and_the_runner_at_once_never_wait_for_each_other_in_a_ring(
    url: str, files: Files
) -> None:
    """Two people, a runner and a lock, all on the same rows at the same moment, many times over."""
    async with opened(url, steps(files)) as bot, running(bot):
        for round_ in range(6):
            number = await bot.start(PLAN)
            question = await bot.asked(number)
            said = await asyncio.gather(
                bot.desk.answer(question=question, kind=DecisionKind.APPROVE, by=RELEASER, value="yes"),
                bot.desk.control(release=number, kind=DecisionKind.ABORT, by=OTHER, reason=f"round {round_}"),
                bot.desk.control(release=number, kind=DecisionKind.SKIP, by=ADMIN, reason="skip"),
                bot.desk.control(release=number, kind=DecisionKind.PAUSE, by=OTHER),
                bot.desk.lock("staging", by=RELEASER, reason="x"),
                return_exceptions=True,
            )
            wrong = [one for one in said if isinstance(one, BaseException) and not isinstance(one, Conflict)]
            assert wrong == []
            release = await bot.finished(number)
            assert release.state in (ReleaseState.ABORTED, ReleaseState.SUCCEEDED)
            assert await bot.desk.lock_of("prod") is None


async def test_events_come_in_the_order_of_their_numbers_with_none_left_out(url: str, files: Files) -> None:
    """Many write at once, and a reader with a cursor must not step over a number that is committed later."""
    async with engine(url, files) as bot:
        seen: list[int] = []
        done = asyncio.Event()

        async def read() -> None:
            while True:
                last = done.is_set()
                seen.extend([one.id for one in await bot.desk.events(after=seen[-1] if seen else 0, limit=3)])
                if last and not await bot.desk.events(after=seen[-1], limit=1):
                    return
                await asyncio.sleep(0)

        async def write(name: str) -> None:
            for _ in range(5):
                await bot.desk.lock(name, by=RELEASER, reason="x")
                await bot.desk.unlock(name, by=RELEASER)

        reader = asyncio.create_task(read())
        await asyncio.gather(*(write(f"place{n}") for n in range(6)))
        done.set()
        await reader
        assert len(seen) == 60


async def test_the_last_commit_proved_live_is_that_of_a_full_release_that_proved_it(url: str, files: Files) -> None:
    proving = plan(("prove_live", "file"))
    async with opened(url, steps(files)) as bot, running(bot):
        assert await bot.desk.last_proved("prod") is None
        await bot.finished(await bot.start(plan(("first", "file"))))
        assert await bot.desk.last_proved("prod") is None
        await bot.finished(await bot.start(proving))
        assert await bot.desk.last_proved("prod") == ("b" * 40, "1.9.10")
        await bot.finished(await bot.start(replace(proving, head="c" * 40, tags=("sm-graphql",))))
        assert await bot.desk.last_proved("prod") == ("b" * 40, "1.9.10")
        assert await bot.desk.last_proved("staging") is None


async def test_the_confirmation_of_the_start_is_the_first_approval(url: str, files: Files) -> None:
    made = plan(("ask", "asking"))
    made = replace(made, steps=(replace(made.steps[0], kind=StepKind.APPROVAL),))
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.finished(await bot.start(made))
        assert release.steps[0].decided_by == RELEASER.slack
        assert files.done("ask") == ["R1-ask"]


async def test_a_release_reads_back_as_it_was_planned(url: str, files: Files) -> None:
    async with engine(url, files) as bot:
        number = await bot.start(PLAN)
        release = await bot.desk.release(number.lower())
        assert release.plan == PLAN
        assert release.plan.fingerprint == PLAN.fingerprint
        assert release.created_at == BEGIN
        await bot.desk.set_thread(number, channel="C1", thread="1.2")
        assert (await bot.desk.release(number)).thread == "1.2"
        first = await bot.desk.cursor("narrator")
        assert first == (0, 0)
        assert await bot.desk.move_cursor("narrator", since=first, to=5)
        assert not await bot.desk.move_cursor("narrator", since=first, to=3), "another one was faster"
        assert await bot.desk.cursor("narrator") == (5, 1)


@pytest.mark.parametrize("name", ["R2", "R", "", "7", "R7; DROP TABLE releases", "R99999999999999999999", "Rü", "R²"])
async def test_a_release_that_is_not_there_is_said(url: str, files: Files, name: str) -> None:
    async with engine(url, files) as bot:
        with pytest.raises(WrongUse):
            await bot.desk.release(name)


async def test_a_desk_tells_who_waits_at_once(url: str) -> None:
    async with Store(url) as store:
        desk = Desk(store, clock=FakeClock())
        rung = desk.bell.rung
        await desk.lock("prod", by=RELEASER, reason="x")
        async with asyncio.timeout(1):
            await desk.bell.wait(at_most=60, since=rung)
        waiting = asyncio.create_task(desk.bell.wait(at_most=60))
        await asyncio.sleep(0)
        desk.bell.ring()
        async with asyncio.timeout(1):
            await waiting


async def test_every_error_of_the_desk_is_one_for_people(url: str, files: Files) -> None:
    async with engine(url, files) as bot:
        for kind in DecisionKind:
            with pytest.raises(ReleaseError) as caught:
                await bot.desk.control(release="R404", kind=kind, by=ADMIN, reason="x")
            assert caught.value.hint
