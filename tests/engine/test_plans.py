"""Plans that people change: what the runner does then, what is kept of it, and which click comes too late. On both databases."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from bot.domain.edits import Assign, Insert, LeaveOut, Move, Note, left_out
from bot.domain.errors import Conflict, NotAllowed, WrongUse
from bot.domain.plan import StepKind
from bot.domain.release import DecisionKind, ReleaseState, StepState
from bot.engine import audit
from bot.engine.tables import ReleaseRow
from tests.engine.scripted import (
    APPROVER,
    RELEASER,
    STORY,
    STRANGER,
    Bot,
    Files,
    approved,
    in_a_process_of_its_own,
    opened,
    plan,
    running,
    steps,
)

if TYPE_CHECKING:
    from bot.domain.edits import Edit
    from bot.domain.readmodel import Person, ReleaseView

PLAN = plan(("first", "asking"), ("second", "file"), ("third", "file"), ("last", "file"))


async def change(bot: Bot, release: str, *edits: Edit, by: Person = RELEASER) -> None:
    for edit in edits:
        seen = (await bot.desk.release(release)).plan.revision
        await bot.plans.edit(release, edit, by=by, seen=seen, source=f"E{seen} C1/17.3")


async def yes(bot: Bot, release: str) -> None:
    (asked,) = (await bot.until(release, lambda one: bool(one.questions))).questions
    first = asked.question.choices[0]
    await bot.desk.answer(question=asked.id, kind=first.kind, by=RELEASER, value=first.value)


def ended(release: ReleaseView) -> list[str]:
    done = [one for one in release.steps if one.state is StepState.DONE and one.finished_at]
    return [one.key for one in sorted(done, key=lambda one: one.finished_at or release.created_at)]


async def test_the_runner_goes_through_the_plan_as_it_was_changed(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.start(PLAN)
        await bot.asked(release)
        await change(
            bot,
            release,
            Insert("Look at an ion image", before="second", person="U05ADA", name="Ada"),
            LeaveOut("third", "not needed today"),
            Move("last", "second"),
            Note("second", "slowly"),
        )
        await yes(bot, release)
        seen = await bot.until(release, lambda one: any(q.step == "added_1" for q in one.questions))
        assert "For: <@U05ADA>" in seen.questions[0].question.detail
        await yes(bot, release)
        end = await bot.finished(release)
    assert end.state is ReleaseState.SUCCEEDED
    assert [one.key for one in end.steps] == ["first", "added_1", "last", "second", "third"]
    assert ended(end) == ["first", "added_1", "last", "second"]
    skipped = end.steps[-1]
    assert (skipped.state, skipped.reason, skipped.decided_by) == (
        StepState.SKIPPED,
        "not needed today",
        RELEASER.slack,
    )
    assert files.all() == {"first": 1, "second": 1, "last": 1}
    assert end.plan.revision == 4


async def test_every_change_is_an_event_with_who_what_and_which_message(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot:
        release = await bot.start(PLAN)
        await change(bot, release, Move("last", "second"))
        async with bot.store.reading() as session:
            row = await session.scalar(select(ReleaseRow))
        seen = await bot.desk.release(release)
        assert row is not None
        assert row.fingerprint == seen.plan.fingerprint != PLAN.fingerprint
    lines = [one async for one in audit.export(url, release=1)]
    (told,) = [one for one in lines if one["what"] == "plan.edited"]
    assert (told["who"], told["step"], told["from"]) == (
        RELEASER.slack,
        "last",
        {"request": "E0", "channel": "C1", "message": "17.3"},
    )
    assert told["data"]["said"] == "moved “Step last” before “Step second”"
    assert told["data"]["edit"] == {"kind": "move", "key": "last", "before": "second"}
    assert told["data"]["fingerprint"] == seen.plan.fingerprint
    assert json.loads(json.dumps(told)) == told


async def test_a_click_on_an_older_version_and_on_what_has_begun_is_refused_and_changes_nothing(
    url: str, files: Files
) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.start(PLAN)
        await bot.asked(release)
        await change(bot, release, Note("second", "slowly"))
        with pytest.raises(Conflict, match="you saw version 0 of this plan, and it is at version 1"):
            await bot.plans.edit(release, Note("third", "hello"), by=RELEASER, seen=0, source="late")
        for edit in (Note("first", "hello"), Move("first", ""), LeaveOut("first", "not needed today")):
            with pytest.raises(Conflict, match="has begun"):
                await bot.plans.edit(release, edit, by=RELEASER, seen=1)
        with pytest.raises(NotAllowed):
            await bot.plans.edit(release, Note("third", "hello"), by=STRANGER, seen=1)
        with pytest.raises(WrongUse):
            await bot.plans.edit("R99", Note("third", "hello"), by=RELEASER, seen=0)
        assert (await bot.desk.release(release)).plan.revision == 1
        await bot.desk.control(release=release, kind=DecisionKind.ABORT, by=RELEASER, reason="enough")
        await bot.finished(release)
        with pytest.raises(Conflict, match="is aborted"):
            await bot.plans.edit(release, Note("third", "hello"), by=RELEASER, seen=1)


async def test_the_same_request_told_again_changes_nothing_more(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot:
        release = await bot.start(PLAN)
        for _ in range(2):
            done = await bot.plans.edit(release, Insert("Once"), by=RELEASER, seen=0, source="E1")
            assert done.said == "put in “Once” at the end"
        assert len((await bot.desk.release(release)).steps) == 5


async def test_a_change_takes_approvals_away_and_names_what_changed(url: str, files: Files) -> None:
    made = approved(plan(("first", "file"), ("hard", "file"), ("last", "file")), "hard", count=2)
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.start(made)
        question = await bot.asked(release)
        await bot.desk.answer(question=question, kind=DecisionKind.APPROVE, by=APPROVER)
        await change(bot, release, Insert("Look", before="last"))
        seen = await bot.until(release, lambda one: any(q.id != question for q in one.questions))
        (again,) = seen.questions
        assert again.approvals == ()
        assert "the order of the steps changed; step added_1 is new" in again.question.detail
        assert files.done("hard") == []


async def test_a_step_begins_only_as_the_plan_is_that_moment(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot:
        release = await bot.start(plan(("first", "file"), ("last", "file")))
        ((number, fence),) = await bot.ledger.claim(("prod",), but=())
        book = bot.ledger.book(number, fence)
        before = (await book.situation()).plan
        await change(bot, release, Insert("Look", before="first"))
        assert not await book.begin("first", retry=False, plan=before)
        now = await book.situation()
        assert now.step is not None
        assert now.step.key == "added_1"
        assert await book.begin("added_1", retry=False, plan=now.plan)
        await change(bot, release, Note("first", "slowly"))
        assert not await book.entering_effect("added_1", now.plan), "what was approved may be another plan"
        assert await book.entering_effect("added_1"), "what is under way is only attached to"


async def test_a_draft_is_kept_and_made_again_on_the_plan_that_is_started(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot:
        first, drafted = await bot.plans.draft(PLAN, Insert("Look", "last"), draft="", by=RELEASER, seen=0, source="E1")
        draft, drafted = await bot.plans.draft(
            drafted, LeaveOut("third", "not needed today"), draft=first, by=RELEASER, seen=1, source="E2"
        )
        assert draft == first
        with pytest.raises(Conflict, match="meanwhile"):
            await bot.plans.draft(PLAN, Note("last", "hm"), draft=draft, by=RELEASER, seen=0, source="E3")
        assert await bot.plans.drafted(PLAN, "") == PLAN
        with pytest.raises(WrongUse):
            await bot.plans.drafted(PLAN, "D0")
        with pytest.raises(Conflict, match="no longer fits"):
            await bot.plans.drafted(plan(("first", "file")), draft)
    async with opened(url, steps(files)) as bot, running(bot):
        made = await bot.plans.drafted(PLAN, draft)
        assert made.fingerprint == drafted.fingerprint
        assert left_out(made.step("third"))
        release = await bot.start(made)
        await yes(bot, release)
        await bot.until(release, lambda one: any(q.step == "added_1" for q in one.questions))
        await yes(bot, release)
        end = await bot.finished(release)
        assert [(one.key, one.state) for one in end.steps][2:] == [
            ("third", StepState.SKIPPED),
            ("added_1", StepState.DONE),
            ("last", StepState.DONE),
        ]
        events = [one for one in await bot.desk.events(after=0, limit=100) if one.kind.startswith("plan.")]
        assert [(one.kind, one.release) for one in events] == [
            ("plan.drafted", ""),
            ("plan.drafted", ""),
            ("plan.edited", "R1"),
            ("plan.edited", "R1"),
        ]


@pytest.mark.parametrize("place", ["after_write:added_1", "before_effect:fourth", "after_effect:last"])
async def test_a_changed_plan_survives_a_kill_and_everything_is_done_once(url: str, files: Files, place: str) -> None:
    async with opened(url, steps(files)) as bot:
        release = await bot.start(STORY)
        await change(
            bot,
            release,
            Insert("Look", before="third"),
            Move("fourth", "third"),
            LeaveOut("first", "not needed today"),
            Assign("last", "U05ADA", "Ada"),
        )
        changed = (await bot.desk.release(release)).plan
    assert in_a_process_of_its_own(url, files.folder, place) == -9
    assert in_a_process_of_its_own(url, files.folder) == 0
    async with opened(url, steps(files)) as bot:
        end = await bot.desk.release(release)
    assert end.plan == changed
    assert end.state is ReleaseState.SUCCEEDED
    assert ended(end) == ["second", "added_1", "fourth", "third", "last"]
    assert files.all() == {"second": 1, "third-begin": 1, "third-end": 1, "fourth": 1, "last": 1}


async def test_a_plan_that_opens_with_an_approval_is_confirmed_by_its_start_also_when_changed(
    url: str, files: Files
) -> None:
    opening = replace(PLAN, steps=(replace(PLAN.steps[0], kind=StepKind.APPROVAL), *PLAN.steps[1:]))
    async with opened(url, steps(files)) as bot, running(bot):
        with pytest.raises(Conflict, match="comes first"):
            await bot.plans.draft(opening, Insert("Look", "first"), draft="", by=RELEASER, seen=0)
        _, made = await bot.plans.draft(opening, Note("last", "hm"), draft="", by=RELEASER, seen=0)
        end: Any = await bot.finished(await bot.start(made))
        assert end.state is ReleaseState.SUCCEEDED
