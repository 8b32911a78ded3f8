"""Reviews: Git first, since it answers at once, then CI, the server and the authors side by side; then CI again until it is decided."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bot.domain.changes import Ref
from bot.domain.errors import Refused, ReleaseError, Unavailable
from bot.domain.report import Following, Rerun, ReviewReport
from bot.domain.rules.reading import Surroundings
from bot.domain.world import CheckState
from bot.engine import drift
from bot.engine.drift import sentence
from bot.reviewing import brought_by, review_range

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.domain.review import Review
    from bot.engine.office import Tell
    from bot.engine.office_service import Area
    from bot.ports import Ports

_KEPT = 16  # reviews
_AT_MOST = 1.5  # seconds; the first facts of a review wait for the names of variables
FOLLOWED = timedelta(minutes=45)
AT_ONCE = 8  # commits that are followed: each keeps a request of somebody at work
PATIENCE = timedelta(minutes=2)  # for CI to begin what it was asked to run again
YOUNG = timedelta(hours=2)  # a commit whose jobs may yet be reported for the first time
_FIRST, _GROWS, _LONGEST = 5, 1.5, 30  # intervals between two looks at CI, in the environment's poll
_Key = tuple[str, str, str, frozenset[str] | None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person wants to see reviewed. ``checked`` is the commit that CI is asked about, if it is not the head."""

    base: Ref
    head: Ref
    hotfix: bool = False
    checked: str = ""
    blind: str = ""


@dataclass(slots=True)
class Reviews:
    """Makes reviews, keeps the last few, and knows which message follows which commit's CI."""

    _read: OrderedDict[_Key, Review] = field(default_factory=OrderedDict)
    _followed: dict[tuple[str, str], tuple[str, object]] = field(default_factory=dict)
    _rerun: set[str] = field(default_factory=set)
    _rerunning: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def report(
        self, area: Area, wanted: Wanted, *, tell: Tell | None, follow: str = "", expecting: bool = False
    ) -> ReviewReport:
        """Review a range. With ``follow``, the key of the message, return only once CI is decided or given up.

        ``expecting``: CI was asked to run jobs again, and may take a moment to begin.
        """
        filling = Filling(await self._begun(area, wanted), tell)
        await filling.show()
        commit = wanted.checked or filling.report.review.head.sha
        branch = (
            wanted.head.ref if wanted.head.ref in (area.settings.master_branch, area.settings.release_branch) else ""
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(filling.ask_ci(area.ports, commit))
            group.create_task(filling.ask_pipelines(area.ports, commit, branch))
            group.create_task(filling.ask_server(area.ports, area.settings.release_branch))
            group.create_task(filling.ask_authors(area.ports))
        if follow:
            await self._follow(area, filling, commit, branch, follow, patience=PATIENCE if expecting else timedelta())
        return filling.report

    async def facts(self, area: Area, base: str, head: str) -> Review:
        """Review a range by Git alone, without asking any other system; what is kept of it may know more."""
        for key in reversed(self._read):
            if key[:3] == (area.name, base, head):
                return self._read[key]
        return await self._reviewed(area, base, head, None)

    async def _reviewed(self, area: Area, base: str, head: str, variables: frozenset[str] | None) -> Review:
        """Review a range; what two full ids enclose never changes, so the last few are kept."""
        key = (area.name, base, head, variables)
        if key in self._read:
            self._read.move_to_end(key)
            return self._read[key]
        around = Surroundings(frozenset(area.settings.large_tables), variables)
        found = await asyncio.to_thread(
            review_range, area.ports.repository.history(), base=base, head=head, around=around
        )
        if (found.base.sha, found.head.sha) == (base, head):
            self._read[key] = found
            while len(self._read) > _KEPT:
                self._read.popitem(last=False)
        return found

    async def rerun(self, area: Area, commit: str) -> Rerun:
        """Run the failed required jobs again. One at a time, so that of two clicks the second finds the first's run."""
        pipelines = area.ports.pipelines
        if pipelines is None:
            raise Refused(
                "I have no token for CircleCI, so I cannot run jobs again; nothing was done.",
                hint="run them again in CircleCI, or set RELEASEBOT_CIRCLECI__TOKEN",
            )
        required = set(area.settings.required_ci)
        async with self._rerunning:
            runs = await pipelines.workflows(sha=commit)
            failed = [
                one for one in runs if any(job.state is CheckState.FAILED and job.name in required for job in one.jobs)
            ]
            again = [one for one in failed if not one.running and one.id not in self._rerun]
            for one in again:
                await pipelines.rerun_failed(workflow=one.id)
                self._rerun.add(one.id)
        started = {one.id for one in again}
        busy = [one for one in runs if one.running or (one in failed and one.id not in started)]
        return Rerun(tuple(one.name for one in again), tuple(one.name for one in busy))

    async def _begun(self, area: Area, wanted: Wanted) -> ReviewReport:
        """Return what Git knows: the other facts are pending."""
        ports, settings = area.ports, area.settings
        raw = await self._reviewed(area, wanted.base.sha, wanted.head.sha, await _variables(area))
        base, head = Ref(wanted.base.ref, raw.base.sha), Ref(wanted.head.ref, raw.head.sha)
        named = replace(
            raw,
            base=base,
            head=head,
            compare_url=ports.code_host.compare_url(base=_address(base), head=_address(head)),
            blind_spots=(*((wanted.blind,) if wanted.blind else ()), *raw.blind_spots),
            remarks=tuple(
                one for one in raw.remarks if not one.startswith(f"{raw.head.ref} lacks ")
            ),  # shown as hotfixes
        )
        usual = (base.ref, head.ref) == (settings.release_branch, settings.master_branch)
        return ReviewReport(
            environment=area.name,
            review=named,
            made_at=ports.clock.now(),
            required_ci=settings.required_ci,
            ignored_ci=settings.ignored_ci,
            hotfix=wanted.hotfix,
            releasable=usual or wanted.hotfix,
            merge_url=f"{ports.code_host.compare_url(base=head.ref, head=base.ref)}?expand=1"
            if usual and named.lacking
            else "",
            pending=("CI", *(["CircleCI"] if ports.pipelines else []), "the server"),
        )

    async def _follow(
        self, area: Area, filling: Filling, commit: str, branch: str, key: str, *, patience: timedelta
    ) -> None:
        """Ask CI again at growing intervals. The newest message that wants a commit's CI has it; the others end."""
        slot, mine = (area.name, commit), (key, object())
        if len(self._followed) >= AT_ONCE and slot not in self._followed:
            await filling.mark(Following.OVER)
            return
        clock, poll = area.ports.clock, area.settings.poll
        began, wait = clock.now(), _FIRST * poll
        before = filling.report.ci
        self._followed[slot] = mine
        while filling.worth_asking(clock.now()) or (filling.report.ci == before and clock.now() - began < patience):
            if clock.now() - began >= FOLLOWED:
                await filling.mark(Following.OVER)
                break
            await filling.mark(Following.ON, until=began + FOLLOWED)
            await clock.sleep(seconds=wait)
            if self._followed.get(slot) != mine:
                if self._followed.get(slot, ("",))[0] != key:
                    await filling.mark(Following.ELSEWHERE)
                return
            await filling.ask_again(area.ports, commit, branch)
            wait = min(wait * _GROWS, _LONGEST * poll)
        else:
            await filling.mark(Following.NO)
        self._followed.pop(slot, None)


@dataclass(slots=True)
class Filling:
    """A report that fills in as answers arrive. No answer raises: what is missing is said in the report."""

    report: ReviewReport
    tell: Tell | None
    hopeless: bool = False  # GitHub says no, rather than nothing
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def show(self) -> None:
        """Tell the report as it stands; an older state never overtakes a newer one."""
        async with self._turn:
            if self.tell:
                await self.tell(self.report)

    def worth_asking(self, now: Any) -> bool:
        """Whether another look at CI may change what is shown."""
        newest = next(iter(self.report.review.commits), None)
        young = newest is not None and now - newest.committed_at < YOUNG
        return not self.hopeless and not self.report.decided(may_come=young)

    async def mark(self, following: Following, until: Any = None) -> None:
        """Say whether CI is followed."""
        if (following, until) != (self.report.following, self.report.followed_until):
            self.report = replace(self.report, following=following, followed_until=until)
            await self.show()

    async def ask_ci(self, ports: Ports, commit: str) -> None:
        """Read what GitHub has of this commit."""
        await self._arrived("CI", await self._checks(ports, commit))

    async def ask_pipelines(self, ports: Ports, commit: str, branch: str) -> None:
        """Read what CI itself runs, where there is a token for it."""
        if ports.pipelines is not None:
            await self._arrived("CircleCI", await _runs(ports, commit, branch))

    async def ask_again(self, ports: Ports, commit: str, branch: str) -> None:
        """Read both once more, and show them as one change."""
        both = await asyncio.gather(self._checks(ports, commit), _runs(ports, commit, branch))
        await self._arrived("CI", both[0] | both[1])

    async def ask_server(self, ports: Ports, branch: str) -> None:
        """Read branch, newest tag and what is live."""
        await self._arrived("the server", {"drift": await drift.read(ports, branch=branch)})

    async def ask_authors(self, ports: Ports) -> None:
        """Read the pull requests' authors, what they were asked and answered, and which of them brought what."""
        numbers = [pull.number for pull in self.report.review.pull_requests]
        try:
            found = await ports.code_host.pull_request_authors(numbers=numbers) if numbers else {}
        except ReleaseError:  # names from the commits stand in; that GitHub did not answer is told with CI
            found = {}
        asked = await ports.authors.asked(environment=self.report.environment, pulls=numbers)
        brought = await asyncio.to_thread(brought_by, ports.repository.history(), self.report.review)
        await self._arrived("authors", {"authors": dict(found), "asked": tuple(asked), "brought": brought})

    async def _checks(self, ports: Ports, commit: str) -> dict[str, Any]:
        """An answer of before stays when GitHub falls silent; that it did is said."""
        try:
            found = tuple(await ports.code_host.checks(sha=commit))
        except ReleaseError as error:
            self.hopeless = not isinstance(error, Unavailable)
            return {"checks_problem": sentence(error)}
        return {"checks": found, "checks_problem": "", "ci_at": ports.clock.now()}

    async def _arrived(self, what: str, found: Mapping[str, Any]) -> None:
        pending = tuple(one for one in self.report.pending if one != what)
        self.report = replace(self.report, pending=pending, **found)
        await self.show()


async def _variables(area: Area) -> frozenset[str] | None:
    """The names of variables that the environment has values for; None where the control host does not say so at once."""
    try:
        async with asyncio.timeout(_AT_MOST):
            return await area.ports.playbooks.variables()
    except (ReleaseError, TimeoutError):
        return None


async def _runs(ports: Ports, commit: str, branch: str) -> dict[str, Any]:
    if ports.pipelines is None:
        return {}
    try:
        found = tuple(await ports.pipelines.workflows(sha=commit, branch=branch))
    except ReleaseError as error:
        return {"workflows": None, "workflows_problem": sentence(error)}
    return {"workflows": found, "workflows_problem": ""}


def _address(ref: Ref) -> str:
    """Return what a web page knows a commit by: "live" is no branch of anybody's."""
    return ref.sha if ref.ref == "live" else ref.ref


async def ends(
    area: Area, base: str, head: str, *, hotfix: bool, live: Callable[[], Awaitable[str]]
) -> tuple[Ref, Ref]:
    """Return the range: names as given, else release...master, or for a hotfix what is live...release.

    When the remote does not answer, the mirror's own branches stand in.
    """

    async def tip(branch: str) -> Ref:
        try:
            return Ref(branch, await area.ports.repository.branch_head(branch=branch))
        except Unavailable:
            return Ref(branch, branch)

    first = Ref(base, base)
    if not base and hotfix:
        first = Ref("live", await live())
    elif not base:
        first = await tip(area.settings.release_branch)
    target = area.settings.release_branch if hotfix else area.settings.master_branch
    return first, Ref(head, head) if head else await tip(target)
