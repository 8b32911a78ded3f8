from __future__ import annotations

from dataclasses import replace

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


async def test_a_step_that_was_put_in_asks_for_its_evidence_and_keeps_it(world: World) -> None:
    await world.make_plan(manual_steps=[ManualStep("Tell the labs", note="ask Bob")])
    params = {"title": "Tell the labs", "text": "By mail.", "evidence": "the mail", "assignee": "<@U05ADA>"}
    world.plan = replace(
        world.plan, steps=tuple(replace(s, params=params) if s.key == KEY else s for s in world.plan.steps)
    )
    question = await (await world.step(KEY)).ask(await world.context(KEY))
    assert question is not None
    assert question.detail == "By mail.\nTo be given as evidence: the mail\nFor: <@U05ADA>"
    assert question.choices[0].form == "evidence"
    evidence = await world.drive(KEY, replace(done(), reason="message 17"))
    assert evidence.facts["evidence"] == "message 17"
    assert "message 17" in evidence.summary
