from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest
from github import Auth, Github, GithubException

from sandbox.github import SLUG, GitHub
from sandbox.gitworld import GitWorld
from sandbox.history import import_history
from sandbox.programs.datasets import Datasets
from sandbox.rabbitmq import RabbitMq
from sandbox.scenarios import history_of, scenario

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from github.Repository import Repository


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[GitHub]:
    world = GitWorld(tmp_path)
    world.origin.parent.mkdir()
    await import_history(history_of(scenario("plain")), world.origin)
    async with GitHub(world.origin) as github:
        yield github


def client(hub: GitHub) -> Repository:
    return Github(base_url=hub.url, auth=Auth.Token("t0ken"), retry=None, lazy=False).get_repo(SLUG)


async def test_pygithub_reads_the_comparison_with_its_pull_requests(hub: GitHub) -> None:
    def read() -> tuple[str, list[str], list[tuple[int, str, list[str]]], set[str]]:
        repo = client(hub)
        comparison = repo.compare("release", "master")
        pulls = [next(iter(commit.get_pulls())) for commit in comparison.commits]
        facts = [(pull.number, pull.user.login, [label.name for label in pull.labels]) for pull in pulls]
        messages = [commit.commit.message for commit in comparison.commits]
        return comparison.status, messages, facts, {file.filename for file in comparison.files}

    status, messages, pulls, files = await asyncio.to_thread(read)
    assert status == "ahead"
    assert messages[0] == "[Webapp] Show the dataset's name in the title (#1510)"
    assert pulls[0] == (1510, "bo-lindqvist", [])
    assert pulls[2] == (1512, "dependabot[bot]", ["dependencies"])
    assert "metaspace/webapp/package.json" in files


async def test_ci_is_green_but_for_the_job_that_is_known_to_fail_until_told_otherwise(hub: GitHub) -> None:
    def read() -> tuple[str, dict[str, str], dict[str, str | None]]:
        commit = client(hub).get_commit("master")
        combined = commit.get_combined_status()
        statuses = {one.context: one.state for one in combined.statuses}
        return combined.state, statuses, {one.name: one.conclusion for one in commit.get_check_runs()}

    _, statuses, runs = await asyncio.to_thread(read)
    assert statuses.pop("ci/circleci: sci-test-on-demand") == "failure"
    assert set(statuses.values()) == {"success"}
    assert len(statuses) == 6
    assert runs == {}

    sha = await hub.forge.resolve("master")
    hub.ci.set(sha, "test-webapp", "pending")
    hub.ci.set(sha, "test-engine", "success", kind="check")
    hub.ci.set(sha, "test-graphql", "missing")
    _, statuses, runs = await asyncio.to_thread(read)
    assert statuses["ci/circleci: test-webapp"] == "pending"
    assert "ci/circleci: test-engine" not in statuses
    assert "ci/circleci: test-graphql" not in statuses
    assert runs == {"test-engine": "success"}


async def test_lists_come_in_pages(hub: GitHub) -> None:
    def read() -> list[int]:
        return [pull.number for pull in client(hub).get_pulls(state="closed")]

    def commits() -> int:
        return client(hub).get_commits(sha="master").totalCount

    assert await asyncio.to_thread(read) == list(range(1514, 1500, -1))
    assert await asyncio.to_thread(commits) == 15


async def test_releases_and_comments_can_be_made_once(hub: GitHub) -> None:
    def write() -> tuple[str, int]:
        repo = client(hub)
        repo.create_git_release("1.9.3", "1.9.3", "Notes")
        repo.get_issue(1510).create_comment("Released.")
        with pytest.raises(GithubException):
            repo.create_git_release("1.9.3", "again", "Notes")
        return repo.get_latest_release().tag_name, repo.get_issue(1510).get_comments().totalCount

    assert await asyncio.to_thread(write) == ("1.9.3", 1)


async def test_it_fails_on_demand_and_knows_what_it_does_not_know(hub: GitHub) -> None:
    hub.fail(502, count=1)
    with pytest.raises(GithubException, match="502"):
        await asyncio.to_thread(client, hub)
    hub.fail(403, count=1, retry_after=7)
    with pytest.raises(GithubException, match="rate limit"):
        await asyncio.to_thread(client, hub)

    def unknown() -> None:
        client(hub).get_commit("f" * 40)

    with pytest.raises(GithubException, match="404"):
        await asyncio.to_thread(unknown)


async def test_rabbitmq_counts_datasets_for_those_who_log_in(tmp_path: Path) -> None:
    datasets = Datasets(tmp_path / "datasets.json")
    datasets.fill(queued=2, annotating=1)
    async with RabbitMq(datasets) as rabbit, aiohttp.ClientSession() as session:
        async with session.get(f"{rabbit.url}/api/queues") as refused:
            assert refused.status == 401
        async with session.get(
            f"{rabbit.url}/api/queues", headers={"Authorization": "Basic Z3Vlc3Q6Z3Vlc3Q="}
        ) as response:
            queues = {queue["name"]: queue["messages_ready"] for queue in await response.json()}
    assert queues == {"sm_annotate": 2, "sm_update": 0, "sm_lithops": 0, "image_segmentation": 0}


async def test_the_pages_that_messages_link_to_are_there(hub: GitHub) -> None:
    async with aiohttp.ClientSession(f"{hub.url}") as session:
        for path in ("compare/release...master", "pull/1510", f"commit/{await hub.forge.resolve('master')}"):
            async with session.get(f"/{SLUG}/{path}") as response:
                assert response.status == 200, path
        async with session.get(f"/{SLUG}/pull/99999") as response:
            assert response.status == 404
