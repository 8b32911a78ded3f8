"""Whatever call the bot dies before or after, driving the step again ends well, with every effect once."""

from __future__ import annotations

import pytest

from bot.domain.world import Workload
from tests.steps.fakes import Killed
from tests.steps.worlds import World, yes

ORDER = (
    "review_acknowledged",
    "ci_green",
    "master_contains_release",
    "ci_green_merge",
    "push_branches",
    "notes",
    "tag",
    "configuration",
    "workload",
    "drain",
    "announce_start",
    "deploy",
    "prove_live",
    "processing_back",
    "announce_success",
    "github_release",
    "pull_request_comments",
)
ANSWERS = {"notes": yes("draft"), "workload": yes("drain")}


async def begin() -> World:
    world = World()
    world.diverge()
    plan = await world.make_plan()
    world.green(plan.head)
    world.jobs.duration = 6
    world.platform.work = Workload(queued=1, annotating=0)
    return world


async def go(world: World, key: str) -> None:
    if key == "drain":
        world.clock.at(world.clock.seconds + 4, lambda: setattr(world.platform, "work", Workload(0, 0)))
    await world.drive(key, ANSWERS.get(key, yes()))


def effects(world: World) -> dict[str, object]:
    return {
        "branches": world.repository.branches,
        "pushes": len(world.repository.pushes),
        "tags": world.repository.pushed_tags,
        "jobs": list(world.jobs.jobs),
        "switched": [health.can_process_datasets for health in world.platform.switched],
        "posts": world.announcements.posts,
        "releases": world.code_host.releases,
        "comments": world.code_host.written,
    }


async def expected() -> tuple[dict[str, object], dict[str, int]]:
    world, calls = await begin(), {}
    for key in ORDER:
        before = len(world.tap.calls)
        await go(world, key)
        calls[key] = len(world.tap.calls) - before
    return effects(world), calls


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("victim", ORDER)
async def test_killed_at_every_call_of_a_step_every_effect_happens_once(victim: str, moment: str) -> None:
    wanted, calls = await expected()
    for call in range(1, calls[victim] + 1):
        world = await begin()
        for key in ORDER:
            if key == victim:
                world.tap.kill_at = len(world.tap.calls) + call
                world.tap.kill_after_effect = moment == "after"
                with pytest.raises(Killed):
                    await go(world, key)
            await go(world, key)
        assert effects(world) == wanted, f"killed {moment} call {call}"
