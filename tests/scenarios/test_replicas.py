"""Two bots share the work on PostgreSQL. Whatever is done to either of them, nothing is done twice: counted in the world."""

from __future__ import annotations

import os
import random
import time

import pytest

from sandbox.counting import counted, difference
from sandbox.history import BO
from sandbox.options import Options
from sandbox.supervisor import Pace
from sandbox.verdict import look, transcript
from sandbox.world import World
from tests.engine.postgres import Cluster, postgres
from tests.killing import LEASE
from tests.scenarios.troubled import BOTS, Trouble, carried_out, start

__all__ = ["postgres"]
ALL = os.environ.get("CHAOS") == "all"
COMMENT = "github POST /repos/metaspace2020/metaspace/issues/*/comments"
LONG = 300.0 if ALL else 1.0  # seconds of trouble at the least; a release is always finished


@pytest.mark.timeout(1800)
async def test_of_two_replicas_that_are_killed_stopped_and_woken_nothing_is_done_twice(postgres: Cluster) -> None:
    seed = os.environ.get("CHAOS_SEED", "0")
    options = Options(
        build_seconds=2,
        pace=Pace(start=0),
        database=postgres.fresh(),
        settings={"engine": {"lease": LEASE}},
        play_deadline=600,
    )
    async with World(options) as world:
        for replica in BOTS:
            await start(world, replica)
        nothing = await counted(world)
        assert await carried_out(world, await look(world), None) == []
        once = await counted(world) - nothing
        once[COMMENT] = 1  # every later release is of one pull request
        trouble = Trouble(world, LEASE, random.Random(seed))  # noqa: S311
        began = time.monotonic()
        releases = 0
        while time.monotonic() - began < LONG:
            releases += 1
            changes = {f"metaspace/webapp/src/Change{releases}.vue": "<template/>\n"}
            await world.git.push_as(BO, "master", f"[Webapp] Change {releases} (#{1600 + releases})", changes)
            await world.slack.reset()
            counts = await counted(world)
            assert await carried_out(world, await look(world), trouble) == [], trouble.done
            wrong = difference(once, await counted(world) - counts)
            assert wrong == [], f"{trouble.done}\n{transcript(await world.slack.messages(), {})}"
        taken = sorted(round(one / LEASE, 2) for one in trouble.took_over)
        print(f"seed {seed}: {releases} releases, {trouble.done}; take-over in leases of {LEASE:g} s: {taken}")
