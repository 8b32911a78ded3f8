"""The office over the ports: reviews of what would ship, and plans to ship it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from bot.domain.asking import manual_steps, yes_ones
from bot.domain.changes import Ref
from bot.domain.drafting import of_commits
from bot.domain.errors import Conflict, Refused, Unavailable, WrongUse
from bot.domain.given import changed_fields
from bot.domain.planning import COMMENTS, NO_NOTES, demand_known
from bot.domain.report import PreparedPlan
from bot.domain.rollback import CHECKLIST, demand_offered, proved_before
from bot.domain.version import Bump, Version, accept
from bot.engine.authors import known_of
from bot.engine.clock import SystemClock
from bot.engine.drafting import Drafting
from bot.engine.drift import sentence
from bot.engine.reviews import Reviews, Wanted, ends
from bot.engine.way_back import way_back

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bot.domain.checklist import Checklist
    from bot.domain.drafting import Draft
    from bot.domain.plan import Plan
    from bot.domain.planning import GoingBack, ManualStep, Pinned
    from bot.domain.readmodel import ReleaseView
    from bot.domain.report import Rerun, ReviewReport
    from bot.domain.review import Review
    from bot.engine.office import Tell
    from bot.ports import Clock, Ports
    from bot.settings import EnvironmentSettings, Settings


class Planning(Protocol):
    """How a plan is made in one environment (`bot.steps.planner.Planner`)."""

    async def pin(self, *, hotfix: bool = False, proved_live: str = "") -> Pinned:
        """Choose exactly one commit to release."""

    def plan(
        self,
        checklist: Checklist,
        pinned: Pinned,
        *,
        version: str,
        previous_version: str,
        hotfix: bool = False,
        tags: Sequence[str] = (),
        parts: Collection[str] = (),
        manual_steps: Sequence[ManualStep] = (),
        notes: Draft = NO_NOTES,
        authors: Mapping[str, object] | None = None,
        back: GoingBack | None = None,
        ignored: Sequence[str] = (),
    ) -> Plan:
        """Make the plan with the exact commands of each step."""


@dataclass(frozen=True, slots=True)
class Area:
    """One environment, with all that reviews and plans need of it."""

    name: str
    settings: EnvironmentSettings
    ports: Ports
    planning: Planning
    checklists: Callable[[], Mapping[str, Checklist]]


@dataclass(slots=True)
class OfficeService:
    """What commands ask of the rest of the bot (`bot.slack.office.Office`)."""

    settings: Settings
    desk: Any  # `bot.engine.desk.Desk`; commands use all of it, the office what was last proved live
    commands: Sequence[Any]
    areas: Mapping[str, Area]
    freezes: Any = None  # `bot.engine.freezes.Freezes`
    clock: Clock = field(default_factory=SystemClock)
    authors: Any = None  # `bot.engine.authors.Authors`, for commands
    queue: Any = None  # `bot.engine.lock_queue.LockQueue`, for commands
    schedule: Any = None  # `bot.engine.schedule.Schedule`, for commands
    reminders: Any = None  # `bot.engine.reminders.Reminders`, for commands
    rehearsals: Any = None  # `bot.engine.rehearsing.Rehearsals`, for commands
    plans: Any = None  # `bot.engine.plans.Plans`, for commands
    indices: Any = None  # `bot.engine.index_service.IndexService`, for commands
    exports: Any = None  # `bot.engine.exports.Exports`, for commands
    jobs: Any = None  # `bot.engine.job_office.JobOffice`, for commands
    _drafting: Drafting = field(default_factory=Drafting)
    reviews: Reviews = field(default_factory=Reviews)

    async def review(
        self,
        *,
        environment: str,
        base: str = "",
        head: str = "",
        names: tuple[str, str] = ("", ""),
        hotfix: bool = False,
        tell: Tell | None = None,
        follow: str = "",
        expecting: bool = False,
    ) -> ReviewReport:
        """Review what would ship; see `ReleaseOffice`."""
        area = self._area(environment)
        blind = ""
        try:
            await area.ports.repository.fetch()
        except Unavailable as error:
            blind = f"the newest commits: {sentence(error)} This is as of my last fetch."
        first, second = await ends(area, base, head, hotfix=hotfix, live=lambda: self._live(area))
        first, second = Ref(names[0] or first.ref, first.sha), Ref(names[1] or second.ref, second.sha)
        wanted = Wanted(first, second, hotfix=hotfix, blind=blind)
        return await self.reviews.report(area, wanted, tell=tell, follow=follow, expecting=expecting)

    async def facts(self, *, environment: str, base: str, head: str) -> Review:
        """Review two commits by Git alone; see `ReleaseOffice`."""
        area = self._area(environment)
        found = await self.reviews.facts(area, base, head)
        return replace(found, compare_url=area.ports.code_host.compare_url(base=base, head=head))

    async def rerun_ci(self, *, environment: str, commit: str) -> Rerun:
        """Run failed required jobs again; see `ReleaseOffice`."""
        return await self.reviews.rerun(self._area(environment), commit)

    async def plan(
        self,
        *,
        environment: str,
        hotfix: bool = False,
        only: Sequence[str] = (),
        strategy: str = "",
        version: str = "",
        draft: str = "",
        afresh: bool = True,
    ) -> PreparedPlan:
        """Pin the head and make the plan; see `ReleaseOffice`."""
        area = self._area(environment)
        demand_known(only, area.settings.ansible.tags)
        live = await self._live(area) if hotfix else ""
        pinned = await area.planning.pin(hotfix=hotfix, proved_live=live)
        if pinned.base == pinned.head:
            raise Conflict(f"There is no commit to release to {area.name}.", hint=_nothing(area))
        span = (
            Ref("live" if hotfix else area.settings.release_branch, pinned.base),
            Ref(_tip(area, hotfix), pinned.head),
        )
        asked = pinned.merge.ours if pinned.merge else pinned.head
        report = await self.reviews.report(area, Wanted(*span, hotfix=hotfix, checked=asked), tell=None)
        checklist = _checklist(area, strategy, report.review)
        taken = [Version.parse(name) for name in await area.ports.repository.version_tags()]
        chosen = _version(version, report.review, taken)
        pulls = report.review.pull_requests
        drafted = await self._drafting.draft(area.ports.code_host, pulls, afresh=afresh)
        plan = area.planning.plan(
            checklist,
            pinned,
            version=chosen,
            previous_version=str(report.review.version.current or ""),
            hotfix=hotfix,
            tags=tuple(only),
            parts=[part for part in _parts(area, report.review) if part in checklist.parts],
            manual_steps=manual_steps(report, known_of(self.settings.people, await area.ports.authors.links())),
            notes=drafted.draft if pulls else of_commits(report.review.commits),
            authors=_asked_of(report),
            ignored=changed_fields(report.review.findings),
        )
        if draft:
            plan = await self.plans.drafted(plan, draft)
        return PreparedPlan(plan, checklist.text, report, max(taken, default=None), drafted.problem)

    async def roll_back(self, *, release: str, drain: bool = False) -> PreparedPlan:
        """Plan to go back to what was proved live before a release; see `ReleaseOffice`."""
        gone: ReleaseView = await self.desk.release(release)
        area = self._area(gone.environment)
        demand_offered(gone)
        target = proved_before(gone, await self.desk.last_proved(area.name, before=release))
        await area.ports.repository.fetch()
        span = Ref(target[1], target[0]), Ref(gone.plan.version, gone.plan.head)
        report = await self.reviews.report(area, Wanted(*span), tell=None)
        return way_back(gone, target, report, area.checklists()[CHECKLIST], area.planning, drain=drain)

    def _area(self, environment: str) -> Area:
        name, _ = self.settings.environment(environment)
        return self.areas[name]

    async def _live(self, area: Area) -> str:
        """Take what was last proved live; before the first release of the bot, what the server has checked out."""
        proved = await self.desk.last_proved(area.name)
        return proved[0] if proved else (await area.ports.server.checkout()).commit


def _tip(area: Area, hotfix: bool) -> str:  # noqa: FBT001  # private, and named where it is called
    return area.settings.release_branch if hotfix else area.settings.master_branch


def _asked_of(report: ReviewReport) -> dict[str, object]:
    """Return what the step about authors' answers is to know: the pull requests, and the answers that the plan has steps for."""
    pulls = [pull.number for pull in report.review.pull_requests]
    return {"pulls": pulls, "planned": [one.id for one in yes_ones(report.asked or ())]}


def _nothing(area: Area) -> str:
    return f"{area.settings.master_branch} has nothing that {area.settings.release_branch} lacks; merge something, or --hotfix"


def _checklist(area: Area, wanted: str, review: Review) -> Checklist:
    known = area.checklists()
    name = wanted or review.strategy.recommended
    if name == CHECKLIST:
        raise WrongUse("A rollback is not a way to release.", hint="/release rollback")
    if name in known:
        return known[name]
    choices = ", ".join(one for one in known if one != CHECKLIST)
    if not wanted:
        raise Refused(
            f"The review recommends {name}, and there is no checklist of that name here.",
            hint=f"to decide otherwise: --strategy with one of {choices}",
            changed="Nothing.",
        )
    near = difflib.get_close_matches(wanted, known, n=1)
    raise WrongUse(
        f"There is no checklist {wanted[:40]!r}.", hint=f"did you mean {near[0]}?" if near else f"one of {choices}"
    )


def _parts(area: Area, review: Review) -> Sequence[str]:
    """What findings switch on, and what the environment's settings do."""
    own = (COMMENTS,) if area.settings.pull_request_comments else ()
    return (*review.strategy.parts, *own)


def _version(wanted: str, review: Review, taken: Sequence[Version]) -> str:
    if wanted:
        return str(accept(wanted, existing=taken))
    proposed, newest = review.version.proposed, max(taken, default=None)
    if newest and (proposed is None or proposed <= newest):
        return str(newest.next(Bump.PATCH))
    if proposed is None:
        raise WrongUse("There is no version yet to count on from.", hint="--version 1.0.0")
    return str(proposed)
