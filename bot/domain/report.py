"""What a releaser is shown before deciding: a review, and the facts around it that are asked of other systems."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.world import ABSENT, CheckState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bot.domain.asking import Asked
    from bot.domain.plan import Plan
    from bot.domain.review import Review
    from bot.domain.version import Version
    from bot.domain.world import Check


@dataclass(frozen=True, slots=True)
class Drift:
    """Three facts that should agree and need not: the release branch, the newest tag, and the commit on the server.

    ``live`` is empty when the server did not answer; ``live_problem`` then says why.
    """

    branch: str
    branch_sha: str
    tag: str = ""
    tag_sha: str = ""
    live: str = ""
    live_problem: str = ""

    @property
    def agrees(self) -> bool:
        """Everything that is known names one commit."""
        return len({sha for sha in (self.branch_sha, self.tag_sha, self.live) if sha and sha != ABSENT}) <= 1


@dataclass(frozen=True, slots=True)
class ReviewReport:
    """A review of one environment's next release. ``pending`` names what is still being asked ("CI", "the server")."""

    environment: str
    review: Review
    made_at: datetime
    required_ci: tuple[str, ...] = ()
    ignored_ci: tuple[str, ...] = ()
    checks: tuple[Check, ...] | None = None  # None: not answered
    checks_problem: str = ""
    drift: Drift | None = None
    hotfix: bool = False
    pending: tuple[str, ...] = ()
    authors: Mapping[int, str] = field(default_factory=dict)  # pull request → GitHub login
    asked: tuple[Asked, ...] | None = None  # of authors, about these pull requests; None: not looked up yet
    brought: Mapping[str, int] = field(default_factory=dict)  # path of a migration or script by hand → pull request

    @property
    def ci(self) -> Mapping[str, CheckState] | None:
        """The state of each required job; a job that CI never reported is missing, not passed."""
        if self.checks is None:
            return None
        seen = {check.name: check.state for check in self.checks}
        return {name: seen.get(name, CheckState.MISSING) for name in self.required_ci}


@dataclass(frozen=True, slots=True)
class PreparedPlan:
    """A plan that nobody has confirmed yet, the text of its checklist, and the review that it rests on.

    ``newest`` is the newest version there is. ``draft_problem``: why GitHub did not tell all for the notes.
    """

    plan: Plan
    checklist: str
    report: ReviewReport
    newest: Version | None = None
    draft_problem: str = ""
