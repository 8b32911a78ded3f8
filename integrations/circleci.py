"""CircleCI's API v2: the running pipeline of a commit, and running its failed jobs again. Every question has 10 s.

Shapes follow https://circleci.com/docs/api/v2/: pipelines of a project (``items[].id``, ``.number``, ``.vcs.revision``), their workflows
(``name``, ``status``, ``created_at``), and the jobs of those (``status``, ``started_at``, ``stopped_at``, ``job_number``). A rerun
is a new workflow of the same name in the same pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp

from bot.domain.errors import Refused, ReleaseError, Unavailable
from bot.domain.world import CheckState, PipelineJob, Workflow
from bot.telemetry import scrub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bot.settings import Settings

TIMEOUT = 10.0
_PAGES = 3  # of pipelines to look through for a commit, and of any other list
_RUNNING = {"running", "failing"}  # "on_hold" waits for a person in CircleCI
_PENDING = {"running", "queued", "not_running", "blocked", "on_hold"}
_STATES = {"success": CheckState.PASSED, "not_run": CheckState.MISSING}
_NO_PROJECT, _UNPROCESSABLE, _TOO_MANY = 404, 400, 429

Json = Mapping[str, Any]


class CircleCi:
    """Implements `bot.ports.Pipelines`."""

    def __init__(self, settings: Settings) -> None:
        """The settings must hold a token."""
        circle = settings.circleci
        self._api = circle.api.rstrip("/")
        self._slug = circle.project or f"gh/{settings.repository.github}"
        self._web = f"{circle.web.rstrip('/')}/pipelines/{self._slug}"
        self._token = circle.token.get_secret_value()

    async def workflows(self, *, sha: str, branch: str = "") -> Sequence[Workflow]:
        """Look through the newest pipelines, of one branch where it is known, for those of exactly this commit."""
        newest: dict[str, tuple[Json, Json]] = {}
        try:
            async for pipeline in self._pipelines(sha, branch):
                async for one in self._items(f"/pipeline/{_part(pipeline['id'])}/workflow"):
                    known = newest.get(one["name"])
                    if known is None or one["created_at"] > known[1]["created_at"]:
                        newest[one["name"]] = (pipeline, one)
            return [await self._workflow(pipeline, one) for pipeline, one in newest.values()]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _nonsense() from error

    async def rerun_failed(self, *, workflow: str) -> None:
        """Ask for it once; raises `Refused` with CircleCI's own words when it cannot be run again."""
        await self._ask("POST", f"/workflow/{_part(workflow)}/rerun", json={"from_failed": True})

    async def _pipelines(self, sha: str, branch: str) -> AsyncIterator[Json]:
        query = {"branch": branch} if branch else {}
        async for one in self._items(f"/project/{quote(self._slug)}/pipeline", **query):
            if (one.get("vcs") or {}).get("revision") == sha:
                yield one

    async def _workflow(self, pipeline: Json, one: Json) -> Workflow:
        url = f"{self._web}/{pipeline['number']}/workflows/{one['id']}"
        running = one["status"] in _RUNNING
        jobs = [_job(job, url, running=running) async for job in self._items(f"/workflow/{_part(one['id'])}/job")]
        return Workflow(one["id"], one["name"], one["status"], running, tuple(jobs), url)

    async def _items(self, path: str, **query: str) -> AsyncIterator[Json]:
        for _ in range(_PAGES):
            page = await self._ask("GET", path, params=query)
            for item in page["items"]:
                yield item
            if not page.get("next_page_token"):
                return
            query["page-token"] = page["next_page_token"]

    async def _ask(self, method: str, path: str, **words: Any) -> Json:
        """Ask once, on a connection of its own. The token goes into a header and nowhere else."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session,
                session.request(
                    method,
                    f"{self._api}{path}",
                    headers={"Circle-Token": self._token},
                    allow_redirects=False,
                    **words,
                ) as answer,
            ):
                text = await answer.text(errors="replace")
        except TimeoutError as error:
            raise Unavailable(f"CircleCI does not answer within {TIMEOUT:g} s.", hint=_STATUS_PAGE) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable("CircleCI does not answer (no connection).", hint=_STATUS_PAGE) from error
        if not answer.ok:
            raise self._failure(answer.status, text, answer.headers.get("Retry-After", ""))
        return _parsed(text)

    def _failure(self, status: int, text: str, wait: str) -> ReleaseError:
        words = _said(text)
        if status in (401, 403):
            return Refused(
                "CircleCI does not accept our token.", hint="set RELEASEBOT_CIRCLECI__TOKEN to a personal API token"
            )
        if status == _NO_PROJECT:
            return Refused(
                f"CircleCI knows no such thing in {self._slug}, or hides it from our token: {words}",
                hint="look at circleci.project, and whether the token's owner follows it",
            )
        if status == _TOO_MANY:
            again = datetime.now(UTC) + timedelta(seconds=int(wait)) if wait.isdigit() else None
            when = f" until {again:%H:%M:%S} UTC" if again else ""
            return Unavailable(f"CircleCI lets us ask nothing more{when}.", hint="wait, then ask again")
        if status == _UNPROCESSABLE:
            return Refused(f"CircleCI refuses: {words}", hint=f"look at it yourself: {self._web}")
        return Unavailable(f"CircleCI answers {status}: {words}", hint=_STATUS_PAGE)


_STATUS_PAGE = "https://status.circleci.com, then ask again"


def _job(job: Json, workflow_url: str, *, running: bool) -> PipelineJob:
    """Read a job. What waits in a workflow that has ended will never run."""
    status = str(job["status"])
    state = _STATES.get(status, CheckState.FAILED)
    if status in _PENDING:
        state = CheckState.PENDING if running else CheckState.MISSING
    number = job.get("job_number")
    url = f"{workflow_url}/jobs/{number}" if number else workflow_url
    return PipelineJob(job["name"], state, status, _time(job.get("started_at")), _time(job.get("stopped_at")), url)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _parsed(text: str) -> Json:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _nonsense() from error
    if not isinstance(found, dict):
        raise _nonsense()
    return found


def _said(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        return "without a reason"
    words = found.get("message") if isinstance(found, dict) else None
    return scrub(str(words or "without a reason"))[:200]


def _part(identifier: object) -> str:
    return quote(str(identifier), safe="")


def _nonsense() -> Unavailable:
    return Unavailable("CircleCI answers in an unknown form.", hint="look at circleci.api")
