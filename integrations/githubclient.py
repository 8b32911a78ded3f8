"""Asking GitHub, by PyGithub: pages, what is unchanged from memory, and every failure as one of ours.

A request has 15 s. Nothing is retried here and no rate limit is slept out: the person is told when GitHub answers again.
PyGithub is not safe for several threads, so every question gets a client of its own. Everything here blocks.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from bot.domain.errors import Refused, ReleaseError, Unavailable
from bot.telemetry import scrub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import github

    from bot.settings import RepositorySettings

TIMEOUT = 15  # seconds
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')
_REMEMBERED = 512  # answers
_RIGHTS = "the token needs to write contents (releases), issues and pull requests (comments)"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of an answer, GitHub's mark of its state, and the address of the page that follows."""

    etag: str
    data: Any
    following: str | None


def whole(data: Any) -> Any:
    """Keep all of an answer."""
    return data


class Client:
    """One repository's questions to GitHub, from any thread."""

    def __init__(self, settings: RepositorySettings) -> None:
        self._settings = settings
        self._seen: dict[str, _Page] = {}
        self._lock = threading.Lock()

    @property
    def signed_in(self) -> bool:
        """Whether we have a token: without one GitHub allows 60 questions an hour."""
        return bool(self._settings.github_token.get_secret_value())

    def ask(self, question: Callable[[github.Github], _T], what: str, *, writing: bool = False) -> _T:
        """Put a question to GitHub; raises `Unavailable`, or `Refused` where it says no. ``what`` names its subject."""
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
            raise self._failure(error, what, writing=writing) from error
        except requests.RequestException as error:
            raise Unavailable(
                f"GitHub does not answer ({_reason(error)}).", hint="https://www.githubstatus.com, then retry"
            ) from error
        except (ValueError, LookupError, TypeError, RuntimeError, AssertionError) as error:
            raise Unavailable(
                f"GitHub answers nonsense: {scrub(str(error))[:200]}", hint="look at repository.github_api, then retry"
            ) from error

    def pages(self, client: github.Github, address: str) -> Iterator[Any]:
        """Yield each page's JSON of a list."""
        following: str | None = f"{address}{'&' if '?' in address else '?'}per_page=100"
        while following:
            page = self._page(client, following, whole)
            yield page.data
            following = page.following

    def one(self, client: github.Github, address: str, keep: Callable[[Any], _T]) -> _T | None:
        """Return what ``keep`` makes of one thing's JSON; None where GitHub does not know it."""
        import github

        try:
            kept: _T = self._page(client, address, keep).data
        except github.GithubException as error:
            if error.status in (404, 410) and not _is_limit(error, _lower(error.headers)):
                return None
            raise
        return kept

    def _page(self, client: github.Github, address: str, keep: Callable[[Any], Any]) -> _Page:
        """What GitHub says is unchanged comes from memory, and does not use up the rate limit."""
        with self._lock:
            known = self._seen.get(address)
        condition = {"If-None-Match": known.etag} if known else {}
        headers, data = client.requester.requestJsonAndCheck("GET", address, headers=condition)
        if known is None or data is not None:
            known = _Page(headers.get("etag", ""), keep(data), _next(headers.get("link", "")))
        with self._lock:
            self._remember(address, known)
        return known

    def _remember(self, address: str, page: _Page) -> None:
        self._seen.pop(address, None)
        if page.etag:
            self._seen[address] = page
        while len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def _failure(self, error: github.GithubException, what: str, *, writing: bool) -> ReleaseError:
        headers = _lower(error.headers)
        if _is_limit(error, headers):
            advice = "" if self.signed_in else "; with a token (RELEASEBOT_REPOSITORY__GITHUB_TOKEN) it allows far more"
            again = _resets(headers)
            return Unavailable(
                f"GitHub's rate limit is used up{f' until {again}' if again else ''}.", hint=f"retry then{advice}"
            )
        said = f"{error.status} {words(error)}".strip()
        match error.status:
            case 401:
                return self._unknown_to_it(what)
            case 403 | 404 | 410 | 422 if writing:
                return Refused(f"GitHub does not let us write {what}: {said}", hint=_RIGHTS)
            case 403:
                return Refused(f"GitHub does not let us read {what}: {said}", hint="look at what the token may read")
            case 404 | 422:
                hint = "was it pushed just now? retry; else look at repository.github and what the token may read"
                return Unavailable(f"{self._settings.github} has no {what} on GitHub ({said}).", hint=hint)
            case _:
                return Unavailable(f"GitHub answers {said}.", hint="https://www.githubstatus.com, then retry")

    def _unknown_to_it(self, what: str) -> Refused:
        if self.signed_in:
            return Refused("GitHub does not accept our token.", hint="renew RELEASEBOT_REPOSITORY__GITHUB_TOKEN")
        hint = f"set RELEASEBOT_REPOSITORY__GITHUB_TOKEN; {_RIGHTS}"
        return Refused(f"GitHub wants a token for {what}.", hint=hint)


def words(error: github.GithubException) -> str:
    """What GitHub says went wrong, in its own words."""
    data = error.data
    said = data.get("message") or data.get("data") if isinstance(data, dict) else data
    return scrub(str(said or ""))[:200]


def exists_already(error: github.GithubException) -> bool:
    """Whether GitHub refused to make something because it is there (https://docs.github.com/rest, 422 `already_exists`)."""
    errors = error.data.get("errors") if isinstance(error.data, dict) else None
    codes = [one.get("code") for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
    return error.status == 422 and "already_exists" in codes  # noqa: PLR2004  # HTTP's number


def _lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {key.lower(): value for key, value in (headers or {}).items()}


def _next(link: str) -> str | None:
    found = _NEXT.search(link)
    return found[1] if found else None


def _is_limit(error: github.GithubException, headers: Mapping[str, str]) -> bool:
    """Primary and secondary limits (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api)."""
    if error.status not in (403, 429):
        return False
    used_up = headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers
    return error.status == 429 or used_up or "rate limit" in words(error).lower()  # noqa: PLR2004  # HTTP's number


def _resets(headers: Mapping[str, str]) -> str:
    now = datetime.now(UTC)
    wait, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
    seconds = now.timestamp() + int(wait) if wait.isdigit() else int(reset) if reset.isdigit() else 0
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S} UTC" if seconds else ""


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return f"nothing within {TIMEOUT} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    return "no connection" if isinstance(error, requests.ConnectionError) else type(error).__name__
