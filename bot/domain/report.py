"""What a releaser is shown before deciding: a review, and the facts around it that are asked of other systems."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.world import ABSENT, CheckState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from bot.domain.asking import Asked
    from bot.domain.plan import Plan
    from bot.domain.review import Review
    from bot.domain.version import Version
    from bot.domain.world import Check, PipelineJob, Workflow


@dataclass(frozen=True, slots=True)
class Gap:
    """How a commit stands to another: what it has that the other lacks, and the other way round."""

    ahead: int
    behind: int


@dataclass(frozen=True, slots=True)
class Drift:
    """Three facts that should agree and need not: the release branch, the newest tag, and the commit on the server.

    ``branch_sha`` is empty when the remote did not answer (``refs_problem`` says why), ``live`` when the server did not
    (``live_problem``). ``live_branch`` is what the server has checked out, empty when detached. ``live_since`` and ``before``
    (what was live until then) are the reflog's. The gaps say how branch and server stand to the tag, and the server to
    the branch; None where they agree, or cannot be compared.
    """

    branch: str
    branch_sha: str
    tag: str = ""
    tag_sha: str = ""
    live: str = ""
    live_problem: str = ""
    refs_problem: str = ""
    live_branch: str = ""
    live_dirty: bool = False
    live_since: datetime | None = None
    before: str = ""
    branch_to_tag: Gap | None = None
    live_to_tag: Gap | None = None
    live_to_branch: Gap | None = None

    @property
    def agrees(self) -> bool:
        """Everything that is known names one commit."""
        return len({sha for sha in (self.branch_sha, self.tag_sha, self.live) if sha and sha != ABSENT}) <= 1

    def sentences(self) -> Iterator[str]:
        """Say which of the three disagree, and by how much; nothing when they agree."""
        if self.agrees:
            return
        if self.tag and self.branch_sha != self.tag_sha:
            yield f"{self.branch} {_stands(self.branch_to_tag)} tag {self.tag}"
        if not self.live:
            return
        if self.live == self.branch_sha:
            yield f"live is {self.branch}"
        elif self.tag and self.live == self.tag_sha:
            yield f"live is tag {self.tag}"
        else:
            others = [(self.live_to_branch, self.branch)] if self.branch_sha else []
            others += [(self.live_to_tag, f"tag {self.tag}")] if self.tag else []
            for gap, name in others:
                yield f"live {_stands(gap)} {name}"


def _stands(gap: Gap | None) -> str:
    match gap:
        case None:
            return "cannot be compared with"
        case Gap(0, 0):  # only merges differ, or the same changes as other commits
            return "has the same changes as"
        case Gap(ahead, 0):
            return f"is {_commits(ahead)} ahead of"
        case Gap(0, behind):
            return f"is {_commits(behind)} behind"
        case Gap(ahead, behind):
            return f"is {_commits(ahead)} ahead of and {behind} behind"


def _commits(number: int) -> str:
    return f"{number} commit{'' if number == 1 else 's'}"


class Following(StrEnum):
    """Whether a review's CI is still being asked: not at all, at intervals, given up, or in a newer review's message."""

    NO = "no"
    ON = "on"
    OVER = "over"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class ReviewReport:
    """A review of one environment's next release. ``pending`` names what is still being asked ("CI", "the server").

    ``workflows`` are CI's own runs of the commit, None without a token for them or an answer. ``ci_at``: when CI was asked last.
    """

    environment: str
    review: Review
    made_at: datetime
    required_ci: tuple[str, ...] = ()
    ignored_ci: tuple[str, ...] = ()
    checks: tuple[Check, ...] | None = None  # None: not answered
    checks_problem: str = ""
    workflows: tuple[Workflow, ...] | None = None
    workflows_problem: str = ""
    ci_at: datetime | None = None
    following: Following = Following.NO
    followed_until: datetime | None = None
    rerun_by: str = ""  # Slack id of who had failed jobs run again
    drift: Drift | None = None
    hotfix: bool = False
    releasable: bool = True  # `/release start` would release exactly this; not so for a range of the past
    merge_url: str = ""  # opens the merge of what head lacks
    pending: tuple[str, ...] = ()
    authors: Mapping[int, str] = field(default_factory=dict)  # pull request → GitHub login
    asked: tuple[Asked, ...] | None = None  # of authors, about these pull requests; None: not looked up yet
    brought: Mapping[str, int] = field(default_factory=dict)  # path of a migration or script by hand → pull request

    @property
    def ci(self) -> Mapping[str, CheckState] | None:
        """The state of each required job; a job that CI never reported is missing, not passed.

        What passed is for GitHub's reports to say. A job that is not passed and that CI itself runs at the moment is pending.
        """
        if self.checks is None:
            return None
        seen = {check.name: check.state for check in self.checks}
        states = {name: seen.get(name, CheckState.MISSING) for name in self.required_ci}
        again = {name for name, state in states.items() if state is not CheckState.PASSED and self.running(name)}
        return {name: CheckState.PENDING if name in again else state for name, state in states.items()}

    @property
    def not_blocking(self) -> Mapping[str, CheckState]:
        """The jobs that are shown and never block, as far as CI reported them."""
        return {check.name: check.state for check in self.checks or () if check.name in self.ignored_ci}

    def running(self, job: str) -> tuple[Workflow, PipelineJob] | None:
        """Return the job as CI itself runs it at the moment, and the run that it belongs to; None when it does not."""
        jobs = ((one, each) for one in self.workflows or () for each in one.jobs if each.name == job)
        return next((found for found in jobs if found[1].state is CheckState.PENDING), None)

    def decided(self, *, may_come: bool) -> bool:
        """Tell whether asking CI again can change nothing. ``may_come``: a job that was not reported may yet be."""
        if self.ci is None:
            return False
        states = set(self.ci.values())
        if CheckState.PENDING in states:
            return False
        return not (may_come and CheckState.MISSING in states and CheckState.FAILED not in states)


@dataclass(frozen=True, slots=True)
class Rerun:
    """What became of asking for failed jobs again: workflows that were started, and those that run already."""

    started: tuple[str, ...] = ()
    running: tuple[str, ...] = ()


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
