"""Approvals on both databases: who counts, what voids them, what is told, and that nothing is done before."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from sqlalchemy import select, update

from bot.domain.approval import BREAK_GLASS
from bot.domain.errors import Conflict, NotAllowed, WrongUse
from bot.domain.plan import StepKind
from bot.domain.readmodel import Person
from bot.domain.release import DecisionKind, ReleaseState, StepState
from bot.engine.codec import plan_out
from bot.engine.step import Condition
from bot.engine.tables import DecisionRow, ReleaseRow
from tests.engine.scripted import (
    ADMIN,
    APPROVER,
    RELEASER,
    Bot,
    Files,
    FileStep,
    approved,
    opened,
    plan,
    running,
    steps,
)

if TYPE_CHECKING:
    from bot.domain.readmodel import Decided, OpenQuestion, ReleaseView
    from bot.domain.release import DecisionKind as Kind
    from bot.engine.step import Step, StepContext

OTHER = Person("U06APP", "Other", frozenset({"approver"}))
VIEWER = Person("U07VIE", "Viewer", frozenset({"viewer"}))
APPROVE, REJECT = DecisionKind.APPROVE, DecisionKind.REJECT
PLAN = plan(("first", "file"), ("hard", "file"), ("last", "file"))
TWO = approved(PLAN, "hard", count=2)


async def asked(bot: Bot, release: str, *, but: str = "") -> OpenQuestion:
    seen = await bot.until(release, lambda one: any(q.id != but for q in one.questions))
    return next(q for q in seen.questions if q.id != but)


async def says(bot: Bot, question: str, by: Person, kind: Kind = APPROVE, **more: Any) -> Decided:
    return await bot.desk.answer(question=question, kind=kind, by=by, **more)


async def kinds(bot: Bot) -> list[str]:
    return [event.kind for event in await bot.desk.events(after=0, limit=500)]


async def facts(bot: Bot, kind: str) -> list[Any]:
    return [event.data for event in await bot.desk.events(after=0, limit=500) if event.kind == kind]


async def test_two_people_are_waited_for_and_each_has_a_decision_of_their_own(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.start(TWO)
        question = await asked(bot, release)
        assert question.step == "hard"
        assert files.done("hard") == []
        assert (await says(bot, question.id, APPROVER)).effective
        with pytest.raises(Conflict, match="another person"):
            await says(bot, question.id, APPROVER)
        with pytest.raises(NotAllowed, match="You started"):
            await says(bot, question.id, RELEASER)
        with pytest.raises(NotAllowed, match="role approver"):
            await says(bot, question.id, VIEWER)
        seen = await bot.until(release, lambda one: bool(one.questions and one.questions[0].approvals))
        assert [one.by for one in seen.questions[0].approvals] == [APPROVER.slack]
        assert files.done("hard") == []
        assert (await says(bot, question.id, OTHER)).effective
        end = await bot.finished(release)
        assert end.state is ReleaseState.SUCCEEDED
        assert files.all() == {"first": 1, "hard": 1, "last": 1}
        assert (await says(bot, question.id, ADMIN)).effective is False
        async with bot.store.reading() as session:
            kept = (await session.execute(select(DecisionRow.by, DecisionRow.effective).order_by(DecisionRow.id))).all()
        assert [tuple(one) for one in kept] == [(APPROVER.slack, True), (OTHER.slack, True), (ADMIN.slack, False)]
        assert [kind for kind in await kinds(bot) if kind.startswith("approval")] == [
            "approval.given",
            "approval.given",
            "approval.complete",
        ]


async def test_of_many_presses_at_once_each_voice_counts_once(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.start(TWO)
        question = await asked(bot, release)
        people = [APPROVER, OTHER, APPROVER, OTHER, APPROVER, RELEASER]
        said = await asyncio.gather(*(says(bot, question.id, one) for one in people), return_exceptions=True)
        assert sum(1 for one in said if not isinstance(one, BaseException) and one.effective) == 2
        assert (await bot.finished(release)).state is ReleaseState.SUCCEEDED
        assert len(files.done("hard")) == 1


async def test_the_first_no_closes_it_and_a_retry_asks_afresh(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.start(TWO)
        question = await asked(bot, release)
        await says(bot, question.id, APPROVER)
        await says(bot, question.id, RELEASER, REJECT, reason="not today")
        seen = await bot.until(release, lambda one: one.state is ReleaseState.STOPPED)
        assert seen.current is not None
        assert seen.current.problem is not None
        assert "not today" in seen.current.problem.message
        assert (await says(bot, question.id, OTHER)).effective is False
        await bot.desk.control(release=release, kind=DecisionKind.RETRY, by=RELEASER)
        again = await asked(bot, release)
        assert again.id != question.id
        assert again.approvals == ()
        assert files.done("hard") == []


async def test_the_version_is_typed_where_the_policy_asks_for_it(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.start(approved(PLAN, "hard", typed=True))
        question = await asked(bot, release)
        assert question.question.choices[0].form == "typed_version"
        for form in (None, {"typed": "1.9.1"}):
            with pytest.raises(WrongUse, match="typed out"):
                await says(bot, question.id, APPROVER, form=form)
        await says(bot, question.id, APPROVER, form={"typed": "1.9.10"})
        assert (await bot.finished(release)).state is ReleaseState.SUCCEEDED


async def test_an_approval_that_has_expired_is_asked_for_again_and_a_fresh_one_is_kept(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.start(approved(PLAN, "hard", count=2, expires=0.3))
        question = await asked(bot, release)
        await says(bot, question.id, APPROVER)
        again = await asked(bot, release, but=question.id)
        assert again.approvals == ()
        assert "expired" in again.question.detail
        (void,) = await facts(bot, "approval.voided")
        assert APPROVER.slack in void["why"]
        old = {one.opened.id: one for one in await bot.desk.questions(release)}[question.id]
        assert "expired" in old.void
        assert (await says(bot, question.id, OTHER)).effective is False
        assert files.done("hard") == []


def guarded(files: Files, holds: dict[str, bool]) -> dict[str, Step]:
    async def look(_ctx: StepContext) -> bool:
        return holds["CI is green"]

    class Guarded(FileStep):
        id: ClassVar[str] = "guarded"
        holds: ClassVar[tuple[Condition, ...]] = (Condition("CI is green", look),)

    return {**steps(files), "guarded": Guarded(files)}


async def test_a_predicate_gone_false_at_the_press_voids_the_approval_and_is_named(url: str, files: Files) -> None:
    holds = {"CI is green": False}
    made = approved(plan(("first", "file"), ("hard", "guarded")), "hard", count=2)
    async with opened(url, guarded(files, holds)) as bot, running(bot):
        release = await bot.start(made)
        question = await asked(bot, release)
        assert "CI is green" in question.question.basis
        await says(bot, question.id, APPROVER)
        again = await asked(bot, release, but=question.id)
        assert again.approvals == ()
        assert "no longer true: CI is green" in again.question.detail
        assert (await facts(bot, "approval.voided")) == [
            {"question": question.id, "why": "no longer true: CI is green"}
        ]
        holds["CI is green"] = True
        await says(bot, again.id, APPROVER)
        await says(bot, again.id, OTHER)
        assert (await bot.finished(release)).state is ReleaseState.SUCCEEDED


async def test_a_predicate_gone_false_right_before_the_effect_voids_it_too(url: str, files: Files) -> None:
    looks = iter([True, False])
    holds = {"CI is green": True}

    async def look(_ctx: StepContext) -> bool:
        return next(looks, holds["CI is green"])

    class Guarded(FileStep):
        id: ClassVar[str] = "guarded"
        holds: ClassVar[tuple[Condition, ...]] = (Condition("aliases point at yin", look),)

    made = approved(
        plan(
            ("hard", "guarded"),
        ),
        "hard",
    )
    async with opened(url, {**steps(files), "guarded": Guarded(files)}) as bot, running(bot):
        release = await bot.start(made)
        question = await asked(bot, release)
        await says(bot, question.id, APPROVER)
        again = await asked(bot, release, but=question.id)
        assert "aliases point at yin" in again.question.detail
        assert files.done("hard") == []
        await says(bot, again.id, APPROVER)
        await bot.finished(release)
        assert len(files.done("hard")) == 1


async def test_a_changed_plan_voids_what_was_approved_and_names_the_fact(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.start(TWO)
        question = await asked(bot, release)
        await says(bot, question.id, APPROVER)
        other = replace(TWO, head="c" * 40)
        async with bot.store.writing() as session:
            values = {"plan": plan_out(other), "fingerprint": other.fingerprint}
            await session.execute(update(ReleaseRow).values(**values))
        bot.desk.bell.ring()
        again = await asked(bot, release, but=question.id)
        assert "the commit changed from bbbbbbbb to cccccccc" in again.question.detail
        assert again.approvals == ()
        await says(bot, again.id, APPROVER)
        await says(bot, again.id, OTHER)
        assert (await bot.finished(release)).state is ReleaseState.SUCCEEDED


async def test_an_admin_breaks_the_glass_alone_with_version_and_reason_where_it_may_be(url: str, files: Files) -> None:
    made = approved(approved(PLAN, "hard", count=2), "last", count=1, break_glass=False)
    glass: dict[str, Any] = {"value": BREAK_GLASS, "reason": "the site is down", "form": {"typed": "1.9.10"}}
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.start(made, by=ADMIN.slack)
        question = await asked(bot, release)
        with pytest.raises(NotAllowed, match="admin"):
            await says(bot, question.id, APPROVER, **glass)
        with pytest.raises(WrongUse, match="reason"):
            await says(bot, question.id, ADMIN, **{**glass, "reason": ""})
        with pytest.raises(WrongUse, match="typed out"):
            await says(bot, question.id, ADMIN, **{**glass, "form": None})
        assert (await says(bot, question.id, ADMIN, **glass)).effective
        last = await asked(bot, release, but=question.id)
        assert len(files.done("hard")) == 1
        assert BREAK_GLASS not in {one.value for one in last.question.choices}
        with pytest.raises(WrongUse, match="no answer"):
            await says(bot, last.id, ADMIN, **glass)
        (told,) = await facts(bot, "approval.broken_glass")
        assert (told["reason"], told["fingerprint"]) == ("the site is down", made.fingerprint)


async def test_who_stands_in_counts_as_the_other_and_never_for_the_starter(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        soon = bot.site.clock.now() + timedelta(hours=1)
        starter = Person(RELEASER.slack, "Releaser", frozenset({"releaser", "approver"}))
        await bot.desk.delegate(of=starter, to=VIEWER, until=soon)
        release = await bot.start(approved(PLAN, "hard"))
        question = await asked(bot, release)
        with pytest.raises(NotAllowed, match="stand in for"):
            await says(bot, question.id, VIEWER)
        await bot.desk.delegate(of=APPROVER, to=VIEWER, until=soon, reason="on holiday")
        assert [one.of for one in await bot.desk.delegations(VIEWER.slack)] == [APPROVER.slack, RELEASER.slack]
        assert await bot.desk.end_delegation(of=APPROVER, to=VIEWER.slack) == 1
        with pytest.raises(NotAllowed):
            await says(bot, question.id, VIEWER)
        await bot.desk.delegate(of=APPROVER, to=VIEWER, until=soon)
        said = await says(bot, question.id, VIEWER)
        assert APPROVER.slack in said.sentence
        await bot.finished(release)
        (given,) = await facts(bot, "approval.given")
        assert given["voice"] == APPROVER.slack


async def test_those_who_must_act_are_reminded_once_in_a_while(url: str, files: Files) -> None:
    async with opened(url, steps(files), facts={"remind_every": 0.2}) as bot, running(bot):
        release = await bot.start(TWO)
        question = await asked(bot, release)
        async with asyncio.timeout(20):
            while len(reminded := await facts(bot, "approval.reminded")) < 2:
                await bot.desk.bell.wait(at_most=0.1)
        assert {one["question"] for one in reminded} == {question.id}
        assert (await bot.desk.release(release)).steps[1].state is StepState.WAITING
        await says(bot, question.id, APPROVER)
        await says(bot, question.id, OTHER)
        await bot.finished(release)


async def test_a_persons_word_counts_only_once_the_approvals_are_there(url: str, files: Files) -> None:
    made = plan(("ask", "asking"), ("last", "file"))
    made = replace(made, steps=tuple(replace(s, kind=StepKind.APPROVAL) if s.key == "ask" else s for s in made.steps))
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.start(approved(made, "ask"))
        files.do("ask", f"{release}-ask")  # the step's check says done from now on
        question = await asked(bot, release)
        seen: ReleaseView = await bot.desk.release(release)
        assert seen.steps[0].state is not StepState.DONE
        await says(bot, question.id, APPROVER)
        assert (await bot.finished(release)).state is ReleaseState.SUCCEEDED


async def test_a_takeover_in_the_middle_loses_no_approval(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot:
        async with running(bot):
            release = await bot.start(TWO)
            question = await asked(bot, release)
            await says(bot, question.id, APPROVER)
        await says(bot, question.id, OTHER)
        await bot.ledger.free_all()
        async with running(bot):
            assert (await bot.finished(release)).state is ReleaseState.SUCCEEDED
        assert files.all() == {"first": 1, "hard": 1, "last": 1}
