"""Decisions, failures, lost leases, late clicks and repeats in any order: no illegal transition, no lost decision, no effect twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.domain.errors import ReleaseError, StepFailed
from bot.domain.plan import StepKind
from bot.domain.readmodel import Person
from bot.domain.release import FINISHED, RELEASE_MOVES, STEP_MOVES, DecisionKind, ReleaseState, StepState
from bot.engine import runner as runner_module
from bot.engine.records import Ledger
from bot.engine.runner import Area, Runner
from bot.engine.tables import ReleaseRow
from tests.engine.scripted import (
    ADMIN,
    APPROVER,
    RELEASER,
    STRANGER,
    AskingStep,
    Bot,
    Files,
    FileStep,
    approved,
    environment,
    opened,
    plan,
    steps,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bot.domain.readmodel import Decided, OpenQuestion, ReleaseView
    from bot.engine.step import StepContext
    from tests.engine.postgres import Cluster

PLAN = approved(
    plan(("first", "file"), ("ask", "asking"), ("middle", "deploy"), ("again", "asking"), ("last", "file")),
    "middle",
    count=2,
)
BACK = plan(("agreed", "asking"), ("back", "deploy"))
BACK = replace(
    BACK,
    version="1.9.9",
    steps=(
        replace(BACK.steps[0], kind=StepKind.APPROVAL),
        replace(BACK.steps[1], params={"roll_back": {"commit": BACK.head, "release": "R1"}}),
    ),
)
OTHER = Person("U06APP", "Other", frozenset({"approver"}))
PEOPLE = (RELEASER, APPROVER, ADMIN, STRANGER)
EXAMPLES = 200 if os.environ.get("CHAOS") == "all" else 10
CONTROLS = (DecisionKind.RETRY, DecisionKind.SKIP, DecisionKind.PAUSE, DecisionKind.RESUME, DecisionKind.ABORT)


@dataclass(frozen=True, slots=True)
class World(Files):
    """Refuses a second effect of the same mark, as origin refuses a tag that is there; fails when told to."""

    failures: list[bool] = field(default_factory=list)

    def do(self, name: str, line: str = "done") -> None:
        if line in self.done(name):
            raise StepFailed("It is there already.")
        Files.do(self, name, line)


class Failing(FileStep):
    """Fails as often as the world says."""

    files: World

    async def run(self, ctx: StepContext) -> None:
        await ctx.report(f"At {ctx.step.key}", {})
        if self.files.failures and self.files.failures.pop():
            raise StepFailed("Not this time.")
        self.files.do(ctx.step.key, ctx.mark)


class FailingAsking(AskingStep):
    """Asks, then does the same."""

    id: ClassVar[str] = "asking"
    run = Failing.run


@dataclass
class Story:
    """One bot after another with one release, and people who press whatever comes to their minds."""

    bot: Bot
    files: World
    runners: list[asyncio.Task[None]] = field(default_factory=list)
    stops: list[asyncio.Event] = field(default_factory=list)
    questions: dict[str, OpenQuestion] = field(default_factory=dict)
    release: str = "R1"
    taken: list[tuple[str, Person]] = field(default_factory=list)
    voices: list[tuple[str, Person]] = field(default_factory=list)
    last: ReleaseView | None = None

    def begin_a_runner(self) -> None:
        failing = Failing(self.files)
        registry: dict[str, Any] = {"file": failing, "deploy": failing, "asking": FailingAsking(self.files)}
        clock, bell = self.bot.site.clock, self.bot.desk.bell
        ledger = Ledger(self.bot.store, clock=clock, owner=f"runner {len(self.runners)}", lease=30, bell=bell)
        ports: Any = None
        areas = {"prod": Area(environment("prod"), ports)}
        runner = Runner(ledger, registry=registry, areas=areas, clock=clock, bell=bell, lease=30)
        runner.brief = 0.01
        self.stops.append(asyncio.Event())
        self.runners.append(asyncio.create_task(runner.run(self.stops[-1])))

    async def take_over(self) -> None:
        """Let another process claim what this one is in the middle of, as after a kill or a pause that was too long."""
        await self.bot.ledger.free_all()
        self.begin_a_runner()
        await self.stop(only=self.stops[-2:-1])

    async def stop(self, only: Iterable[asyncio.Event] | None = None) -> None:
        for event in self.stops if only is None else only:
            event.set()
        self.bot.desk.bell.ring()

    async def answer(self, question: str, kind: DecisionKind, by: Person) -> None:
        several = self.questions[question].question.approval
        value = "yes" if kind is DecisionKind.APPROVE and not several else ""
        decided = await self._said(self.bot.desk.answer(question=question, kind=kind, by=by, value=value))
        if decided and decided.effective and several and kind is DecisionKind.APPROVE:
            self.voices.append((question, by))
        elif decided and decided.effective:
            self.taken.append((question, by))

    async def control(self, kind: DecisionKind, by: Person) -> None:
        await self._said(self.bot.desk.control(release=self.release, kind=kind, by=by, reason="because"))

    async def roll_back(self, by: Person) -> None:
        with contextlib.suppress(ReleaseError):  # refused, as most of the time
            await self.bot.desk.roll_back(
                release="R1", plan=BACK, checklist="", by=by, reason="because", typed=BACK.version
            )

    async def _said(self, asked: Any) -> Decided | None:
        """Everybody gets a sentence; anything else than an error for people fails the test."""
        decided: Decided | None = None
        try:
            decided = await asked
        except ReleaseError as error:
            said = error.message
        assert decided.sentence if decided else said
        return decided

    async def look(self) -> ReleaseView:
        earlier = self.last  # another look may end while this one reads: what it saw need not be older
        seen = await self.bot.desk.release(self.release)
        if earlier and earlier.id == seen.id:
            assert seen.state in _reached(RELEASE_MOVES, earlier.state)
            for before, now in zip(earlier.steps, seen.steps, strict=True):
                assert now.state in _reached(STEP_MOVES, before.state), (before, now)
                assert now.attempt >= before.attempt
        self.questions.update({one.id: one for one in seen.questions})
        self.last = seen
        return seen

    async def settle(self) -> ReleaseView:
        """Let the runner come to where it waits for people."""
        deadline = asyncio.get_running_loop().time() + 10
        while True:
            rung = self.bot.desk.bell.rung
            seen = await self.look()
            waits = seen.state in (ReleaseState.PAUSED, ReleaseState.STOPPED)
            if seen.state in FINISHED or waits or (seen.questions and not _at_work(seen)):
                return seen
            assert asyncio.get_running_loop().time() < deadline, (seen.state, seen.steps, await self.lease())
            await self.bot.desk.bell.wait(at_most=0.2, since=rung)

    async def lease(self) -> tuple[str, Any, int]:
        async with self.bot.store.reading() as session:
            row = await session.get_one(ReleaseRow, 1)
            return row.lease_owner, row.lease_until, row.fence

    async def bring_to_an_end(self) -> ReleaseView:
        """Say yes to everything."""
        self.files.failures.clear()
        while (seen := await self.settle()).state not in FINISHED:
            if seen.state is ReleaseState.PAUSED:
                await self.control(DecisionKind.RESUME, ADMIN)
            elif seen.state is ReleaseState.STOPPED:
                await self.control(DecisionKind.RETRY, ADMIN)
            for one in seen.questions:
                for by in (ADMIN, OTHER) if one.question.approval else (ADMIN,):
                    await self.answer(one.id, DecisionKind.APPROVE, by)
        return seen


def _at_work(seen: ReleaseView) -> bool:
    return any(step.state is StepState.RUNNING for step in seen.steps)


def _reached(moves: Mapping[Any, frozenset[Any]], start: Any) -> set[Any]:
    seen, left = {start}, [start]
    while left:
        for new in moves[left.pop()] - seen:
            seen.add(new)
            left.append(new)
    return seen


people = st.sampled_from(PEOPLE)
actions = st.one_of(
    st.tuples(st.just("settle")),
    st.tuples(
        st.just("answer"), st.integers(0, 5), st.sampled_from((DecisionKind.APPROVE, DecisionKind.REJECT)), people
    ),
    st.tuples(st.just("answer"), st.integers(0, 5), st.just(DecisionKind.APPROVE), st.just(RELEASER)),
    st.tuples(st.just("control"), st.sampled_from(CONTROLS), people),
    st.tuples(st.just("control"), st.sampled_from(CONTROLS[:4]), st.just(ADMIN)),
    st.tuples(st.just("take over")),
    st.tuples(st.just("roll back"), people),
    st.tuples(st.just("roll back"), st.just(RELEASER)),
    st.tuples(st.just("fail")),
)
STORIES = st.lists(st.lists(actions, min_size=1, max_size=3), max_size=10)  # what stands in one list happens at once


async def _tell(url: str, story: list[list[tuple[Any, ...]]]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner_module, "LOOK", 0.05)  # another process's news is found by looking
        files = World(Path(folder))
        async with opened(url, steps(files)) as bot:
            told = Story(bot, files)
            await bot.start(PLAN)
            told.begin_a_runner()
            try:
                for moment in story:
                    await asyncio.gather(*(_do(told, *action) for action in moment))
                    await told.look()
                await _hold(told, await told.bring_to_an_end())
                if len(await bot.desk.history("prod", limit=2)) > 1:
                    told.release = "R2"
                    await _hold(told, await told.bring_to_an_end())
            finally:
                await told.stop()
                await asyncio.gather(*told.runners)


async def _do(told: Story, what: str, *how: Any) -> None:
    match what:
        case "settle":
            await told.settle()
        case "answer":
            if told.questions:
                known = list(told.questions)
                await told.answer(known[-1 - how[0] % len(known)], how[1], how[2])
        case "control":
            await told.control(*how)
        case "take over":
            await told.take_over()
        case "roll back":
            await told.roll_back(*how)
        case "fail":
            told.files.failures.append(True)


async def _hold(told: Story, end: ReleaseView) -> None:
    done = {step.key for step in end.steps if step.state is StepState.DONE}
    assert end.state in FINISHED
    assert end.state is ReleaseState.ABORTED or all(s.state in (StepState.DONE, StepState.SKIPPED) for s in end.steps)
    assert set(told.files.all().values()) <= {1}
    assert done <= set(told.files.all())
    assert end.questions == ()
    lock = await told.bot.desk.lock_of("prod")
    assert lock is None or (lock.release == "R2" != end.id)
    asked = {one.opened.id: one for one in await told.bot.desk.questions(end.id)}
    for question, by in (one for one in told.taken if one[0] in asked):
        kept = asked[question].answer
        assert kept is not None, "a decision that was taken is kept"
        assert kept.by == by.slack
    assert max(Counter(told.voices).values(), default=1) == 1, "nobody is counted twice"
    assert not {by.slack for _, by in told.voices} & {RELEASER.slack, STRANGER.slack}
    if end.id == "R1" and "middle" in done:
        assert len({by.slack for _, by in told.voices}) >= 2, "nothing is done before enough people have said yes"
    assert set(Counter(question for question, _ in told.taken).values()) <= {1}
    ids = [event.id for event in await told.bot.desk.events(after=0, limit=1000)]
    assert ids == sorted(set(ids))


@example(
    [[("fail",), ("settle",)], [("control", DecisionKind.RETRY, ADMIN), ("control", DecisionKind.RETRY, RELEASER)]]
)
@example(
    [
        [("settle",), ("answer", 0, DecisionKind.APPROVE, ADMIN), ("settle",)],
        [("fail",), ("answer", 0, DecisionKind.APPROVE, ADMIN), ("answer", 0, DecisionKind.APPROVE, APPROVER)],
        [("settle",)],
        [("roll back", RELEASER), ("roll back", ADMIN), ("control", DecisionKind.RETRY, RELEASER)],
    ]
)
@example([[("settle",)], [("control", DecisionKind.PAUSE, ADMIN), ("answer", 0, DecisionKind.APPROVE, RELEASER)]])
@example([[("settle",)], [("answer", 0, DecisionKind.APPROVE, ADMIN), ("take over",), ("take over",)]])
@given(STORIES)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_people_and_machines_do_a_release_stays_in_order(story: list[list[tuple[Any, ...]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_tell(f"sqlite+aiosqlite:///{folder}/bot.sqlite", story))


@given(story=STORIES)
@settings(
    max_examples=EXAMPLES // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_the_same_on_postgresql(postgres: Cluster, story: list[list[tuple[Any, ...]]]) -> None:
    asyncio.run(_tell(postgres.fresh(), story))
