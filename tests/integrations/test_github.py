from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from bot import permit
from bot.domain.errors import Conflict, Refused, Unavailable
from bot.domain.world import Check, CheckState, IssueInfo, PullRequestInfo
from bot.settings import RepositorySettings
from integrations.github import GitHub
from sandbox.github import GitHub as Sandboxed
from sandbox.gitworld import GitWorld
from sandbox.scenarios import history_of, scenario

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
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
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
        app.router.add_get(f"{REPO}/issues/{{number}}", self._issue)
        return app

    async def _statuses(self, request: web.Request) -> web.Response:
        return self._page(request, self.statuses, lambda rows: rows)

    async def _runs(self, request: web.Request) -> web.Response:
        return self._page(request, self.runs, lambda rows: {"total_count": len(self.runs), "check_runs": rows})

    async def _pull(self, request: web.Request) -> web.Response:
        return self._known(request, self.pulls)

    async def _issue(self, request: web.Request) -> web.Response:
        return self._known(request, self.issues)

    def _known(self, request: web.Request, things: dict[int, dict[str, Any]]) -> web.Response:
        found = things.get(int(request.match_info["number"]))
        if found is None:
            return web.json_response({"message": "Not Found"}, status=404)
        etag = f'W/"{hashlib.sha256(json.dumps(found).encode()).hexdigest()}"'
        if request.headers.get("If-None-Match") == etag:
            self.unchanged += 1
            return web.Response(status=304, headers={"ETag": etag})
        return web.json_response(found, headers={"ETag": etag})

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


async def test_issues_of_other_repositories_are_not_ours_and_pages_are_issues_too(host: Host) -> None:
    page = "https://github.com/metaspace2020/metaspace/issues/7"
    host.pull(5, body=f"Fixes other/metaspace#3, closes METASPACE2020/metaspace#4 and resolves {page}; fix #8a")
    assert (await GitHub(settings(host.url)).pull_requests(numbers=[5]))[5].issues == (4, 7)


async def test_issues_come_with_their_labels_and_pull_requests_are_none(host: Host) -> None:
    host.issues = {
        3: {"number": 3, "title": "Masses", "labels": [{"name": "bug"}]},
        4: {"number": 4, "title": "A pull request", "labels": [], "pull_request": {"url": "x"}},
    }
    found = await GitHub(settings(host.url)).issues(numbers=[4, 3, 99])
    assert found == {3: IssueInfo(3, "Masses", ("bug",))}


async def test_many_pull_requests_are_asked_once_each_and_what_is_unchanged_costs_nothing(host: Host) -> None:
    for number in range(1, 41):
        host.pull(number)
    github = GitHub(settings(host.url, token="t"))
    first = await github.pull_requests(numbers=range(1, 41))
    assert len(first) == 40
    assert len(host.seen) == 40
    host.pulls[7]["title"] = "Changed"
    again = await github.pull_requests(numbers=range(1, 41))
    assert host.unchanged == 39
    assert again[7].title == "Changed"
    assert {**again, 7: first[7]} == first


async def test_without_a_token_many_are_not_asked_about_at_all(host: Host) -> None:
    with pytest.raises(Unavailable, match="Without a token GitHub is not asked about 21 issues") as caught:
        await GitHub(settings(host.url)).issues(numbers=range(21))
    assert "TOKEN" in caught.value.hint
    assert not host.seen


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
    monkeypatch.setattr("integrations.githubclient.TIMEOUT", 1)
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(Unavailable, match="nothing within 1 s"):
        await GitHub(settings(f"http://127.0.0.1:{deaf.getsockname()[1]}")).checks(sha=SHA)


async def test_a_cancelled_question_leaves_the_loop_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.githubclient.TIMEOUT", 1)
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await GitHub(settings(f"http://127.0.0.1:{deaf.getsockname()[1]}")).checks(sha=SHA)


def test_pages_for_people_are_githubs_own() -> None:
    github, web = GitHub(settings("x")), "https://github.com/metaspace2020/metaspace"
    assert github.compare_url(base="1.9.9", head=SHA) == f"{web}/compare/1.9.9...{SHA}"


@pytest.fixture
async def stand_in(tmp_path: Path) -> AsyncIterator[Sandboxed]:
    """The sandbox's GitHub, made of its everyday history."""
    world = GitWorld(tmp_path, chosen=scenario("plain"))
    await world.build_code()
    async with Sandboxed(world.origin) as running:
        running.tell(history_of(scenario("plain")))
        yield running


async def test_the_sandboxs_stand_in_is_understood(stand_in: Sandboxed) -> None:
    head = await stand_in.forge.resolve("master")
    stand_in.ci.set(head, "test-webapp", "failure")
    github: CodeHost = GitHub(settings(stand_in.url))
    found = {check.name: check.state for check in await github.checks(sha=head)}
    assert found["test-webapp"] is CheckState.FAILED
    assert found["test-engine"] is CheckState.PASSED
    assert await github.pull_request_authors(numbers=[1514, 999_999]) == {1514: "bo-lindqvist"}


async def test_pull_requests_and_the_issues_that_they_close_in_the_stand_in(stand_in: Sandboxed) -> None:
    github: CodeHost = GitHub(settings(stand_in.url))
    pulls = await github.pull_requests(numbers=[1510, 1511, 1512])
    assert "Release note: The page" in pulls[1510].body
    assert pulls[1511].issues == (1432,)
    assert pulls[1512].labels == ("dependencies",)
    title = "Export the annotations of a project with one button"
    assert await github.issues(numbers=[1432, 1510, 77]) == {1432: IssueInfo(1432, title, ("enhancement",))}


async def test_a_release_is_published_once_and_found_by_its_tag(stand_in: Sandboxed) -> None:
    github: CodeHost = GitHub(settings(stand_in.url, token="t"))
    assert await github.published(tag="1.9.3") is None
    head = await stand_in.forge.resolve("master")
    await github.publish(tag="1.9.3", commit=head, title="1.9.3", body="* [Task] One #1")
    found = await github.published(tag="1.9.3")
    assert found is not None
    assert (found.tag, found.title, found.body) == ("1.9.3", "1.9.3", "* [Task] One #1")
    assert found.url.endswith("/releases/tag/1.9.3")
    with pytest.raises(Conflict, match=r"release for 1\.9\.3 already"):
        await github.publish(tag="1.9.3", commit=head, title="again", body="")
    assert len(stand_in.releases) == 1
    assert stand_in.releases[0]["target_commitish"] == head


async def test_an_issue_is_opened_found_by_its_mark_read_and_edited(stand_in: Sandboxed) -> None:
    github: CodeHost = GitHub(settings(stand_in.url, token="t"))
    since = datetime.now(UTC) - timedelta(minutes=1)
    assert await github.find_issue(mark="<!-- mine -->", since=since) is None
    for number in range(101):
        await github.open_issue(title=f"Other {number}", body="<!-- other -->")
    made = await github.open_issue(title="Release 1.9.10", body="- [ ] one\n<!-- mine -->")
    assert made.url.endswith(f"/issues/{made.number}")
    assert await github.find_issue(mark="<!-- mine -->", since=since) == made
    assert await github.find_issue(mark="<!-- mine -->", since=since + timedelta(hours=1)) is None
    await github.edit_issue(number=made.number, body="- [x] one\n<!-- mine -->")
    found = await github.read_issue(number=made.number)
    assert found is not None
    assert (found.title, found.body) == ("Release 1.9.10", "- [x] one\n<!-- mine -->")
    assert await github.read_issue(number=999_999) is None
    assert (await github.issues(numbers=[made.number]))[made.number].title == "Release 1.9.10"


async def test_an_issue_is_not_written_without_a_token_nor_while_github_is_down(stand_in: Sandboxed) -> None:
    with pytest.raises(Refused, match="wants a token"):
        await GitHub(settings(stand_in.url)).open_issue(title="x", body="")
    stand_in.fail(502)
    with pytest.raises(Unavailable, match="502"):
        await GitHub(settings(stand_in.url, token="t")).open_issue(title="x", body="")
    assert stand_in.issues == []


async def test_nothing_is_written_for_who_may_no_longer(stand_in: Sandboxed) -> None:
    def lost(_outliving: float = 0.0, /) -> None:
        raise Unavailable("somebody else does it now")

    with permit.under(lost), pytest.raises(Unavailable, match="somebody else"):
        await GitHub(settings(stand_in.url, token="t")).open_issue(title="x", body="")
    assert stand_in.issues == []


async def test_comments_are_written_and_read_back_over_all_pages(stand_in: Sandboxed) -> None:
    github: CodeHost = GitHub(settings(stand_in.url, token="t"))
    assert await github.comments(number=1510) == []
    assert await github.comments(number=77) is None
    for number in range(101):
        await github.comment(number=1510, body=f"Comment {number} <!-- mark -->")
    found = await github.comments(number=1510)
    assert found is not None
    assert (len(found), found[-1]) == (101, "Comment 100 <!-- mark -->")


async def test_what_may_not_be_written_is_refused_with_what_the_token_needs(stand_in: Sandboxed) -> None:
    stand_in.locked.add(1510)
    with pytest.raises(Refused, match="write a comment on #1510: 403 Unable") as caught:
        await GitHub(settings(stand_in.url, token="t")).comment(number=1510, body="x")
    assert "write contents" in caught.value.hint
    with pytest.raises(Refused, match="wants a token") as caught:
        await GitHub(settings(stand_in.url)).publish(tag="1.9.3", commit="a" * 40, title="x", body="x")
    assert "TOKEN" in caught.value.hint
    stand_in.fail(429, retry_after=60)
    with pytest.raises(Unavailable, match="rate limit"):
        await GitHub(settings(stand_in.url, token="t")).published(tag="1.9.3")
