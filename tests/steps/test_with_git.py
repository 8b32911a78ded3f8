"""The steps that push, against real Git: a bare origin and the bot's own mirrors."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Refused
from bot.engine.step import Done, NotDone, Unknown
from bot.settings import RepositorySettings
from integrations.git import GitRepository
from tests.steps.worlds import NOTES, World, failure, yes

if TYPE_CHECKING:
    from pathlib import Path

AUTHOR = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "Ada"), ("EMAIL", "a@b.c"))
}


class Origin:
    """A bare repository with a work tree beside it."""

    def __init__(self, folder: Path) -> None:
        self.bare, self.tree = folder / "origin.git", folder / "tree"
        self._run("init", "--quiet", "--bare", str(self.bare), at=folder)
        self._run("init", "--quiet", "--initial-branch=master", str(self.tree), at=folder)
        self("remote", "add", "origin", str(self.bare))

    def _run(self, *argv: str, at: Path) -> str:
        environ = {**os.environ, **AUTHOR, "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(["git", *argv], cwd=at, env=environ, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def __call__(self, *argv: str) -> str:
        return self._run(*argv, at=self.tree)

    def commit(self, name: str) -> str:
        (self.tree / name).write_text(name, encoding="utf-8")
        self("add", name)
        self("commit", "--quiet", "-m", f"Add {name}")
        return self("rev-parse", "HEAD")

    def head(self, ref: str) -> str:
        return self._run("rev-parse", ref, at=self.bare)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    """Release two commits behind master."""
    origin = Origin(tmp_path)
    origin.commit("base")
    origin("branch", "release")
    origin.commit("one")
    origin.commit("two")
    origin("push", "--quiet", "origin", "master", "release")
    return origin


def diverge(origin: Origin) -> str:
    origin("switch", "--quiet", "release")
    hotfix = origin.commit("hotfix")
    origin("push", "--quiet", "origin", "release")
    origin("switch", "--quiet", "master")
    return hotfix


def at(origin: Origin, mirror: Path, world: World | None = None) -> World:
    """Return a world whose repository is the real thing, with a mirror of its own."""
    world = world or World()
    settings = RepositorySettings(url=str(origin.bare), mirror=mirror, github="metaspace2020/metaspace")
    world.repository = GitRepository(settings)  # type: ignore[assignment]
    return world


async def release(world: World, head: str) -> None:
    world.green(head)
    for key in ("ci_green", "master_contains_release", "push_branches", "notes", "tag"):
        await world.drive(key, yes("draft") if key == "notes" else yes())


async def test_a_release_moves_release_and_makes_the_tag_and_leaves_master(origin: Origin, tmp_path: Path) -> None:
    world, master = at(origin, tmp_path / "mirror"), origin.head("master")
    await world.make_plan()
    await release(world, master)
    assert origin.head("release") == origin.head("master") == master == origin.head("1.9.10^{commit}")
    message = origin._run("tag", "--list", "--format=%(contents)", "1.9.10", at=origin.bare)
    assert message.splitlines()[0] == "> Release notes:"
    assert message.splitlines()[-1] == "Released-by: R7-tag"
    assert all(f">   {line}" in message for line in NOTES.splitlines())


async def test_a_planned_merge_is_the_same_from_any_mirror(origin: Origin, tmp_path: Path) -> None:
    hotfix, master = diverge(origin), origin.head("master")
    world = at(origin, tmp_path / "mirror")
    plan = await world.make_plan()
    assert plan.base == hotfix
    assert origin.head("master") == master, "nothing is pushed while planning"
    at(origin, tmp_path / "another mirror", world)
    world.green(master)
    await world.drive("ci_green")
    assert isinstance(await world.check("review_acknowledged", yes()), Done)
    assert isinstance(await world.check("master_contains_release"), NotDone)
    await world.drive("master_contains_release", yes())
    assert origin.head("master") == plan.head
    await release(world, plan.head)
    assert origin.head("release") == plan.head == origin.head("1.9.10^{commit}")
    assert origin._run("log", "-1", "--format=%P", plan.head, at=origin.bare) == f"{master} {hotfix}"


async def test_a_hotfix_pushed_after_the_plan_stops_the_release(origin: Origin, tmp_path: Path) -> None:
    world = at(origin, tmp_path / "mirror")
    await world.make_plan()
    diverge(origin)
    for key in ("master_contains_release", "push_branches"):
        assert isinstance(await world.check(key), Unknown)


async def test_a_hook_that_declines_is_said_and_nothing_has_moved(origin: Origin, tmp_path: Path) -> None:
    world, before = at(origin, tmp_path / "mirror"), origin.head("release")
    await world.make_plan()
    world.green(origin.head("master"))
    hook = origin.bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho protected by the team >&2\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    error = await failure(world, "push_branches")
    assert isinstance(error, Refused)
    assert "protected by the team" in error.message
    assert origin.head("release") == before
