"""Scheduled starts, on both databases: of several bots one starts the release, once, and only the very one that was confirmed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from bot.domain.errors import Conflict, ReleaseError, Unavailable, WrongUse
from bot.domain.release import DecisionKind
from bot.domain.schedule import State, Ticket
from bot.domain.world import Check, CheckState
from bot.engine.desk import Desk
from bot.engine.freezes import Freezes
from bot.engine.schedule import Schedule
from bot.engine.store import Store
from tests.engine.clock import FakeClock
from tests.engine.scripted import ADMIN, RELEASER, STRANGER
from tests.engine.test_desk import OTHER
from tests.engine.test_narrator import Outbox
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.readmodel import Person
    from bot.domain.report import PreparedPlan
    from bot.domain.schedule import Scheduled
    from tests.engine.postgres import Cluster

HOUR = timedelta(hours=1)
BEFORE, GRACE = timedelta(minutes=15), timedelta(minutes=10)
PEOPLE = {one.slack: one for one in (RELEASER, OTHER, ADMIN)}


@dataclass
class Plans:
    """What a plan would be now, and how often one was made."""

    prepared: PreparedPlan = field(default_factory=worlds.prepared)
    trouble: ReleaseError | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def plan(self, **request: Any) -> PreparedPlan:
        self.asked.append(request)
        await asyncio.sleep(0)
        if self.trouble:
            raise self.trouble
        return self.prepared

    def change(self, **changes: Any) -> None:
        self.prepared = replace(self.prepared, plan=replace(self.prepared.plan, **changes))


async def person(slack: str) -> Person:
    return PEOPLE.get(slack, STRANGER)


@dataclass
class Bots:
    """Some bots on one database, each with a schedule of its own."""

    store: Store
    clock: FakeClock = field(default_factory=FakeClock)
    plans: Plans = field(default_factory=Plans)
    slack: Outbox = field(default_factory=Outbox)

    def __post_init__(self) -> None:
        self.freezes = Freezes(self.store, clock=self.clock, zone=ZoneInfo("Europe/Berlin"))
        self.desk = Desk(self.store, clock=self.clock, demand_open=self.freezes.demand_open)
        self.first = self.another()

    def another(self) -> Schedule:
        return Schedule(
            self.store, self.desk, self.slack, self.clock, self.plans.plan, person, before=BEFORE, grace=GRACE
        )

    async def scheduled(self, *, after: timedelta = HOUR, source: str = "E1") -> Scheduled:
        return await self.first.make(
            self.plans.prepared,
            {"only": [], "hotfix": False, "strategy": "", "draft": "D1"},
            at=self.clock.now() + after,
            zone="Europe/Berlin",
            by=RELEASER,
            channel="C01DEV",
            source=source,
        )

    async def at(self, one: Scheduled, *, late: float = 0) -> int:
        """Go to its time, and let the first bot look."""
        await self.clock.advance((one.at - self.clock.now()).total_seconds() + late)
        return await self.first.turn()

    async def why(self) -> str:
        """Why the only one that is open asks."""
        (one,) = await self.first.open_ones("prod")
        assert one.state is State.ASKING
        assert await self.desk.active() == ()
        return one.why

    def buttons(self, key: str) -> list[str]:
        blocks = json.loads(self.slack.messages[key]["blocks"])
        return [one["action_id"] for block in blocks for one in block.get("elements", []) if "action_id" in one]


@pytest.fixture
async def bots(url: str) -> AsyncIterator[Bots]:
    async with Store(url) as store:
        yield Bots(store)


async def test_it_starts_at_its_time_and_not_before_and_says_so(bots: Bots) -> None:
    one = await bots.scheduled()
    assert "scheduled for" in bots.slack.messages["scheduled-S1"]["text"]
    assert await bots.at(one, late=-1) == 0
    assert await bots.at(one) == 1
    (release,) = await bots.desk.active()
    assert (release.started_by, release.plan.fingerprint) == (RELEASER.slack, one.plan.fingerprint)
    asked = {"environment": "prod", "hotfix": False, "only": [], "strategy": "", "version": "1.9.10", "draft": "D1"}
    assert bots.plans.asked == [{**asked, "afresh": False}]
    assert "started as R1" in bots.slack.messages["scheduled-S1"]["text"]
    assert bots.buttons("scheduled-S1") == []
    assert await bots.first.turn() == 0
    assert await bots.first.open_ones() == ()
    event = next(each for each in await bots.desk.events(after=0, limit=20) if each.kind == "release.started")
    assert event.data["scheduled"] == "S1"


async def test_of_several_bots_one_starts_it(bots: Bots) -> None:
    one = await bots.scheduled()
    await bots.clock.advance((one.at - bots.clock.now()).total_seconds())
    others = [bots.another() for _ in range(5)]
    assert sum(await asyncio.gather(*(each.turn() for each in others))) == 1
    assert len(await bots.desk.history("prod", limit=10)) == 1


async def test_two_replicas_on_one_postgresql_start_each_once(postgres: Cluster) -> None:
    url = postgres.fresh()
    async with Store(url) as one, Store(url) as two:
        clock, plans, slack = FakeClock(), Plans(), Outbox()
        replicas = [Bots(store, clock, plans, slack) for store in (one, two)]
        for number in range(5):
            due = await replicas[0].scheduled(source=f"E{number}")
            await clock.advance((due.at - clock.now()).total_seconds())
            assert sum(await asyncio.gather(*(each.first.turn() for each in replicas * 2))) == 1
            (release,) = await replicas[1].desk.active()
            await replicas[1].desk.control(release=release.id, kind=DecisionKind.PAUSE, by=RELEASER)
            await replicas[1].desk.control(release=release.id, kind=DecisionKind.ABORT, by=RELEASER, reason="next")
        assert len(await replicas[0].desk.history("prod", limit=20)) == 5


async def test_also_when_claims_run_out_while_the_plan_is_made_one_release_begins(bots: Bots) -> None:
    """Two bots that both made the plan: the transaction that begins the release decides."""
    one = await bots.scheduled()
    await bots.clock.advance((one.at - bots.clock.now()).total_seconds())
    begun = await asyncio.gather(*(bots.another()._begin(one) for _ in range(4)))
    assert sum(begun) == 1
    assert len(await bots.desk.history("prod", limit=10)) == 1
    assert await bots.first.open_ones() == ()


async def test_a_bot_killed_while_it_looked_is_followed_by_another_when_its_claim_has_run_out(bots: Bots) -> None:
    one = await bots.scheduled()
    await bots.clock.advance((one.at - bots.clock.now()).total_seconds())
    assert await bots.first._claim(one)  # and then it was killed
    assert await bots.another().turn() == 0
    await bots.clock.advance(120)
    assert await bots.another().turn() == 1


async def test_a_bot_killed_before_it_told_is_made_good(bots: Bots) -> None:
    one = await bots.scheduled()
    bots.slack.fail_after = 0
    with pytest.raises(Unavailable):
        await bots.at(one)
    assert len(await bots.desk.active()) == 1
    bots.slack.fail_after = 100
    assert await bots.another().turn() == 0
    assert "started as R1" in bots.slack.messages["scheduled-S1"]["text"]


async def test_the_same_request_told_again_schedules_nothing_new(bots: Bots) -> None:
    assert (await bots.scheduled()).id == (await bots.scheduled()).id
    await bots.scheduled(source="E2")
    assert len(await bots.first.open_ones()) == 2
    with pytest.raises(Conflict, match="over meanwhile"):
        await bots.scheduled(after=-HOUR, source="E3")


async def test_another_commit_is_not_started_but_asked_about(bots: Bots) -> None:
    one = await bots.scheduled()
    bots.plans.change(head="e" * 40)
    assert await bots.at(one) == 0
    assert "the commit: bbbbbbbb then, eeeeeeee now" in await bots.why()
    assert bots.buttons("scheduled-S1:asks:1") == ["schedule:preview", "schedule:postpone", "schedule:cancel"]
    assert bots.slack.messages["scheduled-S1:asks:1"]["text"].startswith(f"<@{RELEASER.slack}>")
    assert await bots.first.turn() == 0
    assert bots.slack.edits.count("scheduled-S1:asks:1") == 1


async def test_failed_ci_a_lock_a_freeze_and_a_release_that_runs_each_speak_against_it(bots: Bots) -> None:
    one = await bots.scheduled()
    await bots.desk.lock("prod", by=OTHER, reason="import")
    await bots.at(one)
    assert "import" in await bots.why()
    await bots.desk.unlock("prod", by=OTHER)
    one = await bots.first.postpone(one.id, by=OTHER)
    await bots.freezes.set("prod", starts=one.at, ends=one.at + HOUR / 2, reason="the fair", by=ADMIN)
    await bots.at(one)
    assert "the fair" in await bots.why()
    one = await bots.first.postpone(one.id, by=OTHER)
    good = bots.plans.prepared
    bad = replace(good.report, checks=(Check("test-engine", CheckState.FAILED),), required_ci=("test-engine",))
    bots.plans.prepared = replace(good, report=bad)
    await bots.at(one)
    assert "test-engine has failed" in await bots.why()
    bots.plans.prepared = good
    one = await bots.first.postpone(one.id, by=OTHER)
    other = await bots.desk.start(plan=worlds.plan(), checklist="", by=OTHER.slack)
    await bots.at(one)
    (asking,) = await bots.first.open_ones()
    assert f"held by {other.id}" in asking.why
    assert asking.asked == 4


async def test_who_may_no_longer_start_releases_starts_none(bots: Bots, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await bots.scheduled()
    monkeypatch.delitem(PEOPLE, RELEASER.slack)
    await bots.at(one)
    assert "may not start releases any more" in await bots.why()


async def test_a_time_that_was_missed_for_long_is_asked_about_and_one_missed_for_a_moment_is_made_up_for(
    bots: Bots,
) -> None:
    one = await bots.scheduled()
    assert await bots.at(one, late=GRACE.total_seconds() + 1) == 0
    assert "too long ago" in await bots.why()
    assert bots.plans.asked == []
    again = await bots.first.postpone(one.id, by=RELEASER)
    assert again.at == bots.clock.now() + HOUR, "an hour from now, not from then"
    assert await bots.at(again, late=GRACE.total_seconds()) == 1


async def test_what_does_not_answer_is_asked_again_until_the_grace_is_over(bots: Bots) -> None:
    one = await bots.scheduled()
    bots.plans.trouble = Unavailable("GitHub does not answer.")
    assert await bots.at(one) == 0
    assert [each.state for each in await bots.first.open_ones()] == [State.WAITING]
    await bots.first.turn()
    assert len(bots.plans.asked) == 1, "not at once"
    await bots.clock.advance(15)
    bots.plans.trouble = None
    assert await bots.first.turn() == 1


async def test_what_never_answers_is_asked_about_in_the_end(bots: Bots) -> None:
    one = await bots.scheduled()
    bots.plans.trouble = Unavailable("GitHub does not answer.")
    await bots.at(one)
    for _ in range(60):
        await bots.clock.advance(15)
        await bots.first.turn()
    assert "GitHub does not answer" in await bots.why()


async def test_it_is_reminded_of_once_before_its_time(bots: Bots) -> None:
    one = await bots.scheduled()
    key = f"scheduled-S1:soon:{int(one.at.timestamp())}"
    await bots.at(one, late=-BEFORE.total_seconds() - 1)
    assert key not in bots.slack.messages
    await bots.clock.advance(1)
    await asyncio.gather(*(bots.another().turn() for _ in range(3)))
    assert bots.slack.messages[key]["text"].startswith(f"<@{RELEASER.slack}>")
    assert bots.buttons(key) == ["schedule:postpone", "schedule:cancel"]
    kinds = [each.kind for each in await bots.desk.events(after=0, limit=20)]
    assert kinds.count("schedule.reminded") == 1
    await bots.at(one)
    assert bots.buttons(key) == [], "buttons leave when they are of no use any more"


async def test_what_begins_at_once_needs_no_reminder(bots: Bots) -> None:
    one = await bots.scheduled(after=timedelta(seconds=5))
    assert await bots.at(one) == 1
    assert not [key for key in bots.slack.messages if "soon" in key]


async def test_cancelled_it_never_starts_and_everybody_late_is_told_who_did(bots: Bots) -> None:
    one = await bots.scheduled()
    done = await bots.first.cancel(one.id, by=OTHER, reason="no")
    assert done.state is State.CANCELLED
    assert await bots.at(one) == 0
    assert bots.plans.asked == []
    for late in (bots.first.cancel(one.id, by=RELEASER), bots.first.postpone(one.id, by=RELEASER)):
        with pytest.raises(Conflict, match=f"cancelled by <@{OTHER.slack}>"):
            await late
    with pytest.raises(WrongUse, match="no scheduled start S9"):
        await bots.first.cancel(9, by=OTHER)


async def test_postponed_while_the_plan_was_made_it_waits_for_the_new_time(bots: Bots) -> None:
    one = await bots.scheduled()
    await bots.clock.advance((one.at - bots.clock.now()).total_seconds())
    later = await bots.first.postpone(one.id, by=OTHER)
    assert await bots.first._begin(one) == 0
    (waiting,) = await bots.first.open_ones()
    assert (waiting.state, waiting.at) == (State.WAITING, later.at)
    assert await bots.desk.active() == ()
    assert await bots.at(later) == 1


async def test_started_by_hand_from_the_question_it_is_closed_in_the_same_transaction(bots: Bots) -> None:
    one = await bots.scheduled()
    bots.plans.change(head="e" * 40)
    await bots.at(one)
    plan = bots.plans.prepared.plan
    started = await bots.desk.start(plan=plan, checklist="", by=OTHER.slack, scheduled=Ticket(one.id))
    await bots.first.turn()
    assert f"started as {started.id} by <@{OTHER.slack}>" in bots.slack.messages["scheduled-S1:asks:1"]["text"]
    assert bots.buttons("scheduled-S1:asks:1") == []
    await bots.desk.control(release=started.id, kind=DecisionKind.ABORT, by=OTHER, reason="x")
    with pytest.raises(Conflict, match=f"has started as {started.id}"):
        await bots.desk.start(plan=plan, checklist="", by=OTHER.slack, scheduled=Ticket(one.id))
    assert len(await bots.desk.history("prod", limit=10)) == 1
