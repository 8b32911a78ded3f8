"""Commands, desk and narrator together, on a real database."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.errors import Conflict
from bot.domain.readmodel import Person
from bot.engine import audit
from bot.engine.codec import question_out
from bot.engine.desk import Desk
from bot.engine.narrator import Narrator
from bot.engine.store import Store
from bot.engine.tables import QuestionRow
from tests.commands.fakes import Office, World
from tests.engine.test_narrator import Outbox
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 8, 3, 12, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, *, seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}") as opened:
        yield opened


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store, clock=Clock(), skip_of=lambda _step: "releaser")


@pytest.fixture
def world(desk: Desk) -> World:
    return World(office=Office(desk=desk))  # type: ignore[arg-type]


@pytest.fixture
def slack() -> Outbox:
    return Outbox()


def narrator(desk: Desk, slack: Outbox) -> Narrator:
    return Narrator(desk, slack, desk.bell, "C01DEV")


async def ask(store: Store) -> None:
    """Ask as the runner does."""
    opened = worlds.opened()
    async with store.writing() as session:
        row = QuestionRow(
            id="Q3", release=1, step="notes", attempt=1, question=question_out(opened.question), fingerprint="",
            asked_at=Clock().now(),
        )  # fmt: skip
        session.add(row)
        await audit.append(session, release=1, step="notes", kind="step.asked", at=Clock().now())


async def started(world: World) -> None:
    await world.type("start")
    await world.submit(version=None)


async def test_a_confirmed_plan_is_a_release_with_a_dashboard(world: World, desk: Desk, slack: Outbox) -> None:
    await started(world)
    await narrator(desk, slack).turn()
    assert "1.9.10 to prod: running" in slack.messages["R1"]["text"]
    assert (await desk.release("R1")).thread == "ts-R1"
    world.thread = "ts-R1"
    await world.type("pause")
    await world.type("resume R1")
    assert [said for said in world.voice.whispers if "Paused" in said or "Going on" in said]


async def test_two_people_click_one_is_first_and_both_are_answered(
    world: World, desk: Desk, store: Store, slack: Outbox
) -> None:
    await started(world)
    await ask(store)
    value = json.dumps({"question": "Q3", "release": "R1", "choice": 1})
    other = World(person=Person("U01TWO", "Two", frozenset({"releaser"})), office=world.office)
    results: list[Any] = await asyncio.gather(
        world.press("question:approve:wait", value),
        other.press("question:approve:wait", value),
        return_exceptions=True,
    )
    said = [*world.voice.whispers, *other.voice.whispers, *(str(one) for one in results if isinstance(one, Conflict))]
    assert sum("Your answer counts" in one for one in said) == 1
    assert sum("already answered" in one or "does not ask this any more" in one for one in said) == 1
    await narrator(desk, slack).turn()
    assert '"actions"' not in slack.messages["R1:Q3"]["blocks"]


async def test_a_second_start_is_refused_by_name(world: World) -> None:
    await started(world)
    with pytest.raises(Conflict, match=r"1\.9\.10 \(R1\) is being released"):
        await world.type("start")


async def test_an_abort_is_told_with_its_reason_and_gives_the_environment_back(
    world: World, desk: Desk, slack: Outbox
) -> None:
    await started(world)
    await world.type("abort R1 the fix is not ready")
    await narrator(desk, slack).turn()
    assert slack.messages["R1:end"]["broadcast"] is True
    assert "aborted by <@U01REL>: the fix is not ready" in slack.messages["R1:end"]["blocks"]
    assert await desk.lock_of("prod") is None
    await world.type("history")
    assert "aborted" in json.dumps(world.voice.blocks[-1])


async def test_locks_are_the_desks(world: World, desk: Desk) -> None:
    await world.type("lock Database is being moved")
    assert (await desk.lock_of("prod")) is not None
    await world.type("status")
    assert "Database is being moved" in json.dumps(world.voice.blocks[-1])
    await world.type("unlock")
    assert await desk.lock_of("prod") is None
