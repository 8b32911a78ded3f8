"""Whatever call the bot dies before or after in a release that reindexes first, going on ends well, with every effect once."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import pytest

from tests.steps.fakes import Killed
from tests.steps.search_worlds import IDS, NEWEST, OLDEST, ORDER, SearchWorld
from tests.steps.worlds import yes

IN_PLACE = frozenset(
    {"review_acknowledged", "ci_green", "master_contains_release", "authors_answered", "configuration"}
)
VICTIMS = tuple(
    key for key in ORDER if key not in IN_PLACE | {"notes", "tag", "push_branches", "deploy", "prove_live", *ORDER[-2:]}
)


async def go(world: SearchWorld, key: str) -> None:
    answers = {}
    if key == "drop_earlier" and "dataset-yang" in world.indices.names:
        question = await (await world.step(key)).ask(await world.context(key))
        assert question is not None
        answers[key] = yes(question.choices[0].value, typed="dataset-yang")
    await world.go(key, **answers)


def happens(world: SearchWorld, key: str) -> None:
    """People are at work before each of these steps."""
    match key:
        case "drop_earlier":
            world.indices.add("dataset-yang", made_by="R3-create_inactive")
        case "catch_up":
            world.people.edit(NEWEST, public=False)
            world.people.delete(OLDEST)
        case "read_only":
            world.people.edit(IDS[4], name="late")
        case "catch_up_after":
            world.datasets.rows[IDS[5]] = ("later", False, 5)
            world.reindexing.write("dataset-yin", IDS[5])
        case _:
            pass


def effects(world: SearchWorld) -> dict[str, object]:
    made = {name: (one.made_by, sorted(one.documents.items())) for name, one in world.indices.names.items()}
    return {
        "aliases": world.live,
        "swaps": len(world.indices.swaps),
        "dropped": len(world.indices.dropped),
        "made": world.indices.made,
        "indices": made,
        "jobs": list(world.web_jobs.jobs),
        "indexed": {name: work.done for name, work in world.reindexing.work.items() if name != "R7-es_update-1"},
        "places": list(world.reindexing.places),
        "removed": world.reindexing.removed,
        "switched": [(one.can_mutate, one.can_process_datasets) for one in world.platform.switched],
        "posts": world.announcements.posts,
    }


@cache
def _snapshots() -> dict[str, SearchWorld]:
    return {}


async def before(victim: str) -> SearchWorld:
    """A world in which everything before the step is done: each is driven once, and copied."""
    known = _snapshots()
    if victim not in known:
        place = ORDER.index(victim)
        if place == 0:
            known[victim] = SearchWorld()
            await known[victim].make_plan()
        else:
            world = deepcopy(await before(ORDER[place - 1]))
            await go(world, ORDER[place - 1])
            happens(world, victim)
            known[victim] = world
    return deepcopy(known[victim])


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("victim", VICTIMS)
async def test_killed_at_every_call_of_a_step_every_effect_happens_once(victim: str, moment: str) -> None:
    world = await before(victim)
    begun = len(world.tap.calls)
    await go(world, victim)
    wanted, calls = effects(world), len(world.tap.calls) - begun
    assert calls
    for call in range(1, calls + 1):
        world = await before(victim)
        world.tap.kill_at, world.tap.kill_after_effect = len(world.tap.calls) + call, moment == "after"
        try:
            await go(world, victim)
        except Killed:
            world.tap.kill_at = None
            await go(world, victim)
        assert effects(world) == wanted, f"killed {moment} call {call}: {world.tap.calls[-1]}"
