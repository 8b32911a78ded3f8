"""Going back: exactly the proved commit is deployed, branches and tags stay, and what is owed is said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.checklists import shipped
from bot.domain.errors import StepFailed
from bot.domain.planning import GoingBack, Pinned, rolls_back
from bot.engine.step import Done
from bot.steps.push_branches import OWED
from tests.steps.worlds import REGISTRY, Stopped, World, no, yes

if TYPE_CHECKING:
    from bot.domain.plan import Plan

ORDER = ("roll_back_agreed", "announce_start", "deploy", "prove_live", "processing_back", "announce_success")


async def released() -> World:
    """Release is at the head, and the head is what the server has; base was proved live before."""
    world = World()
    world.repository.branches["release"] = world.head
    world.server.commit = world.head
    world.plan = planned(world)
    return world


def planned(world: World, **changes: object) -> Plan:
    return world.planner.plan(
        shipped(REGISTRY)["roll_back"],
        Pinned(base=world.head, head=world.base),
        version="1.9.9",
        previous_version="1.9.10",
        **{"back": GoingBack("R6"), **changes},  # type: ignore[arg-type]
    )


async def test_the_old_commit_is_live_again_and_nothing_is_moved() -> None:
    world = await released()
    branches, tags = dict(world.repository.branches), dict(world.repository.pushed_tags)
    proofs = {key: await world.drive(key, yes(typed="1.9.9")) for key in ORDER}
    assert world.server.commit == world.base
    assert dict(world.repository.branches) == branches
    assert dict(world.repository.pushed_tags) == tags
    assert len(world.repository.pushes) == 0
    assert proofs["deploy"].facts["owes"] == OWED
    assert "settles" not in proofs["deploy"].facts
    start, success = (world.announcements.posted[f"R7-announce_{which}"] for which in ("start", "success"))
    assert "back from 1.9.10" in start
    assert "is live on prod again" in success


async def test_the_commands_name_the_very_commit() -> None:
    world = await released()
    assert world.plan is not None
    (command,) = world.plan.step("deploy").commands
    assert any(world.base in word for word in command.argv)
    assert rolls_back(world.plan) == "R6"
    assert rolls_back(replace(world.plan, head=world.head)) == "", "the permission is for one commit alone"
    assert world.plan.fingerprint != planned(world, back=GoingBack("R5")).fingerprint


async def test_without_the_permission_of_its_plan_an_old_commit_is_not_deployed() -> None:
    world = await released()
    world.plan = planned(world, back=None)
    with pytest.raises(Stopped, match="origin's release"):
        await world.drive("deploy")
    assert not world.jobs.jobs


async def test_a_commit_that_release_does_not_contain_is_not_deployed() -> None:
    world = await released()
    world.repository.branches["release"] = world.repository.commit("elsewhere")
    with pytest.raises(Stopped, match="origin's release"):
        await world.drive("deploy")
    assert not isinstance(await world.check("roll_back_agreed", yes()), Done)


async def test_a_no_changes_nothing() -> None:
    world = await released()
    with pytest.raises(StepFailed, match="said no"):
        await world.drive("roll_back_agreed", no())
    assert not world.jobs.jobs


async def test_processing_that_the_release_before_had_switched_off_is_given_back() -> None:
    world = await released()
    found = {"how": "drain", "can_process_datasets": True, "can_mutate": True, "message": None, "by": "U01REL"}
    world.plan = planned(world, back=GoingBack("R6", found))
    health = await world.platform.health()
    await world.platform.set_health(health=replace(health, can_process_datasets=False))
    await world.drive("processing_back")
    assert (await world.platform.health()).can_process_datasets


async def test_draining_is_asked_for() -> None:
    world = await released()
    assert "drain" not in {step.key for step in planned(world).steps}
    assert [step.key for step in planned(world, parts=["drain"]).steps][:3] == ["roll_back_agreed", "workload", "drain"]
