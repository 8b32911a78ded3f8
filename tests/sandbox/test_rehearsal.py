"""A plan carried out in a child process with a world of its own, as a bot would order it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bot.checklists import SHIPPED, available, catalogue
from bot.domain.errors import Unavailable
from bot.domain.planning import make_plan
from bot.engine.codec import plan_out
from bot.steps import registry as steps
from sandbox import rehearsal
from sandbox.gitworld import GitWorld
from sandbox.history import import_history
from sandbox.processes import marked
from sandbox.scenarios import history_of, scenario

if TYPE_CHECKING:
    from bot.domain.plan import Plan

pytestmark = pytest.mark.timeout(300)


async def plan_of(folder: Path, name: str) -> tuple[Plan, dict[str, Any]]:
    """A repository of that scenario, a plan to release its master, and the order that a bot would give."""
    world = GitWorld(folder, chosen=scenario(name))
    world.origin.parent.mkdir(parents=True)
    await import_history(history_of(world.scenario), world.origin)
    base, head = await world.head("release"), await world.head("master")
    registry = steps.load()
    checklist = available(None, registry, SHIPPED)["in_place"]
    plan = make_plan(
        checklist,
        catalogue=catalogue(registry, SHIPPED),
        commands=lambda _plan, _step: (),
        environment="staging",
        base=base,
        head=head,
        version="1.9.3",
        previous_version="1.9.2",
    )
    order = {
        "plan": plan_out(plan),
        "checklist": checklist.text,
        "repository": str(world.origin),
        "release": base,
        "master": head,
        "live": base,
        "required_ci": ["test-engine", "a-job-of-our-own"],
        "committer": ["releasebot", "releasebot@example.org"],
        "deadline": 240,
        "memory": 4096,
    }
    return plan, order


async def started(order: dict[str, Any]) -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox.rehearsal",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True, limit=2**22,
    )  # fmt: skip
    assert child.stdin is not None
    child.stdin.write(json.dumps(order).encode() + b"\n")
    await child.stdin.drain()
    return child


def there(root: Path) -> bool:
    return root.exists()


async def lines(child: asyncio.subprocess.Process) -> list[dict[str, Any]]:
    """Everything that it says until it has ended."""
    assert child.stdout is not None
    assert child.stdin is not None
    said = [json.loads(line) async for line in child.stdout]
    child.stdin.close()
    await child.wait()
    return said


async def test_a_harmless_plan_passes_with_every_step_of_it(tmp_path: Path) -> None:
    plan, order = await plan_of(tmp_path, "plain")
    child = await started(order)
    said = await lines(child)
    assert child.returncode == 0
    assert [one["is"] for one in said[:2]] == ["world", "up"]
    assert said[-1] == {"is": "end", "state": "passed", "note": "", "hint": ""}
    last = said[-2]["steps"]
    assert [one["key"] for one in last] == [one.key for one in plan.steps]
    assert {one["state"] for one in last} == {"done"}


async def test_a_service_that_does_not_start_fails_at_the_step_that_sees_it(tmp_path: Path) -> None:
    _, order = await plan_of(tmp_path, "crash")
    said = await lines(await started(order))
    assert said[-1]["state"] == "failed"
    assert "sm-api" in said[-1]["note"]
    (failed,) = [one for one in said[-2]["steps"] if one["state"] == "failed"]
    assert failed["key"] == "deploy"
    assert "sm-api" in failed["said"]


@pytest.mark.parametrize("how", ["the pipe closes", "SIGTERM"])
async def test_a_world_ends_with_the_bot_that_asked_for_it(tmp_path: Path, how: str) -> None:
    _, order = await plan_of(tmp_path, "plain")
    child = await started(order)
    assert child.stdout is not None
    assert child.stdin is not None
    root = Path(json.loads(await child.stdout.readline())["root"])
    assert json.loads(await child.stdout.readline()) == {"is": "up"}
    assert marked(root)
    if how == "SIGTERM":
        child.terminate()
    else:
        child.stdin.close()  # as the kernel does when the bot is killed
    await lines(child)
    assert marked(root) == []
    assert not there(root)


async def test_what_a_killed_rehearsal_left_is_swept(tmp_path: Path) -> None:
    _, order = await plan_of(tmp_path, "plain")
    child = await started(order)
    assert child.stdout is not None
    root = Path(json.loads(await child.stdout.readline())["root"])
    await child.stdout.readline()
    child.kill()
    await lines(child)
    assert marked(root)
    await rehearsal.sweep(root)
    assert marked(root) == []
    assert not there(root)
    with pytest.raises(Unavailable, match="no world's folder"):
        await rehearsal.sweep(tmp_path)


async def test_a_world_may_take_only_so_much_memory_and_time(tmp_path: Path) -> None:
    _, order = await plan_of(tmp_path, "plain")
    for bound, state, words in (
        ({"memory": 10}, "broken", "it may take 10"),
        ({"deadline": 0.5}, "failed", "within 0 s"),
    ):
        said = await lines(await started(order | bound))
        assert said[-1]["state"] == state
        assert words in said[-1]["note"]
        assert marked(Path(said[0]["root"])) == []
