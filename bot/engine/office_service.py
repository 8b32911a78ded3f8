"""The office over the ports: Git first, since it answers at once, then CI and the server side by side."""

from __future__ import annotations

import asyncio
import difflib
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from bot.domain.asking import manual_steps, yes_ones
from bot.domain.changes import Ref
from bot.domain.errors import Conflict, Refused, ReleaseError, WrongUse
from bot.domain.planning import COMMENTS, NO_NOTES, demand_known
from bot.domain.report import Drift, PreparedPlan, ReviewReport
from bot.domain.rollback import CHECKLIST, demand_offered, proved_before
from bot.domain.rules.reading import Surroundings
from bot.domain.version import Bump, Version, accept
from bot.engine.authors import known_of
from bot.engine.clock import SystemClock
from bot.engine.drafting import Drafting
from bot.engine.way_back import way_back
from bot.reviewing import brought_by, review_range

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bot.domain.checklist import Checklist
    from bot.domain.drafting import Draft
    from bot.domain.plan import Plan
    from bot.domain.planning import GoingBack, ManualStep, Pinned
    from bot.domain.readmodel import ReleaseView
    from bot.domain.review import Review
    from bot.engine.office import Tell
    from bot.ports import Clock, Ports
    from bot.settings import EnvironmentSettings, Settings

_KEPT = 16  # reviews
_PATIENCE = 1.5  # seconds; the first message of a review waits for it
_Key = tuple[str, str, str, frozenset[str] | None]


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
    _drafting: Drafting = field(default_factory=Drafting)
    _read: OrderedDict[_Key, Review] = field(default_factory=OrderedDict)

    async def review(
        self, *, environment: str, base: str = "", head: str = "", hotfix: bool = False, tell: Tell | None = None
    ) -> ReviewReport:
        """Review what would ship; see `ReleaseOffice`."""
        area = self._area(environment)
        await area.ports.repository.fetch()
        first, second = await self._ends(area, base, head, hotfix=hotfix)
        return await self._report(area, first, second, hotfix=hotfix, tell=tell)

    async def plan(
        self,
        *,
        environment: str,
        hotfix: bool = False,
        only: Sequence[str] = (),
        strategy: str = "",
        version: str = "",
        afresh: bool = True,
    ) -> PreparedPlan:
        """Pin the head and make the plan; see `ReleaseOffice`."""
        area = self._area(environment)
        demand_known(only, area.settings.ansible.tags)
        live = await self._live(area) if hotfix else ""
        pinned = await area.planning.pin(hotfix=hotfix, proved_live=live)
        if pinned.base == pinned.head:
            raise Conflict(f"There is no commit to release to {area.name}.", hint=_nothing(area))
        ends = (
            Ref("live" if hotfix else area.settings.release_branch, pinned.base),
            Ref(_tip(area, hotfix), pinned.head),
        )
        asked = pinned.merge.ours if pinned.merge else pinned.head
        report = await self._report(area, *ends, hotfix=hotfix, tell=None, checked=asked)
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
            notes=drafted.draft,
            authors=_asked_of(report),
        )
        return PreparedPlan(plan, checklist.text, report, max(taken, default=None), drafted.problem)

    async def roll_back(self, *, release: str, drain: bool = False) -> PreparedPlan:
        """Plan to go back to what was proved live before a release; see `ReleaseOffice`."""
        gone: ReleaseView = await self.desk.release(release)
        area = self._area(gone.environment)
        demand_offered(gone)
        target = proved_before(gone, await self.desk.last_proved(area.name, before=release))
        await area.ports.repository.fetch()
        ends = Ref(target[1], target[0]), Ref(gone.plan.version, gone.plan.head)
        report = await self._report(area, *ends, hotfix=False, tell=None)
        return way_back(gone, target, report, area.checklists()[CHECKLIST], area.planning, drain=drain)

    def _area(self, environment: str) -> Area:
        name, _ = self.settings.environment(environment)
        return self.areas[name]

    async def _live(self, area: Area) -> str:
        """Take what was last proved live; before the first release of the bot, what the server has checked out."""
        proved = await self.desk.last_proved(area.name)
        return proved[0] if proved else (await area.ports.server.checkout()).commit

    async def _ends(self, area: Area, base: str, head: str, *, hotfix: bool) -> tuple[Ref, Ref]:
        branch = area.ports.repository.branch_head
        first = Ref(base, base)
        if not base and hotfix:
            first = Ref("live", await self._live(area))
        elif not base:
            first = Ref(area.settings.release_branch, await branch(branch=area.settings.release_branch))
        tip = _tip(area, hotfix)
        return first, Ref(head, head) if head else Ref(tip, await branch(branch=tip))

    async def _report(
        self, area: Area, base: Ref, head: Ref, *, hotfix: bool, tell: Tell | None, checked: str = ""
    ) -> ReviewReport:
        ports = area.ports
        raw = await self._reviewed(area, base.sha, head.sha)
        named = replace(raw, base=Ref(base.ref, raw.base.sha), head=Ref(head.ref, raw.head.sha))
        url = ports.code_host.compare_url(base=_address(named.base), head=_address(named.head))
        filling = _Filling(
            ReviewReport(
                environment=area.name,
                review=replace(named, compare_url=url),
                made_at=ports.clock.now(),
                required_ci=area.settings.required_ci,
                ignored_ci=area.settings.ignored_ci,
                hotfix=hotfix,
                pending=("CI", "the server"),
            ),
            tell,
        )
        await filling.show()
        async with asyncio.TaskGroup() as group:
            group.create_task(filling.ask_ci(ports, checked or named.head.sha))
            group.create_task(filling.ask_server(area))
            group.create_task(filling.ask_authors(ports))
        return filling.report

    async def _reviewed(self, area: Area, base: str, head: str) -> Review:
        """Review a range; what two full ids enclose never changes, so the last few are kept."""
        around = Surroundings(frozenset(area.settings.large_tables), await _variables(area))
        key = (area.name, base, head, around.variables)
        if key in self._read:
            self._read.move_to_end(key)
            return self._read[key]
        found = await asyncio.to_thread(
            review_range, area.ports.repository.history(), base=base, head=head, around=around
        )
        if (found.base.sha, found.head.sha) == (base, head):
            self._read[key] = found
            while len(self._read) > _KEPT:
                self._read.popitem(last=False)
        return found


async def _variables(area: Area) -> frozenset[str] | None:
    """The names of variables that the environment has values for; None where the control host does not say so at once."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await area.ports.playbooks.variables()
    except (ReleaseError, TimeoutError):
        return None


@dataclass(slots=True)
class _Filling:
    """A report that fills in as answers arrive. No answer raises: what is missing is said in the report."""

    report: ReviewReport
    tell: Tell | None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def show(self) -> None:
        async with self._turn:  # an older state never overtakes a newer one
            if self.tell:
                await self.tell(self.report)

    async def ask_ci(self, ports: Ports, sha: str) -> None:
        try:
            found: dict[str, Any] = {"checks": tuple(await ports.code_host.checks(sha=sha))}
        except ReleaseError as error:
            found = {"checks_problem": _sentence(error)}
        await self._arrived("CI", found)

    async def ask_server(self, area: Area) -> None:
        drift = Drift(area.settings.release_branch, "")
        try:
            drift = await _branch_and_tag(area)
            drift = replace(drift, live=(await area.ports.server.checkout()).commit)
        except ReleaseError as error:
            drift = replace(drift, live_problem=_sentence(error))
        await self._arrived("the server", {"drift": drift})

    async def ask_authors(self, ports: Ports) -> None:
        numbers = [pull.number for pull in self.report.review.pull_requests]
        try:
            found = await ports.code_host.pull_request_authors(numbers=numbers) if numbers else {}
        except ReleaseError:  # names from the commits stand in; that GitHub did not answer is told with CI
            found = {}
        asked = await ports.authors.asked(environment=self.report.environment, pulls=numbers)
        brought = await asyncio.to_thread(brought_by, ports.repository.history(), self.report.review)
        await self._arrived("authors", {"authors": dict(found), "asked": tuple(asked), "brought": brought})

    async def _arrived(self, what: str, found: Mapping[str, Any]) -> None:
        pending = tuple(one for one in self.report.pending if one != what)
        self.report = replace(self.report, pending=pending, **found)
        await self.show()


async def _branch_and_tag(area: Area) -> Drift:
    repository, branch = area.ports.repository, area.settings.release_branch
    tags = {Version.parse(name): sha for name, sha in (await repository.version_tags()).items()}
    head = await repository.branch_head(branch=branch)
    newest = max(tags, default=None)
    return Drift(branch, head, str(newest), tags[newest]) if newest else Drift(branch, head)


def _tip(area: Area, hotfix: bool) -> str:  # noqa: FBT001  # private, and named where it is called
    return area.settings.release_branch if hotfix else area.settings.master_branch


def _address(ref: Ref) -> str:
    """Return what a web page knows a commit by: "live" is no branch of anybody's."""
    return ref.sha if ref.ref == "live" else ref.ref


def _sentence(error: ReleaseError) -> str:
    return f"{error.message} Try: {error.hint}" if error.hint else error.message


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
