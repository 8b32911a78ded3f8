"""A plan carried out in a child process with a world of its own, as a bot would order it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from bot.checklists import SHIPPED, available, catalogue, parse
from bot.domain.errors import Unavailable
from bot.domain.planning import ManualStep, Merge, make_plan, merge_message
from bot.engine.codec import plan_out
from bot.settings import RepositorySettings
from bot.steps import registry as steps
from integrations.git import GitRepository
from sandbox import rehearsal
from sandbox.gitworld import GitWorld
from sandbox.history import import_history
from sandbox.processes import marked, output
from sandbox.scenarios import history_of, scenario

if TYPE_CHECKING:
    from bot.domain.plan import Plan

pytestmark = pytest.mark.timeout(600)
REGISTRY = steps.load()


async def plan_of(folder: Path, name: str) -> tuple[Plan, dict[str, Any]]:
    """A repository of that scenario, a plan to release its master, and the order that a bot would give.

    The plan has what people do: two approvals, a version to type, a step by hand; and a merge where release has its own commits.
    """
    world = GitWorld(folder, chosen=scenario(name))
    world.origin.parent.mkdir(parents=True)
    await import_history(history_of(world.scenario), world.origin)
    mirror = GitRepository(RepositorySettings(url=str(world.origin), mirror=folder / "mirror", github="a/b"))
    await mirror.fetch()
    base, master = await mirror.branch_head(branch="release"), await mirror.branch_head(branch="master")
    merge = None
    if not await mirror.is_ancestor(ancestor=base, descendant=master):
        merge = Merge(ours=master, theirs=base)
    message = merge_message(master="master", release="release")
    head = await mirror.merge(ours=master, theirs=base, message=message) if merge else master
    text = available(None, REGISTRY, SHIPPED)["in_place"].text
    text = text.replace("  - step: tag\n", "  - step: tag\n    approval: {count: 1, role: approver, typed: true}\n")
    text = text.replace("  - step: deploy\n", "  - step: deploy\n    approval: {count: 2, expires: 30m}\n")
    plan = make_plan(
        parse(text, "in_place.yml", REGISTRY, SHIPPED),
        catalogue=catalogue(REGISTRY, SHIPPED),
        commands=lambda _plan, _step: (),
        environment="staging",
        base=base,
        head=head,
        merge=merge,
        manual_steps=[ManualStep("Tell the labs", assignee="<@U0123456789>")],
        version="1.9.3",
        previous_version="1.9.2",
    )
    order = {
        "plan": plan_out(plan),
        "checklist": text,
        "repository": str(folder / "mirror"),
        "release": base,
        "master": master,
        "live": base,
        "required_ci": ["test-engine", "a-job-of-our-own"],
        "committer": ["releasebot", "releasebot@metaspace2020.org"],
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


async def test_a_plan_passes_with_every_step_of_it_also_those_of_people(tmp_path: Path) -> None:
    plan, order = await plan_of(tmp_path, "hotfix")
    before = await output(["git", "-C", order["repository"], "for-each-ref"])
    child = await started(order)
    said = await lines(child)
    assert child.returncode == 0
    assert [one["is"] for one in said[:2]] == ["world", "up"]
    assert said[-1] == {"is": "end", "state": "passed", "note": "", "hint": ""}
    last = said[-2]["steps"]
    assert [one["key"] for one in last] == [one.key for one in plan.steps]
    assert {"by_hand_1", "ci_green_merge"} <= {one["key"] for one in last}
    assert {one["state"] for one in last} == {"done"}
    assert await output(["git", "-C", order["repository"], "for-each-ref"]) == before


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


def running(root: Path) -> str:
    """The titles of all processes that name the world's folder, whatever their environment says."""
    titles = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
    return "\n".join(title for title in titles if f"{root}/" in title)


async def test_what_a_killed_rehearsal_left_is_swept(tmp_path: Path) -> None:
    _, order = await plan_of(tmp_path, "plain")
    child = await started(order)
    assert child.stdout is not None
    root = Path(json.loads(await child.stdout.readline())["root"])
    await child.stdout.readline()
    child.kill()
    await lines(child)
    assert "sshd" in running(root)
    await rehearsal.sweep(root)
    assert running(root) == ""
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
