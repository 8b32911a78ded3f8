"""A small world of files, steps that change it, and a bot that may be killed: effects are counted in the world, not in the bot's log."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from bot.checklists import catalogue
from bot.domain.approval import ApprovalPolicy, as_param
from bot.domain.plan import Plan, PlannedStep, StepKind
from bot.domain.readmodel import Person
from bot.domain.release import FINISHED, Choice, DecisionKind, Question
from bot.domain.world import Look
from bot.engine import failpoints
from bot.engine.clock import SystemClock
from bot.engine.desk import Desk
from bot.engine.plans import Plans
from bot.engine.records import Ledger
from bot.engine.runner import Area, Runner
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone, StepContext, StepEnvironment
from bot.engine.step import Running as UnderWay
from bot.engine.store import Store
from bot.engine.watch import Watch
from bot.steps.manual import STEP as MANUAL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from bot.domain.readmodel import ReleaseView
    from bot.engine.step import Step
    from bot.ports import Clock, Ports

RELEASER = Person("U01REL", "Releaser", frozenset({"releaser"}))
APPROVER = Person("U02APP", "Approver", frozenset({"approver"}))
ADMIN = Person("U03ADM", "Admin", frozenset({"admin"}))
STRANGER = Person("U09STR", "Stranger")
Interrupt = Literal["rerun", "attach", "ask"]
Skip = Literal["never", "approver", "releaser"]


@dataclass(frozen=True, slots=True)
class Files:
    """The world: a file a name, with a line for each time that its effect was done."""

    folder: Path

    def do(self, name: str, line: str = "done") -> None:
        with (self.folder / name).open("a") as file:
            file.write(f"{line}\n")

    def done(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def all(self) -> dict[str, int]:
        return {path.name: len(self.done(path.name)) for path in sorted(self.folder.iterdir())}


@dataclass
class Output:
    """What a file step hands on."""

    lines: int


class FileStep(BaseStep):
    """Writes one line; done once it is there with this release's mark."""

    id: ClassVar[str] = "file"
    title: ClassVar[str] = "Write a line"
    on_interrupt: ClassVar[Interrupt] = "rerun"
    skip: ClassVar[Skip] = "releaser"

    def __init__(self, files: Files) -> None:
        self.files = files

    async def check(self, ctx: StepContext) -> CheckResult:
        lines = self.files.done(ctx.step.key)
        return Done(await self.verify(ctx)) if ctx.mark in lines else NotDone("The line is not there.")

    async def run(self, ctx: StepContext) -> None:
        await ctx.report(f"Writing {ctx.step.key}", {"owes": {ctx.step.key: f"{ctx.step.key} is half done"}})
        self.files.do(ctx.step.key, ctx.mark)

    async def verify(self, ctx: StepContext) -> Evidence:
        lines = len(self.files.done(ctx.step.key))
        return Evidence(f"{lines} line(s).", {"settles": [ctx.step.key], "lines": lines}, Output(lines))


class AskingStep(FileStep):
    """Asks before it writes."""

    id: ClassVar[str] = "asking"
    kind: ClassVar[StepKind] = StepKind.APPROVAL

    async def ask(self, ctx: StepContext) -> Question:
        choices = (Choice(DecisionKind.APPROVE, "Yes", value="yes"), Choice(DecisionKind.REJECT, "No", danger=True))
        return Question(f"May I write {ctx.step.key}?", "", choices)


class JobStep(FileStep):
    """Starts something that goes on without the bot, and attaches to it."""

    id: ClassVar[str] = "job"
    on_interrupt: ClassVar[Interrupt] = "attach"

    async def check(self, ctx: StepContext) -> CheckResult:
        if ctx.mark in self.files.done(f"{ctx.step.key}-end"):
            return Done(await self.verify(ctx))
        return UnderWay(ctx.mark) if self.files.done(f"{ctx.step.key}-begin") else NotDone()

    async def run(self, ctx: StepContext) -> None:
        if not self.files.done(f"{ctx.step.key}-begin"):
            self.files.do(f"{ctx.step.key}-begin", ctx.mark)
        await ctx.report("Attached", {"job": ctx.mark})
        if not self.files.done(f"{ctx.step.key}-end"):
            self.files.do(f"{ctx.step.key}-end", ctx.mark)

    async def verify(self, ctx: StepContext) -> Evidence:
        return Evidence("The job ended.")


class BlindStep(FileStep):
    """Its effect cannot be seen in the world before its end: after an interruption only a person knows."""

    id: ClassVar[str] = "blind"
    on_interrupt: ClassVar[Interrupt] = "ask"


class FakeSite:
    """A site that is up unless a test says otherwise."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.up = clock, True

    async def look(self) -> Look:
        return Look(self.clock.now(), self.up, 0.001, "" if self.up else "503")


def plan(*steps: tuple[str, str], environment: str = "prod", version: int = 1) -> Plan:
    """Plan these steps, each a key and the id of its code."""
    return Plan(
        environment=environment,
        strategy="test",
        checklist="test@1",
        base="a" * 40,
        head="b" * 40,
        version="1.9.10",
        previous_version="1.9.9",
        hotfix=False,
        tags=(),
        steps=tuple(PlannedStep(key, step, version, f"Step {key}", StepKind.AUTOMATIC) for key, step in steps),
    )


def approved(made: Plan, key: str, **policy: Any) -> Plan:
    """Let a step of the plan need approvals."""
    asked = {"approval": as_param(ApprovalPolicy(**policy))}
    return replace(made, steps=tuple(replace(s, params=asked) if s.key == key else s for s in made.steps))


STORY = plan(("first", "file"), ("second", "asking"), ("third", "job"), ("fourth", "blind"), ("last", "file"))


def steps(files: Files) -> dict[str, Step]:
    return {MANUAL.id: MANUAL, **{one.id: one(files) for one in (FileStep, AskingStep, JobStep, BlindStep)}}


def environment(name: str, **facts: Any) -> StepEnvironment:
    usual = {"master_branch": "master", "release_branch": "release", "required_ci": (), "poll": 0.01}
    return StepEnvironment(name=name, **{**usual, **facts})


@dataclass
class Bot:
    """One process's engine."""

    store: Store
    desk: Desk
    ledger: Ledger
    runner: Runner
    site: FakeSite
    plans: Plans

    async def start(self, made: Plan, by: str = RELEASER.slack) -> str:
        return (await self.desk.start(plan=made, checklist="text", by=by)).id

    async def until(self, release: str, reached: Callable[[ReleaseView], bool], *, within: float = 60.0) -> ReleaseView:
        """Wait until the release is as wanted."""
        seen = None
        try:
            async with asyncio.timeout(within):
                while not reached(seen := await self.desk.release(release)):
                    await self.desk.bell.wait(at_most=0.05)
        except TimeoutError:
            raise AssertionError(f"it did not get there: {seen}") from None
        return seen

    async def finished(self, release: str) -> ReleaseView:
        return await self.until(release, lambda seen: seen.state in FINISHED)

    async def asked(self, release: str) -> str:
        """Wait for a question, and return its id."""
        return (await self.until(release, lambda seen: bool(seen.questions))).questions[0].id


@contextlib.asynccontextmanager
async def opened(
    url: str,
    registry: Mapping[str, Step],
    *,
    clock: Clock | None = None,
    owner: str = "one",
    lease: float = 30.0,
    environments: tuple[str, ...] = ("prod",),
    watched: bool = False,
    server: object = None,
    facts: Mapping[str, Any] | None = None,
) -> AsyncIterator[Bot]:
    """Open the database and everything of the engine, with nothing running yet."""
    clock = clock or SystemClock()
    async with Store(url) as store:
        desk = Desk(store, clock=clock, skip_of=lambda step: registry[step].skip if step in registry else "never")
        ledger = Ledger(store, clock=clock, owner=owner, lease=lease, bell=desk.bell)
        site = FakeSite(clock)
        areas = {
            name: _area(environment(name, **(facts or {})), store, clock, site, desk, watched=watched, server=server)
            for name in environments
        }
        runner = Runner(ledger, registry=registry, areas=areas, clock=clock, bell=desk.bell, lease=lease)
        plans = Plans(store, clock=clock, catalogue=catalogue(registry), bell=desk.bell)
        yield Bot(store, desk, ledger, runner, site, plans)


def _area(
    place: StepEnvironment, store: Store, clock: Clock, site: FakeSite, desk: Desk, *, watched: bool, server: object
) -> Area:
    from types import SimpleNamespace

    ports: Any = SimpleNamespace(
        site=site, clock=clock, server=server
    )  # the engine itself asks nothing else of the world
    world: Ports = ports
    watch = Watch(store, clock=clock, interval=0.02, bell=desk.bell) if watched else None
    return Area(place, world, watch)


@contextlib.asynccontextmanager
async def running(bot: Bot) -> AsyncIterator[None]:
    """Let the runner work while the block runs; then stop it cleanly."""
    stop = asyncio.Event()
    task = asyncio.create_task(bot.runner.run(stop))
    try:
        yield
    finally:
        stop.set()
        bot.desk.bell.ring()
        await task


def in_a_process_of_its_own(url: str, folder: Path, failpoint: str = "") -> int:
    """Carry out the one release of this database until it is over, and return how the process ended (-9: killed)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.engine.scripted"])
    child = context.Process(target=_live, args=(url, str(folder), failpoint))
    child.start()
    child.join(30)
    if child.exitcode is None:
        child.kill()
        child.join()
        raise AssertionError("the bot hangs")
    return child.exitcode


def _live(url: str, folder: str, failpoint: str) -> None:
    if failpoint:
        noted = f"{folder}.failpoints"
        os.environ |= {failpoints.WANTED: failpoint, failpoints.PASSED: noted, failpoints.TESTING: "1"}
    failpoints.demand_sane()
    asyncio.run(_serve(url, Files(Path(folder))))


async def _serve(url: str, files: Files) -> None:
    """Be the bot, and the person who says yes to everything."""
    async with opened(url, steps(files), owner=f"process {os.getpid()}") as bot:
        await bot.ledger.free_all()
        known = await bot.desk.history("prod", limit=1)
        release = known[0].id if known else await bot.start(STORY)
        async with running(bot):
            while (seen := await bot.desk.release(release)).state not in FINISHED:
                for one in seen.questions:
                    yes = one.question.choices[0]
                    await bot.desk.answer(question=one.id, kind=yes.kind, by=RELEASER, value=yes.value)
                await bot.desk.bell.wait(at_most=0.05)
