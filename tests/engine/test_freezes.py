"""Freezes on a real database: nothing starts in one, in the very transaction that would start it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from bot.domain.errors import Conflict
from bot.domain.readmodel import Person
from bot.engine.desk import Desk
from bot.engine.freezes import Freezes
from bot.engine.store import Store
from tests.engine.clock import FakeClock
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ADA = Person("U1", "Ada", frozenset({"admin"}))
HOUR = timedelta(hours=1)


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with Store(url) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def freezes(store: Store, clock: FakeClock) -> Freezes:
    return Freezes(store, clock=clock, zone=ZoneInfo("Europe/Berlin"))


async def test_no_release_starts_in_a_freeze_and_one_does_after_it(
    store: Store, clock: FakeClock, freezes: Freezes
) -> None:
    desk = Desk(store, clock=clock, demand_open=freezes.demand_open)
    now = clock.now()
    made = await freezes.set("prod", starts=now, ends=now + HOUR, reason="fair", by=ADA)
    with pytest.raises(Conflict, match="fair"):
        await desk.start(plan=worlds.plan(), checklist="", by="U1")
    assert await desk.active() == ()
    assert await desk.lock_of("prod") is None
    await freezes.lift("prod", number=made.id, by=ADA, reason="over")
    assert (await desk.start(plan=worlds.plan(), checklist="", by="U1")).id == "R1"


async def test_a_freeze_ends_by_itself_and_stops_nothing_that_runs(
    store: Store, clock: FakeClock, freezes: Freezes
) -> None:
    desk = Desk(store, clock=clock, demand_open=freezes.demand_open)
    await desk.start(plan=worlds.plan(), checklist="", by="U1")
    await freezes.set("prod", starts=clock.now(), ends=clock.now() + HOUR, reason="fair", by=ADA)
    assert [one.state for one in await desk.active()] == ["running"]
    await clock.advance(HOUR.total_seconds())
    await freezes.demand_open_now("prod")
    assert await freezes.current("prod") == ()


async def test_another_environment_is_not_frozen(freezes: Freezes, clock: FakeClock) -> None:
    made = await freezes.set("prod", starts=clock.now(), ends=clock.now() + HOUR, reason="fair", by=ADA)
    await freezes.demand_open_now("staging")
    with pytest.raises(Conflict, match="no freeze F1 of staging"):
        await freezes.lift("staging", number=made.id, by=ADA, reason="wrong one")


async def test_lifting_twice_is_refused_and_everything_is_an_event(
    store: Store, clock: FakeClock, freezes: Freezes
) -> None:
    made = await freezes.set("prod", starts=clock.now() + HOUR, ends=clock.now() + 2 * HOUR, reason="fair", by=ADA)
    await freezes.lift("prod", number=made.id, by=ADA, reason="cancelled")
    with pytest.raises(Conflict, match="nothing was lifted"):
        await freezes.lift("prod", number=made.id, by=ADA, reason="again")
    events = await Desk(store, clock=clock).events(after=0, limit=10)
    assert [(one.kind, one.by, one.data["reason"]) for one in events] == [
        ("freeze.set", "U1", "fair"),
        ("freeze.lifted", "U1", "cancelled"),
    ]
