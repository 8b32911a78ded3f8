"""Releases that need the environment's lock for a part of their steps, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from bot.domain.errors import Conflict, Held
from bot.domain.phases import Phase
from bot.domain.release import DecisionKind, ReleaseState, StepState
from bot.domain.rollback import demand_offered
from bot.engine.freezes import Freezes
from bot.engine.lock_queue import LockQueue
from bot.engine.narrator import Narrator
from tests.engine.phasing import LONG, in_a_process_of_its_own, known
from tests.engine.scripted import (
    ADMIN,
    APPROVER,
    RELEASER,
    Bot,
    Files,
    opened,
    plan,
    running,
)
from tests.engine.test_narrator import Outbox

if TYPE_CHECKING:
    from bot.domain.plan import Plan

SHORT = plan(("deploy", "deploy"), ("prove_live", "file"))
HELD = plan(("wait", "asking"), ("deploy", "deploy"), ("prove_live", "file"))


async def yes(bot: Bot, release: str, at: str = "") -> None:
    seen = await bot.until(release, lambda one: any(not at or q.step == at for q in one.questions))
    asked = next(one for one in seen.questions if not at or one.step == at)
    first = asked.question.choices[0]
    await bot.desk.answer(question=asked.id, kind=first.kind, by=RELEASER, value=first.value)


async def holder(bot: Bot) -> str:
    held = await bot.desk.lock_of("prod")
    return held.release or held.owner if held else ""


def at(key: str) -> Any:
    return lambda seen: bool(seen.current and seen.current.key == key and seen.questions)


async def kinds(bot: Bot, release: str) -> list[str]:
    events = await bot.desk.events(after=0, limit=500, release=release)
    return [f"{one.kind}:{one.step}" for one in events if one.kind.startswith("lock.")]


async def test_the_lock_is_taken_with_its_first_step_and_given_back_after_its_last(url: str, files: Files) -> None:
    async with opened(url, known(files)) as bot, running(bot):
        release = await bot.start(LONG)
        seen = await bot.until(release, at("prepare"))
        assert (seen.phase, await holder(bot)) == (Phase.BEFORE, "")
        await yes(bot, release)
        seen = await bot.until(release, at("tell"))
        assert (seen.phase, await holder(bot)) == (Phase.AFTER, "")
        assert await kinds(bot, release) == ["lock.taken:still", "lock.released:prove_live"]
        await yes(bot, release)
        assert (await bot.finished(release)).state is ReleaseState.SUCCEEDED
        assert files.done("since") == []


async def test_another_release_goes_through_meanwhile_and_the_waiting_one_hears_of_it(url: str, files: Files) -> None:
    async with opened(url, known(files)) as bot, running(bot):
        slow = await bot.start(LONG)
        await bot.until(slow, at("prepare"))
        quick = await bot.start(HELD, by=APPROVER.slack)
        await bot.until(quick, at("wait"))
        await yes(bot, slow)
        seen = await bot.until(slow, lambda one: bool(one.waits))
        assert seen.waits == f"prod is held by {quick}, started by <@{APPROVER.slack}>."
        assert (seen.state, seen.phase) == (ReleaseState.RUNNING, Phase.LOCKED)
        assert seen.current is not None
        assert seen.current.state is StepState.PENDING, "the step has not begun: nothing was done without the lock"
        await yes(bot, quick)
        assert (await bot.finished(quick)).state is ReleaseState.SUCCEEDED
        seen = await bot.until(slow, at("tell"))
        assert seen.waits == ""
        assert await kinds(bot, slow) == ["lock.awaited:still", "lock.taken:still", "lock.released:prove_live"]
        assert files.done("since") == [f"{quick} {HELD.version} bbbb"]
        assert await bot.desk.last_proved("prod", before=slow) == (HELD.head, HELD.version), (
            "the later number was first"
        )


async def test_a_second_release_beside_the_lock_is_refused_at_its_start(url: str, files: Files) -> None:
    async with opened(url, known(files)) as bot:
        await bot.start(HELD)
        first = await bot.start(LONG)
        with pytest.raises(Conflict, match=f"{first} .2.0.0. prepares prod beside its lock already"):
            await bot.start(LONG)
        with pytest.raises(Held):
            await bot.start(SHORT)
        both = await asyncio.gather(
            *(bot.start(replace(LONG, environment="staging")) for _ in range(2)), return_exceptions=True
        )
        assert sorted(isinstance(one, Conflict) for one in both) == [False, True]


async def test_it_stands_in_the_line_and_a_lock_by_hand_keeps_it_waiting(url: str, files: Files) -> None:
    async with opened(url, known(files)) as bot, running(bot):
        slack = Outbox()
        queue = LockQueue(bot.store, slack, bot.desk._clock, timedelta(minutes=5))
        await bot.desk.lock("prod", by=ADMIN, reason="the database is moved")
        await queue.join("prod", by=APPROVER)
        release = await bot.start(LONG)
        await yes(bot, release)
        seen = await bot.until(release, lambda one: bool(one.waits))
        assert seen.waits == f"prod is locked by <@{ADMIN.slack}>: the database is moved"
        assert [one.person for one in await queue.line("prod")] == [APPROVER.slack, RELEASER.slack]
        await bot.desk.unlock("prod", by=ADMIN)
        seen = await bot.until(release, lambda one: "comes first" in one.waits)
        assert await holder(bot) == "", "it is the turn of who waited before"
        for one in await queue.line("prod"):
            if one.person == APPROVER.slack:
                await queue.leave(one.id, by=APPROVER)
        await bot.until(release, at("tell"))
        assert await queue.line("prod") == ()


async def test_a_freeze_keeps_it_from_the_lock_and_not_from_going_on_under_it(url: str, files: Files) -> None:
    async with opened(url, known(files)) as bot:
        freezes = Freezes(bot.store, clock=bot.desk._clock, zone=ZoneInfo("UTC"))
        bot.ledger._demand_open = freezes.demand_open
        now = bot.desk._clock.now()
        async with running(bot):
            release = await bot.start(LONG)
            frozen = await freezes.set("prod", starts=now, ends=now + timedelta(hours=9), reason="holidays", by=ADMIN)
            await yes(bot, release)
            seen = await bot.until(release, lambda one: bool(one.waits))
            assert "is frozen until" in seen.waits
            assert "Nothing was started" not in seen.waits
            await freezes.lift("prod", number=frozen.id, by=ADMIN, reason="over")
            await bot.until(release, at("tell"))


async def test_an_abort_leaves_the_line_and_a_pause_waits_on(url: str, files: Files) -> None:
    async with opened(url, known(files)) as bot, running(bot):
        queue = LockQueue(bot.store, Outbox(), bot.desk._clock, timedelta(minutes=5))
        quick = await bot.start(HELD, by=APPROVER.slack)
        slow = await bot.start(LONG)
        await yes(bot, slow)
        await bot.until(slow, lambda one: bool(one.waits))
        await bot.desk.control(release=slow, kind=DecisionKind.PAUSE, by=RELEASER)
        await yes(bot, quick)
        await bot.finished(quick)
        assert (await bot.desk.release(slow)).state is ReleaseState.PAUSED
        assert await holder(bot) == ""
        await bot.desk.control(release=slow, kind=DecisionKind.ABORT, by=RELEASER, reason="not today")
        assert (await bot.finished(slow)).waits == ""
        assert await queue.line("prod") == ()


async def test_who_works_beside_the_lock_stands_in_no_rollbacks_way(url: str, files: Files) -> None:
    async with opened(url, known(files)) as bot, running(bot):
        live = await bot.start(SHORT)
        await bot.finished(live)
        slow = await bot.start(LONG)
        await bot.until(slow, at("prepare"))
        demand_offered(await bot.desk.release(live))
        back = await bot.desk.roll_back(
            release=live, plan=_back(live), checklist="", by=RELEASER, reason="it is wrong", typed="1.9.10"
        )
        assert (await bot.finished(back.id)).state is ReleaseState.SUCCEEDED
        await yes(bot, slow)
        await bot.until(slow, at("tell"))
        with pytest.raises(Conflict, match=f"{slow} came after {live}"):
            await bot.desk.roll_back(
                release=live, plan=_back(live), checklist="", by=RELEASER, reason="again", typed="1.9.10"
            )


def _back(release: str) -> Plan:
    made = plan(("deploy", "deploy"), ("prove_live", "file"))
    back = {"roll_back": {"commit": made.head, "release": release}}
    return replace(made, steps=(replace(made.steps[0], params=back), made.steps[1]))


async def test_its_thread_says_that_it_waits_has_the_lock_and_gave_it_back(url: str, files: Files) -> None:
    async with opened(url, known(files)) as bot, running(bot):
        slack = Outbox()
        narrator = Narrator(bot.desk, slack, bot.desk.bell, "C01DEV")
        quick = await bot.start(HELD)
        slow = await bot.start(LONG)
        await yes(bot, slow)
        await bot.until(slow, lambda one: bool(one.waits))
        await narrator.turn()
        assert "Waits for the lock of prod before: Step still. It goes on by itself." in slack.messages[slow]["text"]
        assert f"waits for the lock of prod: prod is held by {quick}" in slack.messages[f"{slow}:lock:still"]["text"]
        await yes(bot, quick)
        await bot.until(slow, at("tell"))
        await narrator.turn()
        assert "has the lock of prod now" in slack.messages[f"{slow}:lock:still"]["text"]
        assert "has given the lock of prod back" in slack.messages[f"{slow}:unlock:prove_live"]["text"]
        assert "given back; others may release to prod" in slack.messages[slow]["blocks"]


EDGES = {"before_effect:still": "R1", "after_effect:deploy": "R1", "after_write:prove_live": ""}


@pytest.mark.parametrize("failpoint", EDGES)
async def test_a_bot_killed_at_the_edges_of_the_lock_leaves_it_to_the_release(
    url: str, files: Files, failpoint: str
) -> None:
    assert in_a_process_of_its_own(url, files.folder, failpoint) == -9
    async with opened(url, known(files)) as bot:
        assert await holder(bot) == EDGES[failpoint]
        if EDGES[failpoint]:
            with pytest.raises(Held):
                await bot.start(SHORT, by=APPROVER.slack)
    assert in_a_process_of_its_own(url, files.folder) == 0
    async with opened(url, known(files)) as bot:
        release = await bot.desk.release("R1")
        assert (release.state, await holder(bot)) == (ReleaseState.SUCCEEDED, "")
        assert await kinds(bot, "R1") == ["lock.taken:still", "lock.released:prove_live"]
    assert set(files.all().values()) == {1}
