from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Conflict, Refused
from bot.domain.planning import Pinned

if TYPE_CHECKING:
    from tests.steps.worlds import World


async def test_masters_head_is_pinned_from_releases(world: World) -> None:
    assert await world.planner.pin() == Pinned(base=world.base, head=world.head)


async def test_master_moving_on_does_not_change_a_plan(world: World) -> None:
    plan = await world.make_plan()
    world.repository.branches["master"] = world.repository.commit("later", world.head)
    assert plan.head == world.head


async def test_hotfix_commits_lead_to_a_pinned_merge_that_is_not_pushed(world: World) -> None:
    hotfix = world.diverge()
    pinned = await world.planner.pin()
    assert pinned.merge is not None
    assert (pinned.base, pinned.merge.ours, pinned.merge.theirs) == (hotfix, world.head, hotfix)
    assert [commit.sha for commit in pinned.merge.commits] == [hotfix]
    assert world.repository.branches["master"] == world.head
    assert (await world.planner.pin()).head == pinned.head, "the same merge again"


async def test_a_hotfix_ranges_from_what_was_proved_live(world: World) -> None:
    hotfix = world.diverge()
    assert await world.planner.pin(hotfix=True, proved_live=world.base) == Pinned(world.base, hotfix)


async def test_a_hotfix_without_a_known_live_commit_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="last proved live"):
        await world.planner.pin(hotfix=True)


async def test_a_hotfix_that_is_live_is_no_release(world: World) -> None:
    with pytest.raises(Conflict, match="live already"):
        await world.planner.pin(hotfix=True, proved_live=world.base)


async def test_every_automatic_effect_shows_its_commands(world: World) -> None:
    world.diverge()
    plan = await world.make_plan()
    for key in ("master_contains_release", "push_branches", "tag", "configuration", "deploy"):
        assert plan.step(key).commands, key
    assert plan.step("master_contains_release").commands[-1].argv[-1] == f"{plan.head}:refs/heads/master"
