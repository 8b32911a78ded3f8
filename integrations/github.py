"""GitHub, by PyGithub in threads: what CI reported for a commit, and who wrote which pull request.

A request has 15 s. Nothing is retried here and no rate limit is slept out: the person is told when GitHub answers again.
PyGithub is not safe for several threads, so every question gets a client of its own.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from bot.domain.errors import Refused, ReleaseError, Unavailable
from bot.domain.world import Check, CheckState, PullRequestInfo
from bot.telemetry import scrub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import github
    from github.PullRequest import PullRequest

    from bot.settings import RepositorySettings

TIMEOUT = 15  # seconds
_AT_ONCE = 4
_PREFIX = re.compile(r"^ci/circleci:\s*")
_CLOSES = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)\b:?\s+(?:[\w.-]+/[\w.-]+)?#(\d+)", re.IGNORECASE)
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')
_REMEMBERED = 32  # pages
_NEVER = datetime.min.replace(tzinfo=UTC)
_T = TypeVar("_T")

# https://docs.github.com/rest/commits/statuses and https://docs.github.com/rest/checks/runs: a skipped, neutral or stale
# run has tested nothing, so it is as good as missing.
_STATES = {"success": CheckState.PASSED, "pending": CheckState.PENDING}
_CONCLUSIONS = {
    "success": CheckState.PASSED,
    "skipped": CheckState.MISSING,
    "neutral": CheckState.MISSING,
    "stale": CheckState.MISSING,
}
_BAD_FIRST = (CheckState.FAILED, CheckState.PENDING, CheckState.MISSING, CheckState.PASSED)


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of an answer, GitHub's mark of its state, and the address of the page that follows."""

    etag: str
    data: Any
    following: str | None


@dataclass(frozen=True, slots=True)
class _Report:
    """One report of a job. Of two from the same second the worse one counts."""

    check: Check
    at: datetime
    number: int

    @property
    def rank(self) -> tuple[datetime, int, int]:
        return self.at, len(_BAD_FIRST) - _BAD_FIRST.index(self.check.state), self.number


class GitHub:
    """Implements `bot.ports.CodeHost`."""

    def __init__(self, settings: RepositorySettings) -> None:
        self._settings = settings
        self._seen: dict[str, _Page] = {}
        self._path = f"/repos/{settings.github}"
        self._web = f"{settings.github_web.rstrip('/')}/{settings.github}"

    async def checks(self, *, sha: str) -> Sequence[Check]:
        """Read all pages of statuses and check runs; raises `Unavailable` also for a commit that GitHub does not know yet."""
        return await asyncio.to_thread(self._ask, lambda client: newest(self._reports(client, sha)), f"commit {sha:.8}")

    async def pull_request_authors(self, *, numbers: Sequence[int]) -> Mapping[int, str]:
        """Ask for each pull request, a few at once."""
        found = await self.pull_requests(numbers=numbers)
        return {number: pull.author for number, pull in found.items()}

    async def pull_requests(self, *, numbers: Sequence[int]) -> Mapping[int, PullRequestInfo]:
        """Return the pull requests of these numbers as GitHub has them; unknown ones are left out."""
        wanted = list(dict.fromkeys(numbers))
        parts = [part for start in range(_AT_ONCE) if (part := wanted[start::_AT_ONCE])]
        asked = [asyncio.to_thread(self._ask, lambda c, p=part: self._pulls(c, p), "pull requests") for part in parts]
        found = {pull.number: pull for pulls in await asyncio.gather(*asked) for pull in pulls}
        return {number: found[number] for number in wanted if number in found}

    def compare_url(self, *, base: str, head: str) -> str:
        """Return the page that compares two commits."""
        return f"{self._web}/compare/{base}...{head}"

    def commit_url(self, *, sha: str) -> str:
        """Return the page of a commit."""
        return f"{self._web}/commit/{sha}"

    # -- the same, blocking

    def _reports(self, client: github.Github, sha: str) -> Iterator[_Report]:
        commit = f"{self._path}/commits/{sha}"
        for page in self._pages(client, f"{commit}/statuses"):
            yield from map(_from_status, page)
        for page in self._pages(client, f"{commit}/check-runs?filter=latest"):
            yield from map(_from_run, page["check_runs"])

    def _pages(self, client: github.Github, address: str) -> Iterator[Any]:
        """Yield each page's JSON. What GitHub says is unchanged comes from memory, and does not use up the rate limit."""
        following: str | None = f"{address}{'&' if '?' in address else '?'}per_page=100"
        while following:
            known = self._seen.get(following)
            condition = {"If-None-Match": known.etag} if known else {}
            headers, data = client.requester.requestJsonAndCheck("GET", following, headers=condition)
            if known is None or data is not None:
                known = _Page(headers.get("etag", ""), data, _next(headers.get("link", "")))
            self._remember(following, known)
            yield known.data
            following = known.following

    def _remember(self, address: str, page: _Page) -> None:
        self._seen.pop(address, None)
        if page.etag:
            self._seen[address] = page
        while len(self._seen) > _REMEMBERED:
            self._seen.pop(next(iter(self._seen)), None)

    def _pulls(self, client: github.Github, numbers: Sequence[int]) -> list[PullRequestInfo]:
        import github

        found = []
        for number in numbers:
            try:
                pull = client.get_repo(self._settings.github).get_pull(number)
                found.append(_info(pull))
            except github.UnknownObjectException:
                continue
        return found

    def _ask(self, question: Callable[[github.Github], _T], what: str) -> _T:
        import github
        import requests

        token = self._settings.github_token.get_secret_value()
        try:
            with github.Github(
                base_url=self._settings.github_api.rstrip("/"),
                auth=github.Auth.Token(token) if token else None,
                timeout=TIMEOUT,
                retry=None,
                per_page=100,
                seconds_between_requests=None,
                lazy=True,
            ) as client:
                return question(client)
        except github.GithubException as error:
            raise self._failure(error, what, signed_in=bool(token)) from error
        except requests.RequestException as error:
            raise Unavailable(
                f"GitHub does not answer ({_reason(error)}).", hint="https://www.githubstatus.com, then retry"
            ) from error
        except (ValueError, LookupError, TypeError, RuntimeError, AssertionError) as error:
            raise Unavailable(
                f"GitHub answers nonsense: {scrub(str(error))[:200]}", hint="look at repository.github_api, then retry"
            ) from error

    def _failure(self, error: github.GithubException, what: str, *, signed_in: bool) -> ReleaseError:
        headers = {key.lower(): value for key, value in (error.headers or {}).items()}
        if _is_limit(error, headers):
            advice = "" if signed_in else "; with a token (RELEASEBOT_REPOSITORY__GITHUB_TOKEN) it allows far more"
            again = _resets(headers)
            return Unavailable(
                f"GitHub's rate limit is used up{f' until {again}' if again else ''}.", hint=f"retry then{advice}"
            )
        said = f"{error.status} {_words(error)}".strip()
        match error.status:
            case 401:
                return Refused("GitHub does not accept our token.", hint="renew RELEASEBOT_REPOSITORY__GITHUB_TOKEN")
            case 403:
                return Refused(f"GitHub does not let us read {what}: {said}", hint="look at what the token may read")
            case 404 | 422:
                hint = "was it pushed just now? retry; else look at repository.github and what the token may read"
                return Unavailable(f"{self._settings.github} has no {what} on GitHub ({said}).", hint=hint)
            case _:
                return Unavailable(f"GitHub answers {said}.", hint="https://www.githubstatus.com, then retry")


def newest(reports: Iterator[_Report]) -> list[Check]:
    """Return the newest report of each job, by name: a status and a check run of one name are the same job."""
    best: dict[str, _Report] = {}
    for report in reports:
        other = best.get(report.check.name)
        if other is None or report.rank > other.rank:
            best[report.check.name] = report
    return [best[name].check for name in sorted(best)]


def _from_status(status: Mapping[str, Any]) -> _Report:
    name = _PREFIX.sub("", status["context"])
    state = _STATES.get(status["state"], CheckState.FAILED)
    return _Report(Check(name, state, status.get("target_url") or ""), _time(status.get("updated_at")), status["id"])


def _from_run(run: Mapping[str, Any]) -> _Report:
    done = run["status"] == "completed"
    state = _CONCLUSIONS.get(run["conclusion"] or "", CheckState.FAILED) if done else CheckState.PENDING
    at = (run.get("completed_at") if done else None) or run.get("started_at")
    check = Check(_PREFIX.sub("", run["name"]), state, run.get("html_url") or run.get("details_url") or "")
    return _Report(check, _time(at), run["id"])


def _time(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else _NEVER


def _next(link: str) -> str | None:
    found = _NEXT.search(link)
    return found[1] if found else None


def _info(pull: PullRequest) -> PullRequestInfo:
    title = pull.title  # the first look asks GitHub
    body = pull.body or ""
    return PullRequestInfo(
        number=pull.number,
        title=title,
        author=pull.user.login if pull.user else "ghost",  # GitHub's own name for a deleted account
        labels=tuple(label.name for label in pull.labels),
        body=body,
        issues=tuple(dict.fromkeys(int(number) for number in _CLOSES.findall(body))),
        url=pull.html_url,
    )


def _is_limit(error: github.GithubException, headers: Mapping[str, str]) -> bool:
    """Primary and secondary limits (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api)."""
    if error.status not in (403, 429):
        return False
    used_up = headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers
    return error.status == 429 or used_up or "rate limit" in _words(error).lower()  # noqa: PLR2004  # HTTP's number


def _resets(headers: Mapping[str, str]) -> str:
    now = datetime.now(UTC)
    wait, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
    seconds = now.timestamp() + int(wait) if wait.isdigit() else int(reset) if reset.isdigit() else 0
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S} UTC" if seconds else ""


def _words(error: github.GithubException) -> str:
    data = error.data
    words = data.get("message") or data.get("data") if isinstance(data, dict) else data
    return scrub(str(words or ""))[:200]


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return f"nothing within {TIMEOUT} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    return "no connection" if isinstance(error, requests.ConnectionError) else type(error).__name__
