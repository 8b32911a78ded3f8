"""GitHub, by PyGithub in threads: what CI reported, what pull requests and issues say, releases and comments."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from bot import permit
from bot.domain.errors import Conflict, Unavailable
from bot.domain.world import Check, CheckState, IssueInfo, IssueText, PublishedRelease, PullRequestInfo
from integrations.githubclient import TIMEOUT, Client, exists_already

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import github

    from bot.settings import RepositorySettings

_AT_ONCE = 4
_UNSIGNED = 20  # things to ask about without a token: of 60 questions an hour CI needs some
_PREFIX = re.compile(r"^ci/circleci:\s*")
# https://docs.github.com/issues/tracking-your-work-with-issues: the words that close an issue
_CLOSES = re.compile(
    r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)\b:?\s+"
    r"(?:(?:https?://[\w.-]+/(?P<page>[\w.-]+/[\w.-]+)/issues/)|(?P<slug>[\w.-]+/[\w.-]+)?#)(?P<number>\d{1,9})\b",
    re.IGNORECASE,
)
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
        self._client = Client(settings)
        self._slug = settings.github
        self._path = f"/repos/{settings.github}"
        self._web = f"{settings.github_web.rstrip('/')}/{settings.github}"

    async def checks(self, *, sha: str) -> Sequence[Check]:
        """Read all pages of statuses and check runs; raises `Unavailable` also for a commit that GitHub does not know yet."""
        return await self._ask(lambda client: newest(self._reports(client, sha)), f"commit {sha:.8}")

    async def pull_request_authors(self, *, numbers: Sequence[int]) -> Mapping[int, str]:
        """Ask for each pull request, a few at once."""
        found = await self.pull_requests(numbers=numbers)
        return {number: pull.author for number, pull in found.items()}

    async def pull_requests(self, *, numbers: Sequence[int]) -> Mapping[int, PullRequestInfo]:
        """Ask for each pull request, a few at once; raises `Unavailable` for many of them without a token."""
        return await self._each(numbers, "pulls", lambda raw: _pull(raw, self._slug), "pull requests")

    async def issues(self, *, numbers: Sequence[int]) -> Mapping[int, IssueInfo]:
        """Ask for each issue, as for pull requests."""
        found = await self._each(numbers, "issues", _issue, "issues")
        return {number: issue for number, issue in found.items() if isinstance(issue, IssueInfo)}

    async def published(self, *, tag: str) -> PublishedRelease | None:
        """Look for the release by its tag; GitHub shows no draft there."""
        address = f"{self._path}/releases/tags/{tag}"
        return await self._ask(lambda client: self._client.one(client, address, _published), f"release {tag}")

    async def publish(self, *, tag: str, commit: str, title: str, body: str) -> None:
        """Publish it. GitHub itself refuses a second one for a tag, and would make a tag that is missing at ``commit``."""
        facts = {"tag_name": tag, "target_commitish": commit, "name": title, "body": body}
        await self._ask(
            lambda client: _publish(client, f"{self._path}/releases", facts), f"release {tag}", writing=True
        )

    async def comments(self, *, number: int) -> Sequence[str] | None:
        """Read all pages of them."""
        return await self._ask(lambda client: self._comments(client, number), f"comments of #{number}")

    async def comment(self, *, number: int, body: str) -> None:
        """Write it; nothing tells GitHub that it is there already, so look first."""
        address, facts = f"{self._path}/issues/{number}/comments", {"body": body}
        await self._ask(
            lambda client: client.requester.requestJsonAndCheck("POST", address, input=facts),
            f"a comment on #{number}",
            writing=True,
        )

    async def find_issue(self, *, mark: str, since: datetime) -> IssueText | None:
        """Read all pages, oldest first, until one has it. GitHub's search would know of a new issue only after a while."""
        when = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        address = f"{self._path}/issues?state=all&sort=created&direction=asc&since={when}"

        def look(client: github.Github) -> IssueText | None:
            every = (_issue_text(one) for page in self._client.pages(client, address) for one in page)
            return next((one for one in every if mark in one.body), None)

        return await self._ask(look, "issues")

    async def read_issue(self, *, number: int) -> IssueText | None:
        """Ask for it; what GitHub says is unchanged comes from memory."""
        address = f"{self._path}/issues/{number}"
        return await self._ask(lambda client: self._client.one(client, address, _issue_text), f"issue #{number}")

    async def open_issue(self, *, title: str, body: str) -> IssueText:
        """Open it."""
        return await self._write("POST", f"{self._path}/issues", {"title": title, "body": body}, "an issue")

    async def edit_issue(self, *, number: int, body: str) -> None:
        """Write the whole text; whatever somebody wrote since it was read is replaced."""
        await self._write("PATCH", f"{self._path}/issues/{number}", {"body": body}, f"issue #{number}")

    async def _write(self, verb: str, address: str, facts: Mapping[str, str], what: str) -> IssueText:
        permit.demand(outliving=TIMEOUT)

        def send(client: github.Github) -> IssueText:
            _, data = client.requester.requestJsonAndCheck(verb, address, input=dict(facts))
            return _issue_text(data)

        return await self._ask(send, what, writing=True)

    def compare_url(self, *, base: str, head: str) -> str:
        """Return the page that compares two commits."""
        return f"{self._web}/compare/{base}...{head}"

    async def _ask(self, question: Callable[[github.Github], _T], what: str, *, writing: bool = False) -> _T:
        return await asyncio.to_thread(self._client.ask, question, what, writing=writing)

    async def _each(self, numbers: Sequence[int], kind: str, keep: Callable[[Any], _T], what: str) -> Mapping[int, _T]:
        """Ask for each number, a few at once; numbers that GitHub does not know are left out."""
        wanted = list(dict.fromkeys(numbers))
        if len(wanted) > _UNSIGNED and not self._client.signed_in:
            raise Unavailable(
                f"Without a token GitHub is not asked about {len(wanted)} {what}: it allows 60 questions an hour.",
                hint="set RELEASEBOT_REPOSITORY__GITHUB_TOKEN",
            )

        def some(client: github.Github, part: Sequence[int]) -> list[tuple[int, _T]]:
            found = ((number, self._client.one(client, f"{self._path}/{kind}/{number}", keep)) for number in part)
            return [(number, one) for number, one in found if one is not None]

        parts = [part for start in range(_AT_ONCE) if (part := wanted[start::_AT_ONCE])]
        asked = [self._ask(lambda client, mine=part: some(client, mine), what) for part in parts]  # type: ignore[misc]  # mypy infers no type for a lambda's default
        found = dict(pair for pairs in await asyncio.gather(*asked) for pair in pairs)
        return {number: found[number] for number in wanted if number in found}

    # -- the same, blocking

    def _reports(self, client: github.Github, sha: str) -> Iterator[_Report]:
        commit = f"{self._path}/commits/{sha}"
        for page in self._client.pages(client, f"{commit}/statuses"):
            yield from map(_from_status, page)
        for page in self._client.pages(client, f"{commit}/check-runs?filter=latest"):
            yield from map(_from_run, page["check_runs"])

    def _comments(self, client: github.Github, number: int) -> list[str] | None:
        import github

        try:
            pages = list(self._client.pages(client, f"{self._path}/issues/{number}/comments"))
        except github.UnknownObjectException:
            return None
        return [str(comment.get("body") or "") for page in pages for comment in page]


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


def _publish(client: github.Github, address: str, facts: Mapping[str, str]) -> None:
    import github

    try:
        client.requester.requestJsonAndCheck("POST", address, input=dict(facts))
    except github.GithubException as error:
        if exists_already(error):
            raise Conflict(f"GitHub has a release for {facts['tag_name']} already.", hint="look at it there") from error
        raise


def _published(raw: Any) -> PublishedRelease:
    return PublishedRelease(raw["tag_name"], raw.get("name") or "", raw.get("body") or "", raw.get("html_url") or "")


def _issue(raw: Any) -> IssueInfo | Literal[False]:
    """An issue; False for a pull request, which GitHub lists among the issues."""
    return False if "pull_request" in raw else IssueInfo(raw["number"], raw["title"], _labels(raw))


def _issue_text(raw: Any) -> IssueText:
    return IssueText(raw["number"], raw["title"], raw.get("body") or "", raw.get("html_url") or "")


def _pull(raw: Any, slug: str) -> PullRequestInfo:
    body = raw.get("body") or ""
    named = ((match["page"] or match["slug"] or slug, int(match["number"])) for match in _CLOSES.finditer(body))
    return PullRequestInfo(
        number=raw["number"],
        title=raw["title"],
        author=raw["user"]["login"] if raw.get("user") else "ghost",  # GitHub's own name for a deleted account
        labels=_labels(raw),
        body=body,
        issues=tuple(dict.fromkeys(number for where, number in named if where.casefold() == slug.casefold())),
        url=raw.get("html_url") or "",
    )


def _labels(raw: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(label["name"] for label in raw.get("labels") or ())
