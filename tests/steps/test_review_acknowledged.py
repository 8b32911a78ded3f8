from __future__ import annotations

import pytest

from bot.engine.step import Done, NotDone
from tests.steps.worlds import Stopped, World, failure, no, sha, yes

KEY = "review_acknowledged"


async def test_nobody_has_confirmed_at_first(world: World) -> None:
    assert isinstance(await world.check(KEY), NotDone)


async def test_it_is_done_once_a_person_confirms(world: World) -> None:
    evidence = await world.drive(KEY, yes())
    assert evidence.facts["by"] == "U01REL"


async def test_without_an_answer_it_waits(world: World) -> None:
    with pytest.raises(Stopped, match="asked"):
        await world.drive(KEY)


async def test_a_no_stops_it_and_names_who_and_why(world: World) -> None:
    error = await failure(world, KEY, no("the author is away"))
    assert "U02APP" in error.message
    assert "the author is away" in error.message


async def test_the_question_names_range_link_and_basis(world: World) -> None:
    question = await (await world.step(KEY)).ask(await world.context(KEY))
    assert question is not None
    assert world.base[:8] in question.detail
    assert "compare" in question.detail
    assert len(question.basis) == 2


async def test_a_confirmation_does_not_count_after_release_moved(world: World) -> None:
    await world.make_plan()
    world.repository.branches["release"] = sha("middle")
    result = await world.check(KEY, yes())
    assert isinstance(result, NotDone)
    assert "release is where the plan saw it" in result.reason


async def test_a_confirmation_counts_when_master_went_on(world: World) -> None:
    await world.make_plan()
    world.repository.branches["master"] = world.repository.commit("later", world.head)
    assert isinstance(await world.check(KEY, yes()), Done)


async def test_it_still_counts_after_the_release_branch_was_pushed(world: World) -> None:
    await world.make_plan()
    world.repository.branches["release"] = world.head
    assert isinstance(await world.check(KEY, yes()), Done)


async def test_a_hotfix_rests_on_release_being_at_its_head(world: World) -> None:
    hotfix = world.diverge()
    plan = await world.make_plan(hotfix=True, proved_live=world.base)
    assert plan.head == hotfix
    assert isinstance(await world.check(KEY, yes()), Done)
    world.repository.branches["release"] = world.repository.commit("another hotfix", hotfix)
    assert isinstance(await world.check(KEY, yes()), NotDone)
