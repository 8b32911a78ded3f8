"""A desk, an office and a voice in memory, each as small as its port."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import yaml

from bot.checklists import catalogue
from bot.domain.approval import Delegation
from bot.domain.editing import demand_seen, edited
from bot.domain.errors import Conflict, ReleaseError, WrongUse
from bot.domain.freeze import Freeze, Weekly, demand_open
from bot.domain.readmodel import Decided, LockView, Person, ReleaseView
from bot.domain.rehearsal import Rehearsal, Standing, standing
from bot.domain.release import StepState
from bot.domain.report import Rerun
from bot.settings import parse
from bot.settings_example import EXAMPLE
from bot.slack.context import Place, TriggerExpired, place_out
from bot.slack.router import Click, CommandContext, Form, Router
from bot.steps import registry
from bot.views.limits import message_faults, modal_faults
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from bot.domain.edits import Edit
    from bot.domain.plan import Edited, Plan
    from bot.domain.queue import Waiting
    from bot.domain.report import PreparedPlan, ReviewReport
    from bot.domain.review import Review
    from bot.domain.schedule import Scheduled, Ticket
    from bot.engine.office import Tell
    from bot.settings import Settings

SETTINGS: Settings = parse(yaml.safe_load(EXAMPLE))
CHANNEL = SETTINGS.slack.channel
CATALOGUE = catalogue(registry.load())
RELEASER = Person("U01REL", "Releaser", frozenset({"releaser"}))
VIEWER = Person("U01VIEW", "Viewer", frozenset({"viewer"}))
STRANGER = Person("U01STR", "Stranger")


@dataclass
class Desk:
    """What the desk was asked, and what it says."""

    releases: dict[str, ReleaseView] = field(default_factory=dict)
    locks: dict[str, LockView] = field(default_factory=dict)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    lent: list[Delegation] = field(default_factory=list)
    verdict: Decided = field(default_factory=lambda: Decided(effective=True, sentence="It goes on."))

    async def release(self, release: str) -> ReleaseView:
        if release not in self.releases:
            raise WrongUse(f"There is no release {release}.", hint="/release history")
        return self.releases[release]

    async def checklist(self, release: str) -> str:
        return f"the checklist of {release}"

    async def active(self) -> Sequence[ReleaseView]:
        return [one for one in self.releases.values() if one.finished_at is None]

    async def history(self, environment: str, *, limit: int) -> Sequence[ReleaseView]:
        return [one for one in self.releases.values() if one.environment == environment][:limit]

    async def lock_of(self, environment: str) -> LockView | None:
        return self.locks.get(environment)

    async def lock(self, environment: str, *, by: Person, reason: str, source: str) -> LockView:
        if environment in self.locks:
            raise Conflict(f"{environment} is locked already.")
        self.locks[environment] = LockView(environment, by.slack, reason, worlds.NOW)
        return self.locks[environment]

    async def unlock(self, environment: str, *, by: Person, source: str) -> None:
        if environment not in self.locks:
            raise Conflict(f"{environment} is not locked.")
        del self.locks[environment]

    async def start(
        self, *, plan: Plan, checklist: str, by: str, channel: str, source: str, scheduled: Ticket | None = None
    ) -> ReleaseView:
        self.asked.append(("start", plan.version, by))
        self.releases["R8"] = worlds.release(id="R8", plan=plan)
        return self.releases["R8"]

    async def delegations(self, person: str) -> Sequence[Delegation]:
        return [one for one in self.lent if person in (one.of, one.to)]

    async def delegate(self, *, of: Person, to: Person, until: datetime, reason: str, source: str) -> Delegation:
        self.lent.append(Delegation(of.slack, to.slack, frozenset({"approver"}), worlds.NOW, until, reason))
        return self.lent[-1]

    async def end_delegation(self, *, of: Person, to: str) -> int:
        ended = [one for one in self.lent if one.of == of.slack and to in ("", one.to)]
        self.lent = [one for one in self.lent if one not in ended]
        return len(ended)

    async def roll_back(
        self,
        *,
        release: str,
        plan: Plan,
        checklist: str,
        by: Person,
        reason: str,
        typed: str,
        channel: str,
        source: str = "",
    ) -> ReleaseView:
        self.asked.append(("roll back", release, plan.version, by.slack, reason, typed))
        self.releases["R8"] = worlds.release(id="R8", plan=plan)
        return self.releases["R8"]

    async def answer(
        self, *, question: str, kind: str, by: Person, value: str, reason: str, form: Any, source: str
    ) -> Decided:
        self.asked.append(("answer", question, str(kind), by.slack, value, reason, form))
        return self.verdict

    async def control(self, *, release: str, kind: str, by: Person, reason: str, source: str) -> Decided:
        self.asked.append((str(kind), release, by.slack, reason))
        return self.verdict


class Clock:
    def now(self) -> datetime:
        return worlds.NOW


@dataclass
class Freezes:
    """What was frozen, held against the rules of the domain."""

    zone: ZoneInfo = SETTINGS.zone
    given: list[Freeze] = field(default_factory=list)

    async def demand_open_now(self, environment: str) -> None:
        demand_open(worlds.NOW, environment=environment, zone=self.zone, given=self.given, weekly=())

    async def demand_open_then(self, environment: str, at: datetime) -> None:
        demand_open(at, environment=environment, zone=self.zone, given=self.given, weekly=())

    async def current(self, environment: str) -> Sequence[Freeze]:
        return [one for one in self.given if one.environment == environment]

    def weekly(self, environment: str) -> Sequence[Weekly]:
        return [one.window(self.zone) for one in SETTINGS.environments[environment].freezes]

    async def set(
        self,
        environment: str,
        *,
        starts: datetime,
        ends: datetime,
        reason: str,
        by: Person,
        source: str,
        thaw: bool = False,
    ) -> Freeze:
        self.given.append(Freeze(len(self.given) + 1, environment, starts, ends, reason, by.slack, thaw))
        return self.given[-1]

    async def lift(self, environment: str, *, number: int, by: Person, reason: str, source: str) -> Freeze:
        if not 0 < number <= len(self.given):
            raise Conflict(f"There is no freeze F{number}.")
        return self.given.pop(number - 1)


@dataclass
class Queue:
    """Nobody waits (`tests/commands/test_locks.py` has a real one)."""

    async def line(self, environment: str) -> Sequence[Waiting]:
        return ()


@dataclass
class Schedule:
    """Nothing is scheduled (`tests/commands/test_scheduled.py` has a real one)."""

    async def open_ones(self, environment: str) -> Sequence[Scheduled]:
        return ()


@dataclass
class Rehearsals:
    """What was rehearsed, held against the rules of the domain."""

    made: list[Rehearsal] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    wanted: bool = False
    trouble: ReleaseError | None = None

    def required(self, environment: str) -> bool:
        return self.wanted

    async def standing(self, plan: Plan) -> Standing:
        return standing(plan, self.made)

    async def begin(
        self, *, plan: Plan, checklist: str, by: str, again: str, release: str = "", source: str = ""
    ) -> Rehearsal:
        if self.trouble:
            raise self.trouble
        self.asked.append((plan.version, by, again, release))
        self.made.insert(0, worlds.rehearsal(plan, id=f"H{len(self.made) + 1}", release=release))
        return self.made[0]

    async def stop(self, rehearsal: str, *, by: str, source: str = "") -> Decided:
        self.asked.append(("stop", rehearsal, by))
        return Decided(effective=True, sentence=f"{rehearsal} is being stopped.")


@dataclass
class Plans:
    """Changes of plans, by the rules of the domain."""

    desk: Desk
    drafts: dict[str, list[tuple[Edit, Person]]] = field(default_factory=dict)

    async def edit(self, release: str, edit: Edit, *, by: Person, seen: int, source: str) -> Edited:
        view = self.desk.releases[release]
        demand_seen(view.plan, seen)
        begun = [one.key for one in view.steps if one.state is not StepState.PENDING]
        plan = edited(view.plan, edit, by=by, at=worlds.NOW, catalogue=CATALOGUE, begun=begun, source=source)
        self.desk.releases[release] = replace(view, plan=plan)
        return plan.edits[-1]

    async def draft(
        self, plan: Plan, edit: Edit, *, draft: str, by: Person, seen: int, source: str
    ) -> tuple[str, Plan]:
        demand_seen(plan, seen)
        new = edited(plan, edit, by=by, at=worlds.NOW, catalogue=CATALOGUE, source=source)
        self.drafts.setdefault(draft or "D1", []).append((edit, by))
        return draft or "D1", new

    async def drafted(self, plan: Plan, draft: str) -> Plan:
        for edit, by in self.drafts[draft] if draft else ():
            plan = edited(plan, edit, by=by, at=worlds.NOW, catalogue=CATALOGUE)
        return plan


@dataclass
class Exports:
    """Which plans were asked to be issues."""

    asked: list[str] = field(default_factory=list)

    async def ask(self, release: str, *, by: Person, source: str) -> str:
        self.asked.append(release)
        return f"{release} is issue #12 now: https://github.test/issues/12"


@dataclass
class Office:
    """Reviews and plans from examples."""

    desk: Desk = field(default_factory=Desk)
    settings: Settings = SETTINGS
    freezes: Freezes = field(default_factory=Freezes)
    clock: Clock = field(default_factory=Clock)
    queue: Any = field(default_factory=Queue)
    schedule: Any = field(default_factory=Schedule)
    reminders: Any = None
    commands: Sequence[Any] = ()
    report: ReviewReport = field(default_factory=worlds.report)
    prepared: PreparedPlan = field(default_factory=worlds.prepared)
    trouble: ReleaseError | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    authors: Any = None
    indices: Any = None
    rehearsals: Rehearsals = field(default_factory=Rehearsals)
    followed: list[tuple[str, tuple[str, str], bool]] = field(default_factory=list)
    plans: Plans = field(init=False)
    exports: Exports = field(default_factory=Exports)
    jobs: Any = None
    rerun: Rerun = field(default_factory=lambda: Rerun(("commit",)))

    def __post_init__(self) -> None:
        self.plans = Plans(self.desk)

    async def facts(self, *, environment: str, base: str, head: str) -> Review:
        return self.report.review

    async def rerun_ci(self, *, environment: str, commit: str) -> Rerun:
        self.requests.append({"rerun": commit})
        return self.rerun

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
        self.requests.append({"environment": environment, "base": base, "head": head, "hotfix": hotfix})
        self.followed.append((follow, names, expecting))
        if self.trouble:
            raise self.trouble
        if tell:
            await tell(replace(self.report, checks=None, pending=("CI",)))
            await tell(self.report)
        return self.report

    async def plan(self, **request: Any) -> PreparedPlan:
        self.requests.append(request)
        if self.trouble:
            raise self.trouble
        version = request.get("version") or self.prepared.plan.version
        plan = replace(self.prepared.plan, version=version)
        return replace(self.prepared, plan=await self.plans.drafted(plan, request.get("draft", "")))

    async def roll_back(self, *, release: str, drain: bool = False) -> PreparedPlan:
        self.requests.append({"release": release, "drain": drain})
        if self.trouble:
            raise self.trouble
        plan = replace(self.prepared.plan, version="1.9.9", previous_version="1.9.10")
        return replace(self.prepared, plan=plan)


@dataclass
class Voice:
    """Everything that was said, each held against Slack's limits."""

    whispers: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    blocks: list[Any] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    expired: bool = False

    async def whisper(self, *, place: Place, text: str, blocks: Any) -> None:
        assert message_faults(text, blocks or []) == []
        self.whispers.append(text)
        self.blocks.append(blocks)

    async def say(self, *, key: str, place: Place, text: str, blocks: Any, file: Any) -> None:
        assert message_faults(text, blocks or []) == []
        self.said[key] = text
        if file is not None:
            self.files[file.filename] = file.content
        self.blocks.append(blocks)

    async def open_view(self, *, trigger: str, view: Mapping[str, Any]) -> str:
        if self.expired or not trigger:
            raise TriggerExpired("The 3 s are over.")
        assert modal_faults(view) == []
        self.views.append(dict(view))
        return "V1"

    async def update_view(self, *, view_id: str, view: Mapping[str, Any]) -> None:
        assert modal_faults(view) == []
        self.views.append(dict(view))


@dataclass
class World:
    """A person in the release channel, and everything behind the router."""

    person: Person = RELEASER
    office: Office = field(default_factory=Office)
    voice: Voice = field(default_factory=Voice)
    thread: str = ""
    trigger: str = "T1"
    requests: int = 0

    def __post_init__(self) -> None:
        import commands

        self.router = Router.discover(commands, channel=CHANNEL)
        self.office.commands = self.router.commands

    @property
    def desk(self) -> Desk:
        return self.office.desk

    def ctx(self, text: str = "", place: Place | None = None) -> CommandContext:
        self.requests += 1
        where = place or Place(CHANNEL, self.thread, self.person.slack)
        return CommandContext(
            self.person, where, f"E{self.requests}", self.office, self.voice, trigger=self.trigger, text=text
        )

    async def type(self, text: str) -> None:
        await self.router.command(self.ctx(text), text)

    async def press(self, action_id: str, value: str) -> None:
        await self.router.click(self.ctx(), Click(action_id.partition(":")[0], action_id, value))

    async def press_shown(self, action_id: str) -> None:
        """Press a button of the newest message that has it."""
        for blocks in reversed(self.voice.blocks):
            for block in blocks or []:
                for element in block.get("elements", []):
                    if element.get("action_id") == action_id:
                        await self.press(action_id, element["value"])
                        return
        raise AssertionError(f"no button {action_id}")

    async def submit(self, **values: Any) -> Mapping[str, str]:
        """Send the newest modal; returns the complaints that keep it open."""
        view = self.voice.views[-1]
        metadata, place = place_out(view["private_metadata"])
        form = Form(view["callback_id"], values, metadata)
        wrong = self.router.complaints(form)
        if not wrong:
            await self.router.submit(self.ctx(place=place), form)
        return wrong
