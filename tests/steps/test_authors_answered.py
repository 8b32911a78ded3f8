"""Open questions hold a release up only where the checklist says so; what was answered too late for the plan always does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bot.checklists import parse
from bot.engine.step import Done, NotDone
from bot.steps.authors_answered import GO_ON, WAIT
from tests.domain.test_asking import NOTHING, asked, yes
from tests.steps.worlds import REGISTRY, Stopped, failure, no
from tests.steps.worlds import yes as agree

if TYPE_CHECKING:
    from tests.steps.worlds import World

KEY = "authors_answered"
TEXT = "name: own\ntitle: Own\nsteps:\n  - step: authors_answered\n    params: {{blocking: {}}}\n"


async def plan(world: World, blocking: str = "true", planned: tuple[str, ...] = ()) -> None:
    pinned = await world.planner.pin()
    facts: dict[str, Any] = {"version": "1.9.10", "previous_version": "1.9.9"}
    known = {"pulls": [11, 12], "planned": list(planned)}
    world.plan = world.planner.plan(parse(TEXT.format(blocking), "own.yml", REGISTRY), pinned, authors=known, **facts)


async def test_nobody_asked_holds_nothing_up(world: World) -> None:
    await plan(world)
    assert (await world.drive(KEY)).summary == "Nobody was asked."


async def test_questions_about_other_pull_requests_and_environments_do_not_count(world: World) -> None:
    world.authors.questions = [asked(13), replace(asked(11), environment="staging")]
    await plan(world)
    assert (await world.drive(KEY)).summary == "Nobody was asked."


@pytest.mark.parametrize("blocking", ["false", "no"])
async def test_open_questions_are_only_told_where_the_checklist_does_not_block(world: World, blocking: str) -> None:
    world.authors.questions = [asked(11), asked(12, NOTHING)]
    await plan(world, blocking)
    evidence = await world.drive(KEY)
    assert evidence.summary == "Not answered: Ada Keller (#11)."
    assert evidence.facts["open"] == ["#11"]


async def test_in_place_tells_and_does_not_block(world: World) -> None:
    world.authors.questions = [asked(11)]
    await world.make_plan(authors={"pulls": [11], "planned": []})
    assert isinstance(await world.check(KEY), Done)


async def test_open_questions_hold_up_a_checklist_that_blocks(world: World) -> None:
    world.authors.questions = [asked(11)]
    await plan(world)
    assert isinstance(await world.check(KEY), NotDone)
    with pytest.raises(Stopped, match="asked"):
        await world.drive(KEY)
    question = await (await world.step(KEY)).ask(await world.context(KEY))
    assert question
    assert "Ada Keller (#11)" in question.detail
    assert [choice.value for choice in question.choices] == [WAIT, GO_ON, ""]
    assert question.choices[1].form == "reason"


async def test_going_on_keeps_who_and_why(world: World) -> None:
    world.authors.questions = [asked(11)]
    await plan(world)
    evidence = await world.drive(KEY, replace(agree(GO_ON), reason="she is on holiday"))
    assert evidence.summary == "Not answered: Ada Keller (#11). <@U01REL> went on: she is on holiday"
    assert evidence.facts["by"] == "U01REL"


async def test_waiting_ends_with_the_answer(world: World) -> None:
    world.authors.questions = [asked(11)]
    await plan(world)
    world.clock.at(600, lambda: world.authors.questions.__setitem__(0, asked(11, NOTHING)))
    assert (await world.drive(KEY, agree(WAIT))).summary == "All answered (1)."
    assert world.said[0][0] == "Waiting: not answered: Ada Keller (#11)"
    assert world.clock.seconds == pytest.approx(600, abs=2)


async def test_waiting_for_ever_stops_and_a_yes_that_comes_meanwhile_is_asked_about(world: World) -> None:
    world.authors.questions = [asked(11)]
    await plan(world)
    world.clock.at(600, lambda: world.authors.questions.__setitem__(0, asked(11, yes())))
    assert "Fill the colours" in (await failure(world, KEY, agree(WAIT))).message
    world.authors.questions = [asked(11)]
    assert "not answered" in (await failure(world, KEY, agree(WAIT))).message


@pytest.mark.parametrize("blocking", ["false", "true"])
async def test_a_yes_that_the_plan_lacks_is_asked_about_also_where_nothing_blocks(world: World, blocking: str) -> None:
    world.authors.questions = [asked(11, yes())]
    await plan(world, blocking, planned=("A11",))
    assert isinstance(await world.check(KEY), Done)
    await plan(world, blocking)
    question = await (await world.step(KEY)).ask(await world.context(KEY))
    assert question
    assert "Fill the colours" in question.detail
    assert [choice.value for choice in question.choices] == [GO_ON, ""]
    assert "went on" in (await world.drive(KEY, agree(GO_ON))).summary


async def test_a_no_stops(world: World) -> None:
    world.authors.questions = [asked(11)]
    await plan(world)
    assert "not today" in (await failure(world, KEY, no())).message
