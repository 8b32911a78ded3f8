from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from bot.domain.errors import Refused, Unavailable
from bot.domain.world import Check, CheckState, PullRequestInfo
from bot.settings import RepositorySettings
from integrations.github import GitHub
from sandbox.github import GitHub as Sandboxed
from sandbox.gitworld import GitWorld
from sandbox.scenarios import scenario

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.ports import CodeHost

SHA = "c" * 40
REPO = "/repos/metaspace2020/metaspace"


@dataclass
class Host:
    """GitHub's REST API as far as it is asked here, in its documented shapes."""

    statuses: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    trouble: web.Response | None = None
    seen: list[web.Request] = field(default_factory=list)
    url: str = ""
    unchanged: int = 0

    def app(self) -> web.Application:
        @web.middleware
        async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
            self.seen.append(request)
            return self.trouble or await handler(request)

        app = web.Application(middlewares=[guard])
        app.router.add_get(f"{REPO}/commits/{SHA}/statuses", self._statuses)
        app.router.add_get(f"{REPO}/commits/{SHA}/check-runs", self._runs)
        app.router.add_get(f"{REPO}/pulls/{{number}}", self._pull)
        return app

    async def _statuses(self, request: web.Request) -> web.Response:
        return self._page(request, self.statuses, lambda rows: rows)

    async def _runs(self, request: web.Request) -> web.Response:
        return self._page(request, self.runs, lambda rows: {"total_count": len(self.runs), "check_runs": rows})

    async def _pull(self, request: web.Request) -> web.Response:
        found = self.pulls.get(int(request.match_info["number"]))
        return web.json_response(found or {"message": "Not Found"}, status=200 if found else 404)

    def _page(self, request: web.Request, rows: list[dict[str, Any]], shape: Any) -> web.Response:
        etag = f'W/"{hashlib.sha256(json.dumps(rows).encode()).hexdigest()}"'
        if request.headers.get("If-None-Match") == etag:
            self.unchanged += 1
            return web.Response(status=304, headers={"ETag": etag})
        size, page = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
        more = page * size < len(rows)
        following = f'<{self.url}{request.rel_url.update_query(page=page + 1)}>; rel="next"'
        part = shape(rows[(page - 1) * size : page * size])
        return web.json_response(part, headers={"ETag": etag, **({"Link": following} if more else {})})

    def status(self, job: str, state: str, at: str = "2026-01-01T10:00:00Z") -> None:
        """Newest first, as GitHub lists them."""
        row = {"id": len(self.statuses) + 1, "context": f"ci/circleci: {job}", "state": state, "updated_at": at}
        self.statuses.insert(0, {**row, "target_url": f"https://ci/{job}"})

    def run(self, name: str, conclusion: str | None, at: str = "2026-01-01T10:00:00Z") -> None:
        row = {"id": 1000 + len(self.runs), "name": name, "html_url": f"https://run/{name}", "started_at": at}
        done = {"status": "completed", "completed_at": at} if conclusion else {"status": "in_progress"}
        self.runs.append({**row, **done, "conclusion": conclusion})

    def pull(self, number: int, **more: Any) -> None:
        shape = {"number": number, "title": f"Title {number}", "user": {"login": "octocat"}, "labels": [], "body": None}
        self.pulls[number] = {**shape, "html_url": f"https://web/{number}", **more}


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    host = Host()
    async with TestServer(host.app()) as server:
        host.url = str(server.make_url("")).rstrip("/")
        yield host


def settings(api: str, token: str = "") -> RepositorySettings:
    return RepositorySettings(
        url="x",
        mirror=Path("x"),
        github="metaspace2020/metaspace",
        github_api=api,
        github_token=SecretStr(token),
    )


async def states(host: Host) -> dict[str, str]:
    return {check.name: check.state.value for check in await GitHub(settings(host.url)).checks(sha=SHA)}


async def test_statuses_and_check_runs_are_read_by_bare_job_names(host: Host) -> None:
    host.status("test-webapp", "success")
    host.status("test-graphql", "error")
    host.run("test-engine", "success")
    host.run("ci/circleci: test-pycode-format", "timed_out")
    port: CodeHost = GitHub(settings(host.url))
    assert await port.checks(sha=SHA) == [
        Check("test-engine", CheckState.PASSED, "https://run/test-engine"),
        Check("test-graphql", CheckState.FAILED, "https://ci/test-graphql"),
        Check("test-pycode-format", CheckState.FAILED, "https://run/ci/circleci: test-pycode-format"),
        Check("test-webapp", CheckState.PASSED, "https://ci/test-webapp"),
    ]


async def test_a_commit_without_any_report_has_no_checks(host: Host) -> None:
    assert await states(host) == {}


async def test_of_one_job_the_newest_report_counts_wherever_it_came_from(host: Host) -> None:
    host.status("a", "pending", "2026-01-01T10:00:00Z")
    host.status("a", "failure", "2026-01-01T10:05:00Z")
    host.status("a", "success", "2026-01-01T11:00:00Z")
    host.status("b", "success", "2026-01-01T10:00:00Z")
    host.run("b", None, "2026-01-01T12:00:00Z")
    host.run("c", "failure", "2026-01-01T10:00:00Z")
    host.status("c", "success", "2026-01-01T11:00:00Z")
    assert await states(host) == {"a": "passed", "b": "pending", "c": "passed"}


async def test_of_two_reports_from_the_same_second_the_worse_counts(host: Host) -> None:
    host.status("a", "success")
    host.run("a", "failure")
    assert await states(host) == {"a": "failed"}


async def test_a_run_that_tested_nothing_is_no_pass(host: Host) -> None:
    for conclusion in ("success", "skipped", "neutral", "stale", "cancelled", "action_required", "startup_failure"):
        host.run(conclusion, conclusion)
    found = await states(host)
    assert [name for name, state in found.items() if state == "passed"] == ["success"]
    assert [name for name, state in found.items() if state == "missing"] == ["neutral", "skipped", "stale"]
    assert [name for name, state in found.items() if state == "failed"] == [
        "action_required",
        "cancelled",
        "startup_failure",
    ]


async def test_every_page_is_read(host: Host) -> None:
    for number in range(130):
        host.status(f"s{number}", "success")
        host.run(f"r{number}", "success")
    found = await states(host)
    assert len(found) == 260
    assert len(host.seen) == 4


async def test_asking_again_is_fresh_and_uses_the_rate_limit_only_for_what_changed(host: Host) -> None:
    for number in range(130):
        host.status(f"s{number}", "success")
    github = GitHub(settings(host.url))
    first = await github.checks(sha=SHA)
    assert await github.checks(sha=SHA) == first
    assert (len(host.seen), host.unchanged) == (6, 3)
    host.run("late", "failure")
    assert {check.name for check in await github.checks(sha=SHA)} - {check.name for check in first} == {"late"}
    assert host.unchanged == 5


@pytest.mark.parametrize("answer", [[{"context": 1}], {"message": "?"}, None, [None], "text"])
async def test_an_answer_of_another_shape_is_unavailable(host: Host, answer: object) -> None:
    host.trouble = web.json_response(answer)
    with pytest.raises(Unavailable, match="GitHub answers nonsense"):
        await GitHub(settings(host.url)).checks(sha=SHA)


async def test_pull_requests_come_with_labels_and_the_issues_they_close_and_unknown_ones_are_left_out(
    host: Host,
) -> None:
    host.pull(5, body="Closes #3, fixes metaspace2020/metaspace#4; see #9\nResolved: #3", labels=[{"name": "bug"}])
    host.pull(6, user=None)
    github = GitHub(settings(host.url))
    found = await github.pull_requests(numbers=[6, 5, 404, 5])
    assert list(found) == [6, 5]
    assert found[5] == PullRequestInfo(
        5, "Title 5", "octocat", ("bug",), str(host.pulls[5]["body"]), (3, 4), "https://web/5"
    )
    assert await github.pull_request_authors(numbers=[6, 5, 404]) == {6: "ghost", 5: "octocat"}
    assert await github.pull_request_authors(numbers=[]) == {}


async def test_many_pull_requests_are_asked_once_each(host: Host) -> None:
    for number in range(1, 41):
        host.pull(number)
    assert len(await GitHub(settings(host.url)).pull_requests(numbers=range(1, 41))) == 40
    assert len(host.seen) == 40


async def test_a_token_is_shown_only_when_there_is_one(host: Host) -> None:
    await GitHub(settings(host.url)).checks(sha=SHA)
    await GitHub(settings(host.url, token="ghp_secret")).checks(sha=SHA)
    assert [request.headers.get("Authorization") for request in host.seen] == [None, None] + ["token ghp_secret"] * 2


def limited(status: int, **headers: str) -> web.Response:
    return web.json_response({"message": "API rate limit exceeded"}, status=status, headers=headers)


@pytest.mark.parametrize("status", [403, 429])
async def test_a_used_up_rate_limit_is_told_with_the_time_when_it_ends(host: Host, status: int) -> None:
    reset = int(time.time()) + 1800
    host.trouble = limited(status, **{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)})
    with pytest.raises(Unavailable, match="rate limit is used up until") as caught:
        await GitHub(settings(host.url)).checks(sha=SHA)
    assert time.strftime("%H:%M:%S UTC", time.gmtime(reset)) in str(caught.value)
    assert "token" in caught.value.hint
    assert len(host.seen) == 1


async def test_a_secondary_limit_is_told_by_its_retry_after(host: Host) -> None:
    host.trouble = limited(403, **{"Retry-After": "60"})
    with pytest.raises(Unavailable, match="until"):
        await GitHub(settings(host.url, token="t")).checks(sha=SHA)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (401, "Bad credentials", Refused),
        (403, "Resource not accessible by personal access token", Refused),
        (404, "Not Found", Unavailable),
        (422, "No commit found for SHA: ccc", Unavailable),
        (500, "Server Error", Unavailable),
        (503, "<html>unicorn</html>", Unavailable),
    ],
)
async def test_refusals_and_breakdowns_are_told_apart_with_a_hint(
    host: Host, status: int, message: str, kind: type[Exception]
) -> None:
    host.trouble = web.json_response({"message": message}, status=status)
    with pytest.raises(kind, match="GitHub") as caught:
        await GitHub(settings(host.url, token="ghp_secret")).checks(sha=SHA)
    assert getattr(caught.value, "hint", "")
    assert "ghp_secret" not in str(caught.value)
    assert len(host.seen) == 1


async def test_an_answer_that_is_no_json_is_unavailable(host: Host) -> None:
    host.trouble = web.Response(text="[broken", content_type="application/json")
    with pytest.raises(Unavailable, match="GitHub"):
        await GitHub(settings(host.url)).checks(sha=SHA)


async def test_nobody_there_and_nobody_answering_are_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match="no connection"):
        await GitHub(settings("http://127.0.0.1:1")).checks(sha=SHA)
    monkeypatch.setattr("integrations.github.TIMEOUT", 1)
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(Unavailable, match="nothing within 1 s"):
        await GitHub(settings(f"http://127.0.0.1:{deaf.getsockname()[1]}")).checks(sha=SHA)


async def test_a_cancelled_question_leaves_the_loop_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.github.TIMEOUT", 1)
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await GitHub(settings(f"http://127.0.0.1:{deaf.getsockname()[1]}")).checks(sha=SHA)


def test_pages_for_people_are_githubs_own() -> None:
    github, web = GitHub(settings("x")), "https://github.com/metaspace2020/metaspace"
    assert github.compare_url(base="1.9.9", head=SHA) == f"{web}/compare/1.9.9...{SHA}"
    assert github.commit_url(sha=SHA) == f"{web}/commit/{SHA}"


async def test_the_sandboxs_stand_in_is_understood(tmp_path: Path) -> None:
    world = GitWorld(tmp_path, chosen=scenario("plain"))
    await world.build_code()
    head = await world.head("master")
    async with Sandboxed(world.origin) as stand_in:
        stand_in.ci.set(head, "test-webapp", "failure")
        github = GitHub(settings(stand_in.url))
        found = {check.name: check.state for check in await github.checks(sha=head)}
        assert found["test-webapp"] is CheckState.FAILED
        assert found["test-engine"] is CheckState.PASSED
        assert await github.pull_request_authors(numbers=[1514, 999_999])
