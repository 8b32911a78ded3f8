from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.errors import HostKeyChanged, Refused
from bot.engine.step import Done, NotDone, Unknown
from tests.steps.worlds import World, failure, sha

KEY = "configuration"


async def test_up_to_date_is_done_without_a_pull(world: World) -> None:
    assert isinstance(await world.check(KEY), Done)
    await world.drive(KEY)
    assert world.playbooks.pulls == 0


async def test_behind_is_pulled(world: World) -> None:
    world.playbooks.state = replace(world.playbooks.state, remote_commit=sha("newer"))
    assert isinstance(await world.check(KEY), NotDone)
    evidence = await world.drive(KEY)
    assert evidence.facts["commit"] == sha("newer")


async def test_another_branch_is_left(world: World) -> None:
    world.playbooks.state = replace(world.playbooks.state, branch="experiment")
    await world.drive(KEY)
    assert world.playbooks.state.branch == "master"


async def test_local_changes_stop_it_and_are_named(world: World) -> None:
    world.playbooks.state = replace(world.playbooks.state, dirty=("prod/hosts",))
    result = await world.check(KEY)
    assert isinstance(result, Unknown)
    assert "prod/hosts" in result.why


async def test_changes_that_appear_meanwhile_are_refused(world: World) -> None:
    ctx = await world.context(KEY)
    world.playbooks.state = replace(world.playbooks.state, dirty=("prod/hosts",))
    with pytest.raises(Refused):
        await (await world.step(KEY)).run(ctx)


async def test_a_changed_host_key_goes_through_as_itself(world: World) -> None:
    world.tap.fail("configuration", HostKeyChanged("control shows another key.", hint="ask who changed it"))
    assert isinstance(await failure(world, KEY), HostKeyChanged)
