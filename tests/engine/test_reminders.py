"""Who must act is reminded, ever more seldom and not at night, once whatever number of bots there is; on both databases."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from bot.domain.errors import NotAllowed
from bot.domain.release import DecisionKind
from bot.domain.reminding import Pace, Quiet
from bot.engine.narrator import Narrator
from bot.engine.reminders import Reminders
from tests.engine.clock import FakeClock
from tests.engine.scripted import ADMIN, RELEASER, Bot, Files, opened, plan, steps
from tests.engine.test_desk import OTHER, ask
from tests.engine.test_narrator import Outbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOUR = 3600.0
PLAN = plan(("first", "file"), ("last", "file"))
QUIET = Quiet(time(20), time(8), ZoneInfo("Europe/Berlin"))  # it is 13:00 there when the clock begins


@asynccontextmanager
async def engine(url: str, files: Files) -> AsyncIterator[tuple[Bot, Reminders, FakeClock, Outbox]]:
    clock, slack = FakeClock(), Outbox()
    async with opened(url, steps(files), clock=clock) as bot:
        yield bot, reminders(bot, clock, slack), clock, slack


def reminders(bot: Bot, clock: FakeClock, slack: Outbox) -> Reminders:
    return Reminders(bot.store, slack, clock, Pace(HOUR, QUIET), Pace(4 * HOUR, QUIET))


async def kinds(bot: Bot) -> list[str]:
    return [one.kind for one in await bot.desk.events(after=0, limit=200) if one.kind.endswith("reminded")]


async def told(bot: Bot, slack: Outbox) -> list[str]:
    """What the narrator put into the thread as alarms, oldest first."""
    narrator = Narrator(bot.desk, slack, bot.desk.bell, "C01DEV")
    while await narrator.turn():
        pass
    alarms = {int(key.rpartition(":")[2]): one for key, one in slack.messages.items() if ":alarm:" in key}
    assert all(one["under"] == "R1" and not one["broadcast"] for one in alarms.values()), "quietly, in the thread"
    return [alarms[number]["text"] for number in sorted(alarms)]


async def test_an_open_question_is_reminded_of_in_its_thread_ever_more_seldom(url: str, files: Files) -> None:
    async with engine(url, files) as (bot, remind, clock, slack):
        await bot.start(PLAN)
        question = await ask(bot)
        found = []
        for hour in range(1, 8):
            await clock.advance(HOUR)
            if await remind.turn():
                found.append(hour)
        assert found == [1, 3], "an hour, then two; then it is evening"
        await clock.advance(12 * HOUR)
        assert await remind.turn() == 1
        assert await told(bot, slack) == [f"<@{RELEASER.slack}> 1.9.10 to prod still waits: May I?"] * 3
        await bot.desk.answer(question=question, kind=DecisionKind.APPROVE, by=RELEASER, value="yes")
        await clock.advance(9 * HOUR)
        assert await remind.turn() == 0


async def test_at_night_nobody_is_reminded(url: str, files: Files) -> None:
    async with engine(url, files) as (bot, remind, clock, _):
        await bot.start(PLAN)
        await ask(bot)
        await clock.advance(7 * HOUR)
        assert await remind.turn() == 0, "20:00"
        await clock.advance(12 * HOUR - 1)
        assert await remind.turn() == 0
        await clock.advance(1)
        assert await remind.turn() == 1, "8:00"


async def test_of_several_bots_one_reminds(url: str, files: Files) -> None:
    async with engine(url, files) as (bot, _, clock, slack):
        await bot.start(PLAN)
        await ask(bot)
        await bot.desk.lock("staging", by=OTHER, reason="import")
        await clock.advance(4 * HOUR)
        bots = [reminders(bot, clock, slack) for _ in range(5)]
        assert sum(await asyncio.gather(*(one.turn() for one in bots))) == 2
        assert sorted(await kinds(bot)) == ["lock.reminded", "question.reminded"]
        assert len([one for one in slack.edits if one.startswith("lock-needed")]) == 1


async def test_who_is_assigned_is_mentioned_in_place_of_who_started_it(url: str, files: Files) -> None:
    async with engine(url, files) as (bot, remind, clock, slack):
        assigned = replace(PLAN.steps[0], params={**PLAN.steps[0].params, "assignee": f"<@{OTHER.slack}>"})
        await bot.start(replace(PLAN, steps=(assigned, *PLAN.steps[1:])))
        await ask(bot)
        await clock.advance(HOUR)
        await remind.turn()
        (said,) = await told(bot, slack)
        assert said.startswith(f"<@{OTHER.slack}> ")


async def test_a_paused_release_is_reminded_of_until_it_goes_on(url: str, files: Files) -> None:
    async with engine(url, files) as (bot, remind, clock, slack):
        await bot.start(PLAN)
        await bot.desk.control(release="R1", kind=DecisionKind.PAUSE, by=RELEASER)
        await clock.advance(HOUR - 1)
        assert await remind.turn() == 0
        await clock.advance(1)
        assert await remind.turn() == 1
        (said,) = await told(bot, slack)
        assert said.startswith(f"<@{RELEASER.slack}> 1.9.10 to prod is paused since")
        await clock.advance(HOUR)
        assert await remind.turn() == 0, "only after two hours"
        await bot.desk.control(release="R1", kind=DecisionKind.RESUME, by=RELEASER)
        await clock.advance(2 * HOUR)
        assert await remind.turn() == 0
        await bot.desk.control(release="R1", kind=DecisionKind.PAUSE, by=RELEASER)
        await clock.advance(HOUR)
        assert await remind.turn() == 1, "another pause begins anew"


async def test_the_owner_of_an_unused_lock_is_asked_whether_it_is_needed(url: str, files: Files) -> None:
    async with engine(url, files) as (bot, remind, clock, slack):
        held = await bot.desk.lock("staging", by=OTHER, reason="import")
        await clock.advance(4 * HOUR)
        assert await remind.turn() == 1
        (message,) = slack.messages.values()
        assert message["text"].startswith(f"<@{OTHER.slack}> You have had the lock of staging")
        assert [one["action_id"] for one in json.loads(message["blocks"])[1]["elements"]] == ["lock:keep", "lock:free"]
        with pytest.raises(NotAllowed):
            await remind.keep(held, by=RELEASER)
        await remind.keep(held, by=OTHER)
        await clock.advance(20 * HOUR)  # tomorrow noon
        assert await remind.turn() == 1
        assert len(slack.messages) == 2
        await remind.keep(held, by=ADMIN)
        await bot.desk.unlock("staging", by=OTHER)
        await clock.advance(48 * HOUR)
        assert await remind.turn() == 0


async def test_a_lock_is_unused_only_since_its_last_release(url: str, files: Files) -> None:
    async with engine(url, files) as (bot, remind, clock, _):
        await bot.desk.lock("prod", by=RELEASER, reason="today is mine")
        await bot.start(PLAN)
        await clock.advance(4 * HOUR)
        assert await remind.turn() == 0, "a release has it"
        await bot.desk.control(release="R1", kind=DecisionKind.PAUSE, by=RELEASER)
        await bot.desk.control(release="R1", kind=DecisionKind.ABORT, by=RELEASER, reason="x")
        assert await remind.turn() == 0
        await clock.advance(2 * HOUR)
        assert await remind.turn() == 0
        await clock.advance(18 * HOUR)
        assert await remind.turn() == 1
