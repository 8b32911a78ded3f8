"""`/release start --at` and `/release scheduled`, as people type and press them, with a real desk and schedule."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from bot.domain.errors import Conflict, NotAllowed, ReleaseError, Unavailable, WrongUse
from bot.engine.desk import Desk
from bot.engine.freezes import Freezes
from bot.engine.lock_queue import LockQueue
from bot.engine.schedule import Schedule
from bot.engine.store import Store
from bot.views import ids
from tests.commands.fakes import RELEASER, VIEWER, Office, World
from tests.engine.clock import BEGIN, FakeClock
from tests.engine.test_narrator import Outbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.domain.readmodel import Person

MINUTES = timedelta(minutes=10)


@dataclass
class Directory:
    zones: dict[str, str] = field(default_factory=lambda: {RELEASER.slack: "America/New_York"})
    trouble: ReleaseError | None = None

    async def zone(self, slack: str) -> str:
        if self.trouble:
            raise self.trouble
        return self.zones.get(slack, "")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}") as opened:
        yield opened


@pytest.fixture
def slack() -> Outbox:
    return Outbox()


@pytest.fixture
def world(store: Store, slack: Outbox) -> World:
    clock = FakeClock()
    freezes = Freezes(store, clock=clock, zone=ZoneInfo("Europe/Berlin"))
    desk = Desk(store, clock=clock, demand_open=freezes.demand_open)
    office = Office(desk=desk, clock=clock, freezes=freezes)  # type: ignore[arg-type]  # the real ones
    office.queue = LockQueue(store, slack, clock, MINUTES)
    office.authors = SimpleNamespace(directory=Directory())

    async def person(_slack: str) -> Person:
        return RELEASER

    office.schedule = Schedule(
        store, desk, slack, clock, office.plan, person, before=timedelta(minutes=15), grace=MINUTES
    )
    return World(office=office)


async def the_one(world: World) -> datetime:
    (one,) = await world.office.schedule.open_ones("prod")
    return one.at.astimezone(UTC)


async def test_a_start_is_scheduled_on_the_callers_clocks_and_shown_back_with_the_zone(
    world: World, slack: Outbox
) -> None:
    await world.type("start --at 2026-11-25 06:00")
    shown = json.dumps(world.voice.views[-1])
    assert "Wednesday 25 November 2026, 06:00 EST (America/New_York)" in shown
    assert "<!date^1795604400^" in shown
    assert "Schedule it" in shown
    assert not await world.submit(version=None)
    assert await the_one(world) == datetime(2026, 11, 25, 11, tzinfo=UTC)
    assert await world.desk.active() == ()
    assert "scheduled by <@U01REL> as S1" in world.voice.whispers[-1]
    assert "schedule:cancel" in slack.messages["scheduled-S1"]["blocks"]


@pytest.mark.parametrize(
    "typed", ["start prod --at tomorrow 7am", "start --at tomorrow 7am --env prod", "start —at=tomorrow 7am"]
)
async def test_a_time_of_several_words_ends_at_the_next_option(world: World, typed: str) -> None:
    await world.type(typed)
    await world.submit(version=None)
    assert await the_one(world) == datetime(2026, 11, 24, 12, tzinfo=UTC)


async def test_without_a_zone_in_slack_the_settings_count(world: World) -> None:
    world.office.authors.directory.trouble = Unavailable("Slack does not answer.")
    await world.type("start --at tomorrow 7:00")
    await world.submit(version=None)
    assert await the_one(world) == datetime(2026, 11, 24, 6, tzinfo=UTC)
    world.office.authors.directory = Directory({RELEASER.slack: "Mars/Olympus"})
    await world.type("start --at tomorrow 8:00")
    assert "08:00 CET (Europe/Berlin)" in json.dumps(world.voice.views[-1])


async def test_a_time_that_the_clocks_leave_out_is_said_before_it_is_confirmed(world: World) -> None:
    await world.type("start --at 2027-03-14 02:30")
    assert "02:30 does not exist on that day" in json.dumps(world.voice.views[-1])


@pytest.mark.parametrize("text", ["start --at", "start --at soon", "start --at 2026-11-01 06:00"])
async def test_what_is_no_time_to_come_is_refused_before_anything_is_asked(world: World, text: str) -> None:
    with pytest.raises(WrongUse):
        await world.type(text)
    assert not world.office.requests


async def test_a_time_in_a_freeze_is_refused_and_a_lock_of_now_is_not_in_the_way(world: World) -> None:
    await world.desk.lock("prod", by=replace(RELEASER, slack="U01TWO"), reason="import")
    until = BEGIN + timedelta(hours=9)
    await world.office.freezes.set("prod", starts=BEGIN, ends=until, reason="the fair", by=RELEASER)
    with pytest.raises(Conflict, match="the fair"):
        await world.type("start --at in 2h")
    await world.type("start --at in 10h")
    await world.submit(version=None)
    assert await the_one(world) == BEGIN + timedelta(hours=10)


async def test_by_mention_the_preview_is_a_message_that_schedules(world: World) -> None:
    world.trigger = ""
    await world.type("start --at in 2h")
    await world.press_shown(ids.START_CONFIRM)
    assert await the_one(world) == BEGIN + timedelta(hours=2)
    assert "scheduled by" in world.voice.said["plan-E1"]


async def test_it_is_listed_postponed_and_cancelled_by_button_and_by_word(world: World) -> None:
    await world.type("start --at in 2h")
    await world.submit(version=None)
    await world.type("scheduled")
    await world.press_shown(ids.SCHEDULE_POSTPONE)
    assert await the_one(world) == BEGIN + timedelta(hours=3)
    await world.type("scheduled postpone S1 tomorrow 7am")
    assert await the_one(world) == datetime(2026, 11, 24, 12, tzinfo=UTC)
    await world.type("status")
    assert "`S1`" in json.dumps(world.voice.blocks[-1])
    await world.type("scheduled cancel s1 not this week")
    assert "cancelled by <@U01REL>" in world.voice.whispers[-1]
    await world.type("scheduled")
    assert "Nothing is scheduled for prod" in world.voice.whispers[-1]


async def test_who_may_only_look_lists_and_changes_nothing(world: World) -> None:
    await world.type("start --at in 2h")
    await world.submit(version=None)
    world.person = VIEWER
    await world.type("scheduled")
    for tried in (world.press_shown(ids.SCHEDULE_CANCEL), world.type("scheduled cancel S1")):
        with pytest.raises(NotAllowed):
            await tried
    assert await the_one(world) == BEGIN + timedelta(hours=2)
    world.person = RELEASER
    for text in ("scheduled cancel", "scheduled cancel R1", "scheduled now", "scheduled postpone S1 yesterday"):
        with pytest.raises(WrongUse):
            await world.type(text)


async def test_what_has_changed_is_shown_anew_and_started_by_hand(world: World) -> None:
    await world.type("start --at in 2h")
    await world.submit(version=None)
    world.office.prepared = replace(world.office.prepared, plan=replace(world.office.prepared.plan, head="e" * 40))
    await world.office.clock.advance(2 * 3600)  # type: ignore[attr-defined]  # a clock that a test moves
    await world.office.schedule.turn()
    await world.press(ids.SCHEDULE_PREVIEW, json.dumps({"scheduled": 1}))
    assert "eeeeeeee" in json.dumps(world.voice.views[-1])
    assert "Start the release" in json.dumps(world.voice.views[-1])
    await world.submit(version=None)
    (release,) = await world.desk.active()
    assert release.plan.head == "e" * 40
    assert await world.office.schedule.open_ones() == ()
    await world.press(ids.SCHEDULE_PREVIEW, json.dumps({"scheduled": 1}))
    assert "started as R1" in world.voice.whispers[-1]
