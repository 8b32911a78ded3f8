"""A stand-in for GitHub's REST API, good enough for PyGithub, made of a bare repository.

Shapes follow https://docs.github.com/rest (version 2022-11-28). Control: ``POST /_control/ci {sha, job, state, kind?}``,
``POST /_control/fail {status, count?, retry_after?}``, ``GET /_control/requests``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.domain.errors import Unavailable
from sandbox import githubjson as form
from sandbox.forge import Ci, Forge
from sandbox.githubanswers import error, number_in, page
from sandbox.githubpages import add_pages
from sandbox.httpserver import HttpServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from sandbox.history import History, Issue

SLUG = "metaspace2020/metaspace"


@dataclass
class Trouble:
    """The next ``count`` requests are answered with this status."""

    status: int
    count: int = 1
    retry_after: int | None = None


class GitHub(HttpServer):
    """One repository. ``ci`` holds the jobs' states, ``trouble`` what goes wrong next, ``requests`` what was asked."""

    def __init__(self, bare: Path, slug: str = SLUG) -> None:
        super().__init__()
        self.forge = Forge(bare)
        self.seeded: Sequence[Issue] = ()
        self.locked: set[int] = set()
        self.ci = Ci()
        self.slug = slug
        self.trouble: Trouble | None = None
        self.requests: list[str] = []
        self.releases: list[dict[str, Any]] = []
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.issues: list[dict[str, Any]] = []
        self.app.middlewares.append(self._guard)
        self._add_routes()

    def tell(self, history: History) -> None:
        """Know what a history says beside its commits: labels, texts and issues."""
        self.forge.talk, self.seeded = history.talk, history.issues

    def fail(self, status: int, *, count: int = 1, retry_after: int | None = None) -> None:
        """Answer the next requests with an error: 5xx, or 403/429 as GitHub's rate limit does."""
        self.trouble = Trouble(status, count, retry_after)

    @property
    def repo_url(self) -> str:
        """The repository's own URL."""
        return f"{self.url}/repos/{self.slug}"

    def _add_routes(self) -> None:
        repo = f"/repos/{self.slug}"
        reads: dict[str, Callable[[web.Request], Awaitable[web.Response]]] = {
            repo: self._repo,
            f"{repo}/commits": self._commits,
            f"{repo}/commits/{{sha}}": self._commit,
            f"{repo}/commits/{{sha}}/status": self._combined,
            f"{repo}/commits/{{sha}}/statuses": self._statuses,
            f"{repo}/commits/{{sha}}/check-runs": self._check_runs,
            f"{repo}/commits/{{sha}}/check-suites": self._check_suites,
            f"{repo}/commits/{{sha}}/pulls": self._pulls_of_commit,
            f"{repo}/compare/{{range:.+}}": self._compare,
            f"{repo}/pulls": self._pulls,
            f"{repo}/pulls/{{number}}": self._pull,
            f"{repo}/issues": self._issues,
            f"{repo}/issues/{{number}}": self._issue,
            f"{repo}/issues/{{number}}/comments": self._comments,
            f"{repo}/branches": self._branches,
            f"{repo}/branches/{{name}}": self._branch,
            f"{repo}/tags": self._tags,
            f"{repo}/releases": self._releases,
            f"{repo}/releases/latest": self._latest_release,
            f"{repo}/releases/tags/{{tag}}": self._release_by_tag,
            "/users/{login}": self._user,
            "/user": self._me,
            "/rate_limit": self._rate_limit,
            "/_control/requests": self._asked,
        }
        for path, handler in reads.items():
            self.app.router.add_get(path, handler)
        add_pages(self.app, self.forge, self.slug, self._open_issues)
        self.app.router.add_post(f"{repo}/releases", self._add_release)
        self.app.router.add_post(f"{repo}/issues", self._add_issue)
        self.app.router.add_patch(f"{repo}/issues/{{number}}", self._edit_issue)
        self.app.router.add_post(f"{repo}/issues/{{number}}/comments", self._add_comment)
        self.app.router.add_post("/_control/ci", self._set_ci)
        self.app.router.add_post("/_control/fail", self._set_trouble)

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path.startswith(("/_control/", f"/{self.slug}/")):
            return await handler(request)
        self.requests.append(f"{request.method} {request.path_qs}")
        if self.trouble and self.trouble.count > 0:
            return self._troubled(self.trouble)
        if request.method != "GET" and "Authorization" not in request.headers:
            return error(401, "Requires authentication")
        try:
            return await handler(request)
        except (web.HTTPNotFound, Unavailable):
            return error(404, "Not Found")

    def _troubled(self, trouble: Trouble) -> web.Response:
        trouble.count -= 1
        headers = {} if trouble.retry_after is None else {"Retry-After": str(trouble.retry_after)}
        if trouble.status in {403, 429}:
            reset = int(time.time()) + (trouble.retry_after or 1)
            headers |= {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
            return error(trouble.status, "API rate limit exceeded for installation.", headers)
        return error(trouble.status, "Server Error", headers)

    async def _repo(self, _: web.Request) -> web.Response:
        return web.json_response(form.repository(self.url, self.slug))

    async def _commits(self, request: web.Request) -> web.Response:
        sha = await self.forge.resolve(request.query.get("sha", "master"))
        return page(request, [form.commit(self.repo_url, one) for one in await self.forge.log(sha)])

    async def _commit(self, request: web.Request) -> web.Response:
        sha = await self._sha(request)
        commit = (await self.forge.log("-1", sha))[0]
        changes = await self.forge.changes(f"{sha}^", sha) if commit.parents else []
        return web.json_response(form.commit(self.repo_url, commit) | {"files": [form.file(one) for one in changes]})

    async def _combined(self, request: web.Request) -> web.Response:
        sha = await self._sha(request)
        return web.json_response(form.combined(self.repo_url, sha, self.ci.reports(sha, "status")))

    async def _statuses(self, request: web.Request) -> web.Response:
        sha = await self._sha(request)
        return page(request, [form.status(self.repo_url, sha, one) for one in self.ci.reports(sha, "status")])

    async def _check_runs(self, request: web.Request) -> web.Response:
        sha = await self._sha(request)
        runs = [form.check_run(self.repo_url, sha, one) for one in self.ci.reports(sha, "check")]
        return web.json_response({"total_count": len(runs), "check_runs": runs})

    async def _check_suites(self, request: web.Request) -> web.Response:
        sha = await self._sha(request)
        suites = [form.check_suite(self.repo_url, sha)] if self.ci.reports(sha, "check") else []
        return web.json_response({"total_count": len(suites), "check_suites": suites})

    async def _pulls_of_commit(self, request: web.Request) -> web.Response:
        sha = await self._sha(request)
        pulls = [one for one in (await self.forge.pulls()).values() if one.commit.sha == sha]
        return page(request, [form.pull(self.repo_url, one) for one in pulls])

    async def _compare(self, request: web.Request) -> web.Response:
        base, separator, head = request.match_info["range"].partition("...")
        if not separator:
            raise web.HTTPNotFound
        base, head = await self.forge.resolve(base), await self.forge.resolve(head)
        merge_base = (await self.forge.git("merge-base", base, head)).strip()
        ahead = (await self.forge.log(f"{base}..{head}"))[::-1]
        behind = int(await self.forge.git("rev-list", "--count", f"{head}..{base}"))
        known = await self.forge.commits()
        changes = await self.forge.changes(merge_base, head)
        return web.json_response(
            form.comparison(self.repo_url, known[base], known[merge_base], ahead=ahead, behind=behind, changes=changes)
        )

    async def _pulls(self, request: web.Request) -> web.Response:
        merged = request.query.get("state", "open") in {"closed", "all"}
        pulls = sorted((await self.forge.pulls()).values(), key=lambda one: -one.number) if merged else []
        return page(request, [form.pull(self.repo_url, one) for one in pulls])

    async def _pull(self, request: web.Request) -> web.Response:
        found = (await self.forge.pulls()).get(number_in(request))
        return web.json_response(form.pull(self.repo_url, found)) if found else error(404, "Not Found")

    async def _issues(self, request: web.Request) -> web.Response:
        """Open ones unless ``state`` says otherwise; those that changed since a time, by their making where that is asked."""
        state, since = request.query.get("state", "open"), request.query.get("since", "")
        chosen = [one for one in self._open_issues() if state in {"all", one["state"]} and one["updated_at"] >= since]
        newest_first = request.query.get("direction", "desc") == "desc"
        chosen.sort(key=lambda one: (one["created_at"], one["number"]), reverse=newest_first)
        return page(request, chosen)

    def _open_issues(self) -> list[dict[str, Any]]:
        seeded = [form.issue(self.repo_url, one.number, one.title, names=one.labels) for one in self.seeded]
        return [*seeded, *self.issues]

    async def _issue(self, request: web.Request) -> web.Response:
        number = number_in(request)
        found = (await self.forge.pulls()).get(number)
        if found:
            return web.json_response(form.issue_of(self.repo_url, found))
        mine = [one for one in self._open_issues() if one["number"] == number]
        return web.json_response(mine[0]) if mine else error(404, "Not Found")

    async def _add_issue(self, request: web.Request) -> web.Response:
        body = await request.json()
        number = max([*(await self.forge.pulls()), *(one["number"] for one in self._open_issues()), 0]) + 1
        self.issues.append(form.issue(self.repo_url, number, body["title"], body.get("body") or "", at=form.now()))
        return web.json_response(self.issues[-1], status=201)

    async def _edit_issue(self, request: web.Request) -> web.Response:
        mine = next((one for one in self.issues if one["number"] == number_in(request)), None)
        if mine is None:
            raise web.HTTPNotFound
        asked = await request.json()
        mine |= {key: asked[key] for key in ("title", "body", "state") if key in asked} | {"updated_at": form.now()}
        return web.json_response(mine)

    async def _comments(self, request: web.Request) -> web.Response:
        if (await self._issue(request)).status != 200:  # noqa: PLR2004  # HTTP's OK
            raise web.HTTPNotFound
        return page(request, self.comments.get(number_in(request), []))

    async def _add_comment(self, request: web.Request) -> web.Response:
        number = number_in(request)
        if number in self.locked:
            return error(403, "Unable to create comment because issue is locked.")
        mine = self.comments.setdefault(number, [])
        mine.append(form.comment(self.repo_url, len(mine) + 1, (await request.json())["body"]))
        return web.json_response(mine[-1], status=201)

    async def _branches(self, request: web.Request) -> web.Response:
        heads = await self.forge.names("heads")
        return page(request, [form.branch(self.repo_url, name, sha) for name, sha in heads.items()])

    async def _branch(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        heads = await self.forge.names("heads")
        return (
            web.json_response(form.branch(self.repo_url, name, heads[name]))
            if name in heads
            else error(404, "Not Found")
        )

    async def _tags(self, request: web.Request) -> web.Response:
        tags = await self.forge.names("tags")
        return page(request, [form.branch(self.repo_url, name, sha) for name, sha in tags.items()])

    async def _releases(self, request: web.Request) -> web.Response:
        return page(request, self.releases[::-1])

    async def _latest_release(self, _: web.Request) -> web.Response:
        return web.json_response(self.releases[-1]) if self.releases else error(404, "Not Found")

    async def _release_by_tag(self, request: web.Request) -> web.Response:
        mine = [one for one in self.releases if one["tag_name"] == request.match_info["tag"]]
        return web.json_response(mine[0]) if mine else error(404, "Not Found")

    async def _add_release(self, request: web.Request) -> web.Response:
        body = await request.json()
        if any(one["tag_name"] == body["tag_name"] for one in self.releases):
            exists = [{"resource": "Release", "code": "already_exists", "field": "tag_name"}]
            return error(422, "Validation Failed", errors=exists)
        self.releases.append(form.release(self.repo_url, len(self.releases) + 1, body))
        return web.json_response(self.releases[-1], status=201)

    async def _user(self, request: web.Request) -> web.Response:
        return web.json_response(form.user(self.url, request.match_info["login"]))

    async def _me(self, _: web.Request) -> web.Response:
        return web.json_response(form.user(self.url, "releasebot"))

    async def _rate_limit(self, _: web.Request) -> web.Response:
        return web.json_response(form.rate_limit())

    async def _asked(self, _: web.Request) -> web.Response:
        return web.json_response(self.requests)

    async def _set_ci(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.ci.set(body["sha"], body["job"], body["state"], kind=body.get("kind", "status"))
        return web.json_response({"ok": True})

    async def _set_trouble(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.fail(body["status"], count=body.get("count", 1), retry_after=body.get("retry_after"))
        return web.json_response({"ok": True})

    async def _sha(self, request: web.Request) -> str:
        return await self.forge.resolve(request.match_info["sha"])
