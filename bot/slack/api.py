"""Slack's Web API: one kept session, a deadline on every call, and its errors in our words."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import TYPE_CHECKING

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import Refused, ReleaseError, Unavailable
from bot.slack.context import TriggerExpired

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

DEADLINE = 10.0  # seconds a call may take
_DATE = re.compile(r"<!date\^\d+\^[^|>]*\|([^>]*)>")
_EXPIRED = {"expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id", "trigger_expired", "trigger_exchanged"}
_PASSING = {"internal_error", "fatal_error", "service_unavailable", "team_added_to_org", "request_timeout"}
TOKEN_ERRORS = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type"}
)
_HINTS = {
    "not_in_channel": "Invite me to the channel: /invite @releasebot",
    "channel_not_found": "Check slack.channel in the settings, and invite me: /invite @releasebot",
    "is_archived": "The channel is archived; name another one in slack.channel of the settings.",
    "missing_scope": "Install the app again with app_manifest.yml.",
    **dict.fromkeys(TOKEN_ERRORS, "Check the tokens: releasebot doctor --only slack"),
}


class SlackSilent(Unavailable):
    """Slack did not answer: whether it did what was asked is not known."""


class SlackBusy(Unavailable):
    """Slack asks for patience: nothing was done, try again in ``retry_after`` seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message, hint=f"I try again in {retry_after:g} s.")
        self.retry_after = retry_after


class SlackSays(Refused):
    """Slack said no; ``code`` is its own word for it."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message, hint=_HINTS.get(code, "releasebot doctor --only slack"))
        self.code = code


def _without_dates(body: object) -> str:
    return _DATE.sub(r"\1", json.dumps(body))


@contextlib.asynccontextmanager
async def web_client(*, token: str, base_url: str, dates: bool = True) -> AsyncIterator[AsyncWebClient]:
    """Open the Web API. The SDK's own retries are off: it would repeat a post whose answer was lost.

    Without ``dates``, times are sent as the text that Slack shows where it cannot draw them: the local Slack draws none.
    """
    timeout = aiohttp.ClientTimeout(total=DEADLINE)
    serialize = json.dumps if dates else _without_dates
    async with aiohttp.ClientSession(timeout=timeout, json_serialize=serialize) as session:
        yield AsyncWebClient(token=token, base_url=base_url, session=session, retry_handlers=[])


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Translate what a call may raise. ``what`` completes "Slack does not let me …"."""
    try:
        yield
    except SlackApiError as error:
        raise _translated(error, what) from error
    except (aiohttp.ClientError, SlackClientError, TimeoutError, asyncio.IncompleteReadError, OSError) as error:
        raise SlackSilent(
            f"Slack does not answer ({type(error).__name__}), so I could not {what}.", hint="I keep trying."
        ) from error


def _translated(error: SlackApiError, what: str) -> ReleaseError:
    answer = error.response
    status = getattr(answer, "status_code", 0)
    body = getattr(answer, "data", None)
    code = str(body.get("error", "")) if isinstance(body, dict) else ""
    if status == 429 or code in ("ratelimited", "rate_limited"):  # noqa: PLR2004  # HTTP's Too Many Requests
        return SlackBusy(f"Slack asks me to wait before I {what}.", retry_after=_seconds(answer))
    if code in _EXPIRED:
        return TriggerExpired("Slack closed the three seconds in which I could open the form.", hint="Press it again.")
    if not code or code in _PASSING:
        return SlackSilent(f"Slack is in trouble ({code or status}), so I could not {what}.", hint="I keep trying.")
    details = (body.get("response_metadata") or {}).get("messages") if isinstance(body, dict) else None
    more = f" ({'; '.join(map(str, details))[:300]})" if details else ""
    return SlackSays(f"Slack does not let me {what}: {code}{more}.", code=code)


def _seconds(answer: object) -> float:
    headers = {str(key).lower(): value for key, value in dict(getattr(answer, "headers", {})).items()}
    try:
        return max(0.0, float(str(headers.get("retry-after", "1"))))
    except ValueError:
        return 1.0
