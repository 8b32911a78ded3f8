"""A stand-in for CircleCI's API v2, made of the jobs' states that the GitHub stand-in reports: a rerun changes both.

Shapes follow https://circleci.com/docs/api/v2/. Control: ``POST /_control/fail {status, count?, retry_after?}``.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.forge import JOBS
from sandbox.github import SLUG, Trouble
from sandbox.httpserver import HttpServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sandbox.forge import Ci, Forge, GitCommit, Report

TOKEN = "sandbox-circleci-token"  # noqa: S105  # of the sandbox alone
PROJECT = f"gh/{SLUG}"
WORKFLOWS = {"commit": JOBS, "sci-test-on-demand": ("sci-test-on-demand",)}
_STATUS = {"success": "success", "pending": "running", "missing": "not_run"}
_PAGE = 20

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a workflow. ``frozen`` holds its jobs' states once a later run has taken its place."""

    id: str
    name: str
    sha: str
    created_at: datetime
    frozen: Mapping[str, str] = field(default_factory=dict)


class CircleCi(HttpServer):
    """One project. ``rerun_seconds`` is how long jobs take that are run again; then they succeed."""

    def __init__(self, forge: Forge, ci: Ci) -> None:
        super().__init__()
        self.forge, self.ci = forge, ci
        self.rerun_seconds = 5.0
        self.trouble: Trouble | None = None
        self.requests: list[str] = []
        self._runs: dict[str, list[Run]] = {}
        self.app.middlewares.append(self._guard)
        api = "/api/v2"
        self.app.router.add_get(f"{api}/project/{PROJECT}/pipeline", self._pipelines)
        self.app.router.add_get(f"{api}/pipeline/{{id}}/workflow", self._workflows)
        self.app.router.add_get(f"{api}/workflow/{{id}}/job", self._jobs)
        self.app.router.add_post(f"{api}/workflow/{{id}}/rerun", self._rerun)
        self.app.router.add_get(f"/pipelines/{PROJECT}/{{number}}/workflows/{{id}}{{rest:.*}}", self._shown)
        self.app.router.add_post("/_control/fail", self._set_trouble)

    def fail(self, status: int, *, count: int = 1, retry_after: int | None = None) -> None:
        """Answer the next requests with an error."""
        self.trouble = Trouble(status, count, retry_after)

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not request.path.startswith("/api/"):
            return await handler(request)
        self.requests.append(f"{request.method} {request.path_qs}")
        if request.headers.get("Circle-Token") != TOKEN:
            return _error(401, "You must log in first.")
        if self.trouble and self.trouble.count > 0:
            self.trouble.count -= 1
            wait = self.trouble.retry_after
            return _error(self.trouble.status, "trouble", {} if wait is None else {"Retry-After": str(wait)})
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return _error(404, "Not found.")

    async def _pipelines(self, request: web.Request) -> web.Response:
        branch = request.query.get("branch", "")
        unknown = branch and branch not in await self.forge.names("heads")
        commits = [] if unknown else await self.forge.log(f"refs/heads/{branch}" if branch else "--branches")
        start = int(request.query.get("page-token", 0))
        rows = [_pipeline(one, len(commits) - start - at) for at, one in enumerate(commits[start : start + _PAGE])]
        following = str(start + _PAGE) if start + _PAGE < len(commits) else None
        return web.json_response({"items": rows, "next_page_token": following})

    async def _workflows(self, request: web.Request) -> web.Response:
        commits = (await self.forge.commits()).values()
        sha = next((one.sha for one in commits if _id(one.sha) == request.match_info["id"]), None)
        if sha is None:
            raise web.HTTPNotFound
        items = [
            {
                "id": run.id,
                "name": run.name,
                "status": self._status(run),
                "created_at": _stamp(run.created_at),
                "stopped_at": None,
                "pipeline_id": request.match_info["id"],
                "pipeline_number": 1,
                "project_slug": PROJECT,
            }
            for run in self._of(sha)[::-1]
        ]
        return web.json_response({"items": items, "next_page_token": None})

    async def _jobs(self, request: web.Request) -> web.Response:
        run = self._found(request)
        items = [_job(number, one, run) for number, one in enumerate(self._reports(run).values(), 1)]
        return web.json_response({"items": items, "next_page_token": None})

    async def _rerun(self, request: web.Request) -> web.Response:
        run = self._found(request)
        failed = [name for name, one in self._reports(run).items() if one.state in ("failure", "error")]
        if not (await request.json()).get("from_failed") or not failed:
            return _error(400, "There is no failed job to run again.")
        states = {name: one.state for name, one in self._reports(run).items()}
        runs = self._of(run.sha)
        runs[runs.index(run)] = replace(run, frozen=states)
        fresh = Run(str(uuid.uuid4()), run.name, run.sha, datetime.now(UTC))
        runs.append(fresh)
        for job in failed:
            self.ci.set(run.sha, job, "pending")
            self.ci.later(self.rerun_seconds, run.sha, job, "success")
        return web.json_response({"workflow_id": fresh.id}, status=202)

    async def _shown(self, request: web.Request) -> web.Response:
        """Serve the few pages that messages link to, as plain text."""
        rows = [f"{name}: {one.state}" for name, one in self._reports(self._found(request)).items()]
        return web.Response(text="\n".join(rows))

    async def _set_trouble(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.fail(body["status"], count=body.get("count", 1), retry_after=body.get("retry_after"))
        return web.json_response({"ok": True})

    def _found(self, request: web.Request) -> Run:
        mine = [run for runs in self._runs.values() for run in runs if run.id == request.match_info["id"]]
        if not mine:
            raise web.HTTPNotFound
        return mine[0]

    def _of(self, sha: str) -> list[Run]:
        if sha not in self._runs:
            begun = datetime.now(UTC)
            self._runs[sha] = [Run(_id(f"{sha} {name}"), name, sha, begun) for name in WORKFLOWS]
        return self._runs[sha]

    def _reports(self, run: Run) -> Mapping[str, Report]:
        mine = {one.job: one for one in self.ci.all(run.sha) if one.job in WORKFLOWS[run.name]}
        return {name: replace(one, state=run.frozen.get(name, one.state)) for name, one in mine.items()}

    def _status(self, run: Run) -> str:
        states = {one.state for one in self._reports(run).values()}
        bad = bool(states & {"failure", "error"})
        if "pending" in states:
            return "failing" if bad else "running"
        return "failed" if bad else "success"


def _pipeline(commit: GitCommit, number: int) -> Json:
    return {
        "id": _id(commit.sha),
        "number": number,
        "project_slug": PROJECT,
        "state": "created",
        "created_at": commit.committed,
        "vcs": {"revision": commit.sha, "provider_name": "GitHub"},
    }


def _job(number: int, one: Report, run: Run) -> Json:
    ended = one.state not in ("pending", "missing")
    begun = _stamp(one.since or run.created_at)
    return {
        "id": _id(f"{run.id} {one.job}"),
        "name": one.job,
        "job_number": number,
        "type": "build",
        "status": _STATUS.get(one.state, "failed"),
        "started_at": None if one.state == "missing" else begun,
        "stopped_at": begun if ended else None,
        "project_slug": PROJECT,
        "dependencies": [],
    }


def _id(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"message": message}, status=status, headers=headers)
