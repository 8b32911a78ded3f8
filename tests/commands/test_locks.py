"""Locks, the line for them and taking one over, as people type and press it, with a real desk and queue."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import time, timedelta
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Conflict, Held, NotAllowed
from bot.domain.readmodel import Person
from bot.domain.reminding import Pace, Quiet
from bot.engine.desk import Desk
from bot.engine.lock_queue import LockQueue
from bot.engine.reminders import Reminders
from bot.engine.store import Store
from bot.views import ids
from tests.commands.fakes import RELEASER, SETTINGS, Office, World
from tests.engine.clock import FakeClock
from tests.engine.test_narrator import Outbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OTHER = Person("U01TWO", "Two", frozenset({"releaser"}))
ADMIN = Person("U03ADM", "Admin", frozenset({"admin"}))


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
    queue = LockQueue(store, slack, clock, timedelta(minutes=5))
    return World(office=Office(desk=Desk(store, clock=clock), queue=queue))  # type: ignore[arg-type]


def shown(world: World) -> str:
    return json.dumps(world.voice.blocks[-1])


async def test_who_finds_it_locked_waits_in_line_is_told_and_takes_it(world: World, slack: Outbox) -> None:
    world.person = OTHER
    await world.type("lock Database is being moved")
    world.person = RELEASER
    with pytest.raises(Held) as refused:
        await world.type("start")
    assert refused.value.environment == "prod"
    await world.press(ids.LOCK_WAIT, json.dumps({"environment": refused.value.environment}))
    assert "number 1 in the line for prod" in world.voice.whispers[-1]
    await world.type("lock")
    assert "Database is being moved" in shown(world)
    assert "<!date^" in shown(world), "since when, in the reader's own zone"
    assert ids.LOCK_LEAVE in shown(world)
    world.person = OTHER
    await world.type("status")
    assert f"1. <@{RELEASER.slack}>" in shown(world)
    await world.type("unlock")
    with pytest.raises(Held, match="comes first"):
        await world.type("start")
    assert "No release started" in json.dumps(world.voice.views[-1]), "the form says so too"
    await world.office.queue.turn()
    take = next(
        one["value"]
        for block in json.loads(slack.messages["lock-wait-1"]["blocks"])
        for one in block.get("elements", [])
        if one.get("action_id") == ids.LOCK_TAKE
    )
    with pytest.raises(Held):
        await world.press(ids.LOCK_TAKE, take)
    world.person = RELEASER
    await world.press(ids.LOCK_TAKE, take)
    assert (await world.desk.lock_of("prod")).owner == RELEASER.slack  # type: ignore[union-attr]
    assert "took it" in slack.messages["lock-wait-1"]["text"]


async def test_waiting_may_be_typed_and_left_by_button(world: World) -> None:
    world.person = OTHER
    await world.type("lock mine")
    world.person = RELEASER
    await world.type("lock prod --wait")
    await world.press_shown(ids.LOCK_LEAVE)
    assert "no longer" in world.voice.whispers[-1]
    assert await world.office.queue.line("prod") == ()
    with pytest.raises(Conflict, match="not wait there any more"):
        await world.press(ids.LOCK_LEAVE, json.dumps({"wait": 1, "environment": "prod"}))


async def test_an_admin_takes_a_lock_over_after_confirming_with_a_reason(world: World) -> None:
    await world.type("lock Database is being moved")
    world.person = OTHER
    with pytest.raises(NotAllowed, match="Only an admin"):
        await world.type("unlock --take please")
    world.person = ADMIN
    await world.type("unlock --take")
    assert "Database is being moved" in json.dumps(world.voice.views[-1])
    assert (await world.submit(reason=None))["reason"]
    assert not await world.submit(reason="the site is down")
    assert (await world.desk.lock_of("prod")).owner == ADMIN.slack  # type: ignore[union-attr]
    told = list(world.voice.said.values())[-1]
    assert told.startswith(f"<@{RELEASER.slack}> <@{ADMIN.slack}> took your lock of prod over: the site is down")
    with pytest.raises(Conflict, match="yours already"):
        await world.submit(reason="twice")


async def test_who_is_asked_whether_a_lock_is_needed_keeps_it_or_frees_it(world: World, store: Store) -> None:
    clock = world.office.clock = FakeClock()  # type: ignore[assignment]  # a clock that a test moves
    pace = Pace(3600, Quiet(time(0), time(0), SETTINGS.zone))
    world.office.reminders = Reminders(store, Outbox(), clock, pace, pace)
    await world.type("lock Database is being moved")
    held = await world.desk.lock_of("prod")
    assert held is not None
    value = json.dumps({"environment": "prod", "since": held.since.isoformat(), "key": "lock-needed-x"})
    await world.press(ids.LOCK_KEEP, value)
    assert "says that the lock is still needed" in world.voice.said["lock-needed-x"]
    await world.press(ids.LOCK_FREE, value)
    assert "unlocked it" in world.voice.said["lock-needed-x"]
    assert await world.desk.lock_of("prod") is None
    for action in (ids.LOCK_KEEP, ids.LOCK_FREE):
        with pytest.raises(Conflict, match="changed hands"):
            await world.press(action, value)


async def test_only_an_admin_submits_the_form(world: World) -> None:
    world.person = ADMIN
    await world.type("lock mine")
    world.person = replace(ADMIN, slack="U04ADM")
    await world.type("unlock --take it is urgent")
    world.person = RELEASER
    with pytest.raises(NotAllowed, match="needs the role admin"):
        await world.submit(reason="mine now")


async def test_what_a_release_holds_is_given_up_with_the_release(world: World) -> None:
    await world.type("start")
    await world.submit(version=None)
    world.person = ADMIN
    with pytest.raises(Conflict, match="R1 holds prod") as refused:
        await world.type("unlock --take")
    assert "/release abort R1" in refused.value.hint
