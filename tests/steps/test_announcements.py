from __future__ import annotations

import pytest

from bot.domain.errors import StepFailed, Unavailable
from bot.engine.step import Done, NotDone
from tests.steps.worlds import World, failure

BOTH = pytest.mark.parametrize("key", ["announce_start", "announce_success"])


@BOTH
async def test_it_is_posted_once_and_its_link_is_evidence(world: World, key: str) -> None:
    assert isinstance(await world.check(key), NotDone)
    evidence = await world.drive(key)
    assert evidence.facts["permalink"] == f"https://slack.test/R7-{key}"
    await world.drive(key)
    assert world.announcements.posts == 1


@BOTH
async def test_another_releases_announcement_proves_nothing(world: World, key: str) -> None:
    world.announcements.posted[f"R6-{key}"] = "an older one"
    assert isinstance(await world.check(key), NotDone)


@BOTH
async def test_a_post_whose_answer_was_lost_is_found(world: World, key: str) -> None:
    world.tap.fail("post", Unavailable("Slack does not answer.", hint="retry"), after_effect=True)
    await failure(world, key)
    assert isinstance(await world.check(key), Done)
    assert world.announcements.posts == 1


@BOTH
async def test_a_post_that_slack_does_not_show_fails(world: World, key: str) -> None:
    ctx = await world.context(key)
    with pytest.raises(StepFailed, match="does not show"):
        await (await world.step(key)).verify(ctx)


async def test_the_start_names_version_place_news_and_range(world: World) -> None:
    world.outputs["notes"] = {"lines": ["[Task] <b> & #1", "two", "three", "four"], "by": "U01REL"}
    await world.drive("announce_start")
    text = world.announcements.posted["R7-announce_start"]
    assert "*METASPACE 1.9.10* to prod" in text
    assert "replaces 1.9.9" in text
    assert "• [Task] &lt;b&gt; &amp; #1" in text
    assert "… and 1 more" in text
    assert "compare" in text


async def test_the_success_names_duration_and_downtime(world: World) -> None:
    world.outputs["prove_live"] = {"commit": world.head, "partial": False}
    evidence = await world.drive("announce_success")
    text = world.announcements.posted["R7-announce_success"]
    assert "It took 4 min 10 s; 12 s downtime." in text
    assert "left out" not in text
    assert evidence.facts["downtime"] == 12.0


async def test_the_success_says_that_a_proof_was_left_out(world: World) -> None:
    await world.drive("announce_success")
    assert "left out" in world.announcements.posted["R7-announce_success"]


async def test_a_hotfix_owes_the_merge_back(world: World) -> None:
    world.diverge()
    await world.make_plan(hotfix=True, proved_live=world.base, tags=("sm-api",))
    evidence = await world.drive("announce_success")
    assert evidence.facts["owes"] == {
        "merge_back": "merge release back into master",
        "partial": "only sm-api run 1.9.10; the rest was not deployed",
    }
    assert "(hotfix) (only sm-api)" in world.announcements.posted["R7-announce_success"]
