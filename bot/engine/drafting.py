"""The draft of the notes with GitHub's help. Without it the titles of the commits stand, and it is said why."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.drafting import Draft, draft
from bot.domain.errors import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.domain.review import PullRequest
    from bot.domain.world import IssueInfo, PullRequestInfo
    from bot.ports import CodeHost

PATIENCE = 25.0  # seconds for all questions to GitHub together: somebody looks at a form that is being filled
MOST = 300  # pull requests, and as many issues, that GitHub is asked about
_KEPT = 16


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft; ``problem`` says in a sentence what GitHub did not tell, empty when it told all."""

    draft: Draft
    problem: str = ""


@dataclass(slots=True)
class Drafting:
    """Drafts, each range once: a plan that is confirmed has the same draft as the one that was shown.

    Only whole ones are kept, so that the next plan asks again once GitHub answers.
    """

    _made: OrderedDict[tuple[int, ...], Draft] = field(default_factory=OrderedDict)

    async def draft(self, code_host: CodeHost, pulls: Sequence[PullRequest], *, afresh: bool = True) -> Drafted:
        """Draft the notes of these pull requests (newest first); never raises for a GitHub that does not answer.

        ``afresh``: what GitHub says may have changed since it was asked; else a draft that was made before is as good.
        """
        numbers = tuple(pull.number for pull in pulls)
        if not afresh and numbers in self._made:
            return Drafted(self._made[numbers])
        self._made.pop(numbers, None)
        known, issues, problem = await _asked(code_host, numbers)
        made = draft(pulls, known=known, issues=issues)
        if not problem:
            self._made[numbers] = made
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return Drafted(made, problem)


async def _asked(
    code_host: CodeHost, numbers: Sequence[int]
) -> tuple[Mapping[int, PullRequestInfo] | None, Mapping[int, IssueInfo], str]:
    """What GitHub knows, None when it did not even tell of the pull requests; and what went wrong."""
    known: Mapping[int, PullRequestInfo] | None = None
    issues: Mapping[int, IssueInfo] = {}
    if not numbers:
        return {}, {}, ""
    try:
        async with asyncio.timeout(PATIENCE):
            known = await code_host.pull_requests(numbers=numbers[:MOST])
            linked = list(dict.fromkeys(number for pull in known.values() for number in pull.issues))
            issues = await code_host.issues(numbers=linked[:MOST]) if linked else {}
    except TimeoutError:
        return known, issues, f"GitHub took longer than {PATIENCE:.0f} s."
    except ReleaseError as error:
        return known, issues, error.message
    left = len(numbers) - MOST
    return known, issues, f"GitHub was not asked about the oldest {left} pull requests." if left > 0 else ""
