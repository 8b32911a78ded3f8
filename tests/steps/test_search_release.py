"""A whole release that reindexes first: what happens meanwhile is in the new pair, and what must not be seen never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.checklists import shipped
from bot.domain.errors import Refused
from bot.domain.planning import loose_ends
from bot.ports import Ports
from bot.steps.planner import Planner
from tests.steps.search_worlds import IDS, NEWEST, OLDEST, ORDER, SearchWorld
from tests.steps.worlds import REGISTRY, World

if TYPE_CHECKING:
    from collections.abc import Callable

YIN, YANG = ("dataset-yin", "annotation-yin"), ("dataset-yang", "annotation-yang")
NEW, HIDDEN, EDITED, DELETED = "2020-02-01_10h00m00s", NEWEST, IDS[4], OLDEST


async def test_a_whole_release_ends_with_the_new_pair_alone_and_nothing_owed() -> None:
    world = SearchWorld()
    plan = await world.make_plan()
    assert [step.key for step in plan.steps] == list(ORDER)
    assert (plan.locked_from, plan.locked_until) == ("still_planned", "announce_success")
    await world.go(*ORDER)
    assert world.live == YANG
    assert set(world.indices.names) == set(YANG)
    assert world.held("dataset-yang") == set(IDS)
    assert len(world.indices.swaps) == 1
    assert len(world.indices.swaps[0]) == 4, "one request, four actions"
    assert world.platform.state.can_mutate
    assert world.platform.state.can_process_datasets
    assert world.platform.state.message is None
    assert world.reindexing.places == {}
    assert loose_ends(world.facts()) == ()
    followed = [facts["follows"]["name"] for facts in world.facts() if isinstance(facts.get("follows"), dict)]
    assert followed == ["R7-reindex-1", "R7-es_update-1", "R7-es_update-1"], (
        "told while they run, owed until they have ended"
    )


def what_happens(world: SearchWorld) -> dict[str, Callable[[], None]]:
    return {
        "private": lambda: world.people.edit(HIDDEN, public=False),
        "edited": lambda: world.people.edit(EDITED, name="another name"),
        "deleted": lambda: world.people.delete(DELETED),
        "created": lambda: world.people.create(NEW),
    }


class Watched:
    """Looks after every call of a step, whatever it is, at what readers would see."""

    def __init__(self, world: SearchWorld) -> None:
        self.world, self.wrong, self._call = world, list[str](), world.tap.call
        world.tap.call = self.call  # type: ignore[method-assign]

    async def call(self, method: str, effect: Callable[..., object], **words: object) -> object:
        try:
            return await self._call(method, effect, **words)  # type: ignore[arg-type]
        finally:
            if self.world.live == YANG:
                self._look(method)

    def _look(self, method: str) -> None:
        rows = self.world.datasets.rows
        for one, document in self.world.indices.names["dataset-yang"].documents.items():
            if one not in rows:
                self.wrong.append(f"{method}: {one} is back")
            elif document.public and not rows[one][1]:
                self.wrong.append(f"{method}: {one} is public")


@pytest.mark.parametrize("before", [*ORDER[9:16], "announce_start", "read_only"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "some seconds into it"])
async def test_at_no_moment_after_the_swap_is_a_private_dataset_public_or_a_deleted_one_back(
    before: str, *, late: bool
) -> None:
    world = SearchWorld()
    await world.make_plan()
    watched = Watched(world)
    for key in ORDER:
        if key == before:
            for happens in what_happens(world).values():
                world.clock.at(world.clock.seconds + 5, happens) if late and key == "reindex" else happens()
        await world.go(key)
    assert watched.wrong == []
    assert world.held("dataset-yang") == {NEW, *IDS} - {DELETED}
    assert world.indices.names["dataset-yang"].documents[HIDDEN].public is False
    assert world.indices.names["dataset-yang"].documents == {
        one: document
        for one, document in world.indices.names["dataset-yang"].documents.items()
        if one in world.datasets.rows
    }


async def test_what_the_daemon_wrote_to_the_old_pair_at_the_last_moment_is_carried_over() -> None:
    world = SearchWorld()
    await world.make_plan()
    await world.until("catch_up_after")
    world.datasets.rows[HIDDEN] = ("late", False, world.datasets.rows[HIDDEN][2])
    world.reindexing.write("dataset-yin", HIDDEN)
    del world.datasets.rows[DELETED]
    await world.go("catch_up_after")
    assert world.indices.names["dataset-yang"].documents[HIDDEN].public is False
    assert DELETED not in world.held("dataset-yang")


async def test_edits_that_only_the_new_pair_knows_are_not_lost_by_the_comparison() -> None:
    world = SearchWorld()
    await world.make_plan()
    await world.until("catch_up_after")
    world.people.edit(EDITED, name="newer than the old pair")
    evidence = (await world.drive("catch_up_after")).summary
    assert "indexed again from PostgreSQL" in evidence
    assert world.indices.names["dataset-yang"].documents[EDITED] != world.indices.names["dataset-yin"].documents[EDITED]


@pytest.mark.parametrize("strategy", ["reindex_before", "deploy_then_es_update"])
async def test_an_environment_without_elasticsearch_refuses_at_the_plan(strategy: str) -> None:
    world = World()
    assert isinstance(world.ports, Ports)
    planner = Planner(REGISTRY, world.environment, world.ports)
    with pytest.raises(Refused, match="name no Elasticsearch") as refused:
        planner.plan(shipped(REGISTRY)[strategy], await planner.pin(), version="1.9.10", previous_version="1.9.9")
    assert "environments.prod.elasticsearch" in refused.value.hint


async def test_fields_that_the_new_code_changes_are_parameters_of_what_compares() -> None:
    plan = await SearchWorld().make_plan()
    comparing = {step.key for step in plan.steps if step.params.get("ignored") == ["is_mono"]}
    assert comparing == {"catch_up_first", "catch_up", "catch_up_last", "swap", "catch_up_after"}


async def test_notes_may_be_approved_days_before_release_is_pushed() -> None:
    world = SearchWorld()
    await world.make_plan()
    await world.until("reindex")
    assert world.repository.branches["release"] == world.base
    assert world.repository.pushed_tags == []


async def test_with_hotfixes_to_merge_ci_is_asked_of_master_then_of_the_merge_and_of_the_merge_again_days_later() -> (
    None
):
    world = SearchWorld()
    world.diverge()
    plan = await world.make_plan()
    merge = plan.head
    world.green(merge)
    asked = {step.key: step.params.get("commit") for step in plan.steps if step.step == "ci_green"}
    assert asked == {"ci_green": world.head, "ci_green_merge": None, "ci_green_again": None}
    keys = [step.key for step in plan.steps]
    await world.go(*keys[: keys.index("push_branches") + 1])
    assert world.repository.branches == {"master": merge, "release": merge}
    assert world.outputs["ci_green"]["commit"] == merge
