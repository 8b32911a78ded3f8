"""The CircleCI stand-in and the GitHub stand-in tell of the same jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from sandbox.circleci import PROJECT, TOKEN, CircleCi
from sandbox.forge import Ci, Forge
from sandbox.gitworld import GitWorld
from sandbox.scenarios import scenario

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def git(tmp_path: Path) -> GitWorld:
    world = GitWorld(tmp_path, chosen=scenario("plain"))
    await world.build_code()
    return world


@pytest.fixture
async def circle(git: GitWorld) -> AsyncIterator[CircleCi]:
    async with CircleCi(Forge(git.origin), Ci()) as server:
        yield server


async def ask(circle: CircleCi, path: str, *, method: str = "GET", token: str = TOKEN, **words: Any) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{circle.url}/api/v2/{path}", headers={"Circle-Token": token}, **words) as answer,
    ):
        return answer.status, await answer.json()


async def commit_workflow(circle: CircleCi, sha: str) -> dict[str, Any]:
    _, pipelines = await ask(circle, f"project/{PROJECT}/pipeline?branch=master")
    mine = next(one for one in pipelines["items"] if one["vcs"]["revision"] == sha)
    _, workflows = await ask(circle, f"pipeline/{mine['id']}/workflow")
    return next(one for one in workflows["items"] if one["name"] == "commit")


async def test_a_rerun_makes_the_failed_job_pending_and_then_green_for_github_too(
    git: GitWorld, circle: CircleCi
) -> None:
    head = await git.head("master")
    circle.ci.set(head, "test-webapp", "failure")
    circle.rerun_seconds = 1000
    failed = await commit_workflow(circle, head)
    assert failed["status"] == "failed"
    status, answer = await ask(circle, f"workflow/{failed['id']}/rerun", method="POST", json={"from_failed": True})
    assert status == 202
    again = await commit_workflow(circle, head)
    assert (again["id"], again["status"]) == (answer["workflow_id"], "running")
    assert {one.job: one.state for one in circle.ci.reports(head, "status")}["test-webapp"] == "pending"
    circle.ci.later(0, head, "test-webapp", "success")
    assert (await commit_workflow(circle, head))["status"] == "success"
    assert {one.job: one.state for one in circle.ci.reports(head, "status")}["test-webapp"] == "success"


async def test_the_list_of_pipelines_has_pages_and_a_branch(git: GitWorld, circle: CircleCi) -> None:
    _, page = await ask(circle, f"project/{PROJECT}/pipeline")
    assert len(page["items"]) <= 20
    _, release = await ask(circle, f"project/{PROJECT}/pipeline?branch=release")
    assert release["items"][0]["vcs"]["revision"] == await git.head("release")
    assert (await ask(circle, f"project/{PROJECT}/pipeline?branch=nope"))[1]["items"] == []


async def test_without_the_token_nothing_is_told(circle: CircleCi) -> None:
    assert (await ask(circle, f"project/{PROJECT}/pipeline", token="other"))[0] == 401


async def test_what_is_not_there_is_not_found(circle: CircleCi) -> None:
    assert (await ask(circle, "workflow/none/job"))[0] == 404
    assert (await ask(circle, "pipeline/none/workflow"))[0] == 404
