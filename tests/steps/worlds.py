"""One environment made of fakes, with a plan for it, and a small driver that treats a step as the engine does."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.checklists import shipped
from bot.domain.drafting import Draft
from bot.domain.errors import ReleaseError
from bot.domain.release import Answer, DecisionKind
from bot.domain.world import CheckState, JobSpec, Program
from bot.engine.step import Done, Evidence, Measured, StepContext, StepEnvironment, Unknown
from bot.ports import Ports
from bot.steps.planner import Planner
from bot.steps.registry import load
from tests.steps.fakes import (
    START,
    FakeAnnouncements,
    FakeAuthors,
    FakeClock,
    FakeCodeHost,
    FakeJobs,
    FakePlatform,
    FakePlaybooks,
    FakeRepository,
    FakeServer,
    FakeSite,
    Tap,
    sha,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.plan import Plan
    from bot.engine.step import CheckResult, Step

REGISTRY = load()
NOTES = "[Task] Mono mass #11\n[Bug] Colours #12"
DRAFT = replace(Draft.read({"draft": NOTES}), pull_requests=(11, 12))
PROGRAMS = ("sm-api", "sm-graphql", "sm-lithops-daemon")
ENVIRONMENT = StepEnvironment(
    name="prod",
    master_branch="master",
    release_branch="release",
    required_ci=("test-engine", "test-webapp"),
    ending_programs=("sm-lithops-daemon",),
    watched_programs=PROGRAMS,
    ci_timeout=600,
    drain_timeout=300,
    settle_timeout=60,
    poll=2,
)


class Stopped(Exception):
    """The step asked a person, or could not go on."""


@dataclass
class World:
    """Release at ``base``, master two commits on, everything else at peace."""

    clock: FakeClock = field(default_factory=FakeClock)
    tap: Tap = field(default_factory=Tap)
    said: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    attempt: int = 1
    environment: StepEnvironment = ENVIRONMENT
    typed: dict[str, object] = field(default_factory=dict)
    plan: Plan | None = None

    def __post_init__(self) -> None:
        self.repository = FakeRepository()
        self.base = self.repository.commit("base")
        self.head = self.repository.commit("head", self.repository.commit("middle", self.base))
        self.repository.branches = {"release": self.base, "master": self.head}
        self.code_host = FakeCodeHost(written={11: ["Nice"], 12: []})
        self.green(self.head)
        self.jobs, self.playbooks = FakeJobs(self.clock), FakePlaybooks(self.clock)
        old = START - timedelta(days=1)
        names = [(n, n) for n in PROGRAMS[:2]] + [(f"daemon_{i}", "sm-lithops-daemon") for i in (0, 1)]
        self.server = FakeServer(
            self.clock, commit=self.base, running=[Program(n, g, "RUNNING", 1, old) for n, g in names]
        )
        self.jobs.on_start = self._checked_out
        self.jobs.on_success = self._deployed
        self.site, self.platform, self.announcements = FakeSite(self.clock), FakePlatform(), FakeAnnouncements()
        self.authors = FakeAuthors()

    def green(self, commit: str) -> None:
        self.code_host.report(commit, test_engine=CheckState.PASSED, test_webapp=CheckState.PASSED)

    def diverge(self) -> str:
        """Put a hotfix on release that master lacks."""
        self.repository.branches["release"] = self.repository.commit("hotfix", self.base)
        return self.repository.branches["release"]

    def _checked_out(self, spec: JobSpec) -> None:
        self.server.commit = spec.marks["commit"]

    def _deployed(self, spec: JobSpec) -> None:
        tags = spec.argv[spec.argv.index("--tags") + 1].split(",") if "--tags" in spec.argv else ()
        self.server.deploy(tags)

    @property
    def ports(self) -> Ports:
        wrap = self.tap.wrap
        return Ports(
            clock=self.clock,
            repository=wrap(self.repository),
            code_host=wrap(self.code_host),
            control_jobs=wrap(self.jobs),
            playbooks=wrap(self.playbooks),
            server=wrap(self.server),
            site=wrap(self.site),
            platform=wrap(self.platform),
            announcements=wrap(self.announcements),
            authors=wrap(self.authors),
        )

    @property
    def planner(self) -> Planner:
        return Planner(REGISTRY, ENVIRONMENT, self.ports)

    async def make_plan(self, **facts: Any) -> Plan:
        pinned = await self.planner.pin(hotfix=facts.get("hotfix", False), proved_live=facts.pop("proved_live", ""))
        facts = {"version": "1.9.10", "previous_version": "1.9.9", "notes": DRAFT, **facts}
        facts = {"parts": ("pull_request_comments",), **facts}
        self.plan = self.planner.plan(shipped(REGISTRY)["in_place"], pinned, **facts)
        return self.plan

    async def context(self, key: str, answer: Answer | None = None) -> StepContext:
        plan = self.plan or await self.make_plan()
        return StepContext(
            release="R7",
            plan=plan,
            step=plan.step(key),
            environment=self.environment,
            ports=self.ports,
            outputs=self.outputs,
            answer=answer,
            attempt=self.attempt,
            report=self._report,
            started_at=START,
            measured=self._measured,
            typed=self.typed,
        )

    async def _report(self, sentence: str, facts: Mapping[str, object]) -> None:
        json.dumps(facts)
        self.said.append((sentence, facts))

    async def _measured(self) -> Measured:
        return Measured(duration=250.0, downtime=12.0)

    async def step(self, key: str) -> Step:
        return REGISTRY[(await self.context(key)).step.step]

    async def check(self, key: str, answer: Answer | None = None) -> CheckResult:
        ctx = await self.context(key, answer)
        return await REGISTRY[ctx.step.step].check(ctx)

    async def drive(self, key: str, answer: Answer | None = None) -> Evidence:
        """check → ask → holds → run → verify, and keep the output as the store does: as JSON."""
        ctx = await self.context(key)
        step = REGISTRY[ctx.step.step]
        result = await step.check(ctx)
        if not isinstance(result, Done | Unknown) and await step.ask(ctx):
            if answer is None:
                raise Stopped("asked")
            self.typed.update(answer.form or {})
            ctx = replace(ctx, answer=answer, typed=self.typed)
            result = await step.check(ctx)
            if answer.value in step.again and not isinstance(result, Done | Unknown):
                raise Stopped("asked again")
        if isinstance(result, Unknown):
            raise Stopped(result.why)
        if isinstance(result, Done):
            return self._keep(step, result.evidence)
        for condition in step.holds:
            if not await condition.holds(ctx):
                raise Stopped(condition.name)
        await step.run(ctx)
        return self._keep(step, await step.verify(ctx))

    def _keep(self, step: Step, evidence: Evidence) -> Evidence:
        json.dumps(evidence.facts)
        output = evidence.output
        if output is not None and is_dataclass(output) and not isinstance(output, type):
            self.outputs[step.id] = json.loads(json.dumps(asdict(output)))
        return evidence


def yes(value: str = "", **form: object) -> Answer:
    return Answer(DecisionKind.APPROVE, "U01REL", START, value=value, form=form or None)


def done() -> Answer:
    return Answer(DecisionKind.DONE, "U01REL", START)


def no(reason: str = "not today") -> Answer:
    return Answer(DecisionKind.REJECT, "U02APP", START, reason=reason)


async def failure(world: World, key: str, answer: Answer | None = None) -> ReleaseError:
    """Drive the step and return the error that it stops with; it must say what to try next."""
    with pytest.raises(ReleaseError) as caught:
        await world.drive(key, answer)
    assert caught.value.hint
    return caught.value


__all__ = ["ENVIRONMENT", "NOTES", "PROGRAMS", "REGISTRY", "Stopped", "World", "done", "failure", "no", "sha", "yes"]
