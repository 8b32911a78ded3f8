from __future__ import annotations

from bot.domain.planning import ManualStep
from bot.engine.step import NotDone
from tests.steps.worlds import World, done, failure, no

KEY = "by_hand_1"


async def test_a_persons_word_is_the_evidence(world: World) -> None:
    await world.make_plan(manual_steps=[ManualStep("Run scripts/fix.py", assignee="Ada", note="ask Bob")])
    assert isinstance(await world.check(KEY), NotDone)
    question = await (await world.step(KEY)).ask(await world.context(KEY))
    assert question is not None
    assert question.title == "Run scripts/fix.py"
    assert question.detail == "ask Bob\nFor: Ada"
    assert (await world.drive(KEY, done())).facts["by"] == "U01REL"


async def test_it_cannot_be_done_stops(world: World) -> None:
    await world.make_plan(manual_steps=[ManualStep("Run scripts/fix.py")])
    assert "no access" in (await failure(world, KEY, no("no access"))).message
