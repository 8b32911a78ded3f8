"""The client against the sandbox's stand-in over real HTTP, and against answers that CircleCI gives when it is unwell."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.domain.errors import Refused, ReleaseError, Unavailable
from bot.domain.world import CheckState
from bot.settings import parse
from bot.settings_example import EXAMPLE
from integrations.circleci import CircleCi
from sandbox.circleci import PROJECT, TOKEN
from sandbox.circleci import CircleCi as StandIn
from sandbox.forge import Ci, Forge
from sandbox.gitworld import GitWorld
from sandbox.scenarios import scenario

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bot.ports import Pipelines


def client(url: str, *, token: str = TOKEN, project: str = PROJECT) -> Pipelines:
    raw = yaml.safe_load(EXAMPLE)
    raw["circleci"] = {"api": f"{url}/api/v2", "web": url, "project": project, "token": token}
    return CircleCi(parse(raw))


@pytest.fixture
async def git(tmp_path: Path) -> GitWorld:
    world = GitWorld(tmp_path, chosen=scenario("plain"))
    await world.build_code()
    return world


@pytest.fixture
async def stand_in(git: GitWorld) -> AsyncIterator[StandIn]:
    async with StandIn(Forge(git.origin), Ci()) as server:
        yield server


async def test_the_newest_run_of_each_workflow_is_read_with_its_jobs(git: GitWorld, stand_in: StandIn) -> None:
    head = await git.head("master")
    stand_in.ci.set(head, "test-graphql", "pending")
    found = {one.name: one for one in await client(stand_in.url).workflows(sha=head, branch="master")}
    assert set(found) == {"commit", "sci-test-on-demand"}
    commit = found["commit"]
    assert commit.running
    jobs = {one.name: one for one in commit.jobs}
    assert jobs["test-graphql"].state is CheckState.PENDING
    assert jobs["test-graphql"].started_at is not None
    assert jobs["test-webapp"].state is CheckState.PASSED
    assert jobs["test-webapp"].url.startswith(f"{stand_in.url}/pipelines/{PROJECT}/")
    assert [one.state for one in found["sci-test-on-demand"].jobs] == [CheckState.FAILED]


async def test_only_pipelines_of_exactly_this_commit_count(git: GitWorld, stand_in: StandIn) -> None:
    assert await client(stand_in.url).workflows(sha="f" * 40) == []
    older = await git.head("release")
    assert len(await client(stand_in.url).workflows(sha=older)) == 2


async def test_failed_jobs_run_again_in_a_new_run_that_takes_the_old_ones_place(
    git: GitWorld, stand_in: StandIn
) -> None:
    stand_in.rerun_seconds = 0
    head = await git.head("master")
    stand_in.ci.set(head, "test-webapp", "failure")
    circle = client(stand_in.url)
    before = {one.name: one for one in await circle.workflows(sha=head)}["commit"]
    assert (before.status, before.running) == ("failed", False)
    await circle.rerun_failed(workflow=before.id)
    after = {one.name: one for one in await circle.workflows(sha=head)}["commit"]
    assert after.id != before.id
    assert {one.state for one in after.jobs} == {CheckState.PASSED}


async def test_what_did_not_fail_is_not_run_again(git: GitWorld, stand_in: StandIn) -> None:
    found = await client(stand_in.url).workflows(sha=await git.head("master"))
    commit = next(one for one in found if one.name == "commit")
    with pytest.raises(Refused, match="no failed job") as caught:
        await client(stand_in.url).rerun_failed(workflow=commit.id)
    assert caught.value.hint


async def test_a_wrong_token_is_said_and_not_quoted(stand_in: StandIn) -> None:
    with pytest.raises(Refused) as caught:
        await client(stand_in.url, token="canary-token").workflows(sha="f" * 40)
    assert "RELEASEBOT_CIRCLECI__TOKEN" in caught.value.hint
    assert "canary" not in f"{caught.value} {caught.value.hint}"


async def test_a_project_that_is_not_there_is_named(stand_in: StandIn) -> None:
    with pytest.raises(Refused, match="gh/other/place"):
        await client(stand_in.url, project="gh/other/place").workflows(sha="f" * 40)


@pytest.mark.parametrize(("status", "words"), [(429, "nothing more until"), (503, "answers 503")])
async def test_limits_and_failures_are_waited_out_by_people(stand_in: StandIn, status: int, words: str) -> None:
    stand_in.fail(status, retry_after=30)
    with pytest.raises(Unavailable, match=words) as caught:
        await client(stand_in.url).workflows(sha="f" * 40)
    assert caught.value.hint


async def test_a_ci_that_is_not_there_is_said() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        await client("http://127.0.0.1:1").workflows(sha="f" * 40)


@asynccontextmanager
async def answering(answers: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        answer = answers(request)
        return web.Response(text=answer) if isinstance(answer, str) else web.json_response(answer)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.mark.parametrize(
    "answer",
    ["<html>", "[]", "{}", {"items": [1], "next_page_token": None}, {"items": [{"vcs": {"revision": "f" * 40}}]}],
)
async def test_answers_in_an_unknown_form_are_an_error_of_ours_in_a_sentence(answer: Any) -> None:
    async with answering(lambda _: answer) as url:
        with pytest.raises(ReleaseError, match="unknown form") as caught:
            await client(url).workflows(sha="f" * 40)
    assert caught.value.hint


async def test_job_states_are_read_as_what_they_mean_for_a_release() -> None:
    """What waits in a run that has ended will never run."""
    statuses = {
        "success": "passed",
        "failed": "failed",
        "infrastructure_fail": "failed",
        "timedout": "failed",
        "canceled": "failed",
        "blocked": "missing",
        "queued": "missing",
        "not_run": "missing",
    }

    def answers(request: web.Request) -> Any:
        if request.path.endswith("/pipeline"):
            items: list[Any] = [{"id": "P1", "number": 7, "vcs": {"revision": "f" * 40}}]
        elif request.path.endswith("/workflow"):
            items = [{"id": "W1", "name": "commit", "status": "failed", "created_at": "2026-01-01T10:00:00Z"}]
        else:
            items = [{"name": one, "status": one, "job_number": n} for n, one in enumerate(statuses)]
        return {"items": items, "next_page_token": None}

    async with answering(answers) as url:
        (found,) = await client(url).workflows(sha="f" * 40)
    assert {one.name: one.state.value for one in found.jobs} == statuses
