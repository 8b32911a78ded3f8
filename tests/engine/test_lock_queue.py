"""The line for an environment, on both databases: nobody loses their place, and of several bots one tells whose turn it is."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Conflict, Held, NotAllowed, Unavailable, WrongUse
from bot.domain.release import DecisionKind
from bot.engine.desk import Desk
from bot.engine.lock_queue import LockQueue
from bot.engine.store import Store
from tests.engine.clock import BEGIN, FakeClock
from tests.engine.scripted import ADMIN, APPROVER, RELEASER
from tests.engine.test_desk import OTHER
from tests.engine.test_narrator import Outbox
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CLAIM = timedelta(minutes=5)


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with Store(url) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def desk(store: Store, clock: FakeClock) -> Desk:
    return Desk(store, clock=clock)


@pytest.fixture
def slack() -> Outbox:
    return Outbox()


@pytest.fixture
def queue(store: Store, clock: FakeClock, slack: Outbox) -> LockQueue:
    return LockQueue(store, slack, clock, CLAIM)


def buttons(slack: Outbox, key: str) -> list[str]:
    blocks = json.loads(slack.messages[key]["blocks"])
    return [one["action_id"] for block in blocks for one in block.get("elements", []) if "action_id" in one]


async def people(queue: LockQueue) -> list[str]:
    return [one.person for one in await queue.line("prod")]


async def test_who_waits_is_told_in_turn_and_the_environment_is_kept_for_them(
    desk: Desk, queue: LockQueue, clock: FakeClock, slack: Outbox
) -> None:
    await desk.lock("prod", by=RELEASER, reason="import")
    await queue.join("prod", by=OTHER)
    await queue.join("prod", by=APPROVER)
    assert [one.person for one in await queue.join("prod", by=OTHER)] == [OTHER.slack, APPROVER.slack], (
        "a place is kept"
    )
    assert await queue.turn() == 0
    assert slack.messages == {}
    await desk.unlock("prod", by=RELEASER)
    with pytest.raises(Held, match=f"<@{OTHER.slack}> has waited"):
        await desk.lock("prod", by=RELEASER, reason="again")
    with pytest.raises(Held):
        await desk.start(plan=worlds.plan(), checklist="", by=RELEASER.slack)
    assert await desk.active() == ()
    assert [await queue.turn() for _ in range(3)] == [1, 0, 0]
    assert slack.messages["lock-wait-1"]["text"].startswith(f"<@{OTHER.slack}> prod is free")
    assert buttons(slack, "lock-wait-1") == ["lock:take", "lock:pass"]
    await desk.lock("prod", by=OTHER, reason="mine")
    await queue.turn()
    assert f"<@{OTHER.slack}> took it" in slack.messages["lock-wait-1"]["text"]
    assert buttons(slack, "lock-wait-1") == []
    assert await people(queue) == [APPROVER.slack]


async def test_who_does_not_take_it_in_time_is_out_and_the_next_one_is_told(
    desk: Desk, queue: LockQueue, clock: FakeClock, slack: Outbox
) -> None:
    await desk.lock("prod", by=RELEASER, reason="import")
    for one in (OTHER, APPROVER):
        await queue.join("prod", by=one)
    await desk.unlock("prod", by=RELEASER)
    await queue.turn()
    await clock.advance(CLAIM.total_seconds() - 1)
    assert await queue.turn() == 0
    await clock.advance(1)
    with pytest.raises(Held, match=f"<@{APPROVER.slack}> has waited"):
        await desk.lock("prod", by=OTHER, reason="too late")
    assert await queue.turn() == 1
    assert "did not take it in time" in slack.messages["lock-wait-1"]["text"]
    assert buttons(slack, "lock-wait-2") == ["lock:take", "lock:pass"]
    await clock.advance(CLAIM.total_seconds())
    await queue.turn()
    assert await people(queue) == []
    assert (await desk.lock("prod", by=RELEASER, reason="nobody waits")).owner == RELEASER.slack


async def test_a_place_is_left_by_its_owner_or_an_admin_and_only_once(desk: Desk, queue: LockQueue) -> None:
    await desk.lock("prod", by=RELEASER, reason="import")
    (waiting,) = await queue.join("prod", by=OTHER)
    with pytest.raises(NotAllowed, match=OTHER.slack):
        await queue.leave(waiting.id, by=APPROVER)
    await queue.leave(waiting.id, by=OTHER)
    with pytest.raises(Conflict, match="not wait there any more"):
        await queue.leave(waiting.id, by=OTHER)
    (again,) = await queue.join("prod", by=OTHER)
    assert again.id != waiting.id
    await queue.leave(again.id, by=ADMIN)
    assert await queue.line("prod") == ()


async def test_nobody_waits_for_what_is_free_or_theirs(desk: Desk, queue: LockQueue) -> None:
    with pytest.raises(Conflict, match="is free"):
        await queue.join("prod", by=OTHER)
    await desk.lock("prod", by=OTHER, reason="mine")
    with pytest.raises(Conflict, match="yours already"):
        await queue.join("prod", by=OTHER)


async def test_an_ended_release_frees_the_environment_for_who_waits(
    desk: Desk, queue: LockQueue, slack: Outbox
) -> None:
    started = await desk.start(plan=worlds.plan(), checklist="", by=RELEASER.slack)
    await queue.join("prod", by=OTHER)
    await desk.control(release=started.id, kind=DecisionKind.PAUSE, by=RELEASER)
    assert await queue.turn() == 0
    await desk.control(release=started.id, kind=DecisionKind.ABORT, by=RELEASER, reason="not today")
    assert await desk.lock_of("prod") is None
    assert await queue.turn() == 1
    assert (await desk.start(plan=worlds.plan(), checklist="", by=OTHER.slack)).started_by == OTHER.slack
    assert await people(queue) == []


async def test_of_several_bots_one_tells_and_all_say_the_same(
    store: Store, desk: Desk, clock: FakeClock, slack: Outbox
) -> None:
    bots = [LockQueue(store, slack, clock, CLAIM) for _ in range(4)]
    await desk.lock("prod", by=RELEASER, reason="import")
    await bots[0].join("prod", by=OTHER)
    await desk.unlock("prod", by=RELEASER)
    assert sum(await asyncio.gather(*(one.turn() for one in bots))) == 1
    assert list(slack.messages) == ["lock-wait-1"]
    assert slack.edits == ["lock-wait-1"]
    kinds = [one.kind for one in await desk.events(after=0, limit=20)]
    assert kinds.count("lock.offered") == 1


async def test_a_bot_that_dies_before_it_has_told_is_made_good_by_the_next(
    store: Store, desk: Desk, clock: FakeClock, slack: Outbox
) -> None:
    await desk.lock("prod", by=RELEASER, reason="import")
    queue = LockQueue(store, slack, clock, CLAIM)
    await queue.join("prod", by=OTHER)
    await desk.unlock("prod", by=RELEASER)
    slack.fail_after = 0
    with pytest.raises(Unavailable):
        await queue.turn()
    slack.fail_after = 10
    assert await LockQueue(store, slack, clock, CLAIM).turn() == 0, "whose turn it is was noted already"
    assert slack.edits == ["lock-wait-1"]


async def test_of_many_who_join_at_once_each_has_one_place(desk: Desk, queue: LockQueue) -> None:
    await desk.lock("prod", by=RELEASER, reason="import")
    await asyncio.gather(*(queue.join("prod", by=one) for one in (OTHER, APPROVER, ADMIN) * 3))
    assert sorted(await people(queue)) == sorted(one.slack for one in (OTHER, APPROVER, ADMIN))


async def test_an_admin_takes_over_what_they_were_shown_with_a_reason(desk: Desk, clock: FakeClock) -> None:
    held = await desk.lock("prod", by=RELEASER, reason="import")
    seen = (held.owner, held.since)
    with pytest.raises(NotAllowed):
        await desk.take_over("prod", by=OTHER, reason="me", seen=seen)
    with pytest.raises(WrongUse, match="needs a reason"):
        await desk.take_over("prod", by=ADMIN, reason=" ", seen=seen)
    with pytest.raises(Conflict, match="changed hands"):
        await desk.take_over("prod", by=ADMIN, reason="fire", seen=(held.owner, BEGIN - CLAIM))
    await clock.advance(60)
    taken = await desk.take_over("prod", by=ADMIN, reason="fire", seen=seen)
    assert (taken.owner, taken.reason) == (ADMIN.slack, "fire")
    assert taken.since == BEGIN + timedelta(minutes=1)
    with pytest.raises(NotAllowed):
        await desk.unlock("prod", by=RELEASER)
    event = (await desk.events(after=0, limit=20))[-1]
    assert (event.kind, event.by, event.data["from"]) == ("lock.taken_over", ADMIN.slack, RELEASER.slack)


async def test_the_lock_of_a_release_is_not_taken_from_under_it(desk: Desk) -> None:
    started = await desk.start(plan=worlds.plan(), checklist="", by=RELEASER.slack)
    held = await desk.lock_of("prod")
    assert held is not None
    with pytest.raises(Conflict, match=f"{started.id} holds prod") as refused:
        await desk.take_over("prod", by=ADMIN, reason="fire", seen=(held.owner, held.since))
    assert f"/release abort {started.id}" in refused.value.hint
    assert (await desk.lock_of("prod")) == held
