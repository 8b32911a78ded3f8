"""Releases driven by a real runner on a real database: what each answer of a step, and each decision of a person, leads to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from bot.domain.errors import Conflict, HostKeyChanged, NotAllowed, Refused, StepFailed, WrongUse
from bot.domain.release import DecisionKind, ReleaseState, StepState
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Partial, StepContext, Unknown
from tests.engine.scripted import (
    ADMIN,
    APPROVER,
    RELEASER,
    STRANGER,
    Files,
    FileStep,
    Interrupt,
    Skip,
    opened,
    plan,
    running,
    steps,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.domain.readmodel import ReleaseView
    from bot.engine.step import Step

APPROVE, REJECT = DecisionKind.APPROVE, DecisionKind.REJECT


class Scripted(BaseStep):
    """A step that a test writes: each part is a function of the context."""

    id: ClassVar[str] = "scripted"
    title: ClassVar[str] = "Scripted"
    on_interrupt: ClassVar[Interrupt] = "rerun"
    skip: ClassVar[Skip] = "approver"

    def __init__(self, **parts: Callable[[StepContext], Awaitable[Any]]) -> None:
        self.parts = parts
        self.ran = 0
        self.seen: list[StepContext] = []

    async def check(self, ctx: StepContext) -> CheckResult:
        self.seen.append(ctx)
        if "check" in self.parts:
            found: CheckResult = await self.parts["check"](ctx)
            return found
        return Done(Evidence("It is there.")) if self.ran else NotDone()

    async def run(self, ctx: StepContext) -> None:
        if "run" in self.parts:
            await self.parts["run"](ctx)
        self.ran += 1

    async def verify(self, ctx: StepContext) -> Evidence:
        return Evidence("It is there.")


def stopped(seen: ReleaseView) -> bool:
    return seen.state is ReleaseState.STOPPED


def raising(*errors: Exception) -> Callable[[StepContext], Awaitable[None]]:
    """Fail with each of these in turn, then work."""
    left = list(errors)

    async def run(_ctx: StepContext) -> None:
        if left:
            raise left.pop(0)

    return run


def registry(files: Files, step: BaseStep) -> dict[str, Step]:
    scripted: Any = step
    return {**steps(files), "scripted": scripted}


MIDDLE = plan(("first", "file"), ("middle", "scripted"), ("last", "file"))


async def test_evidence_outputs_and_debts_are_kept(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.finished(await bot.start(plan(("first", "file"), ("last", "file"))))
        assert release.state is ReleaseState.SUCCEEDED
        assert [step.summary for step in release.steps] == ["1 line(s).", "1 line(s)."]
        assert release.steps[0].facts["lines"] == 1
        assert release.loose_ends == ()
        assert files.all() == {"first": 1, "last": 1}
        assert await bot.desk.lock_of("prod") is None
        kinds = [event.kind for event in await bot.desk.events(after=0, limit=100)]
        assert kinds == [
            "release.started",
            *["step.running", "step.progress", "step.done"] * 2,
            "release.succeeded",
        ]


async def test_what_was_done_by_hand_is_recorded_and_not_repeated(url: str, files: Files) -> None:
    files.do("first", "R1-first")
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.finished(await bot.start(plan(("first", "file"), ("last", "file"))))
        assert release.steps[0].state is StepState.DONE
        assert files.done("first") == ["R1-first"]


async def test_an_approval_waits_and_the_answer_reaches_the_step(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.start(plan(("first", "file"), ("ask", "asking")))
        question = await bot.asked(release)
        assert (await bot.desk.release(release)).steps[1].state is StepState.WAITING
        assert files.done("ask") == []
        decided = await bot.desk.answer(question=question, kind=APPROVE, by=RELEASER, value="yes")
        assert decided.effective
        seen = await bot.finished(release)
        assert seen.steps[1].decided_by == RELEASER.slack
        assert files.done("ask") == ["R1-ask"]


async def test_an_unknown_world_stops_and_never_runs(url: str, files: Files) -> None:
    async def check(_ctx: StepContext) -> CheckResult:
        return Unknown("Two tags of one name.", "look at origin")

    step = Scripted(check=check)
    async with opened(url, registry(files, step)) as bot, running(bot):
        release = await bot.until(await bot.start(MIDDLE), stopped)
        assert step.ran == 0
        assert release.current is not None
        assert release.current.problem is not None
        assert release.current.problem.message == "Two tags of one name."
        assert release.current.problem.hint == "look at origin"
        lock = await bot.desk.lock_of("prod")
        assert lock is not None
        assert lock.release == release.id


async def test_a_failure_stops_with_its_words_and_a_retry_asks_the_world_again(url: str, files: Files) -> None:
    step = Scripted(run=raising(StepFailed("No.", hint="Do this.", changed="Nothing.")))
    async with opened(url, registry(files, step)) as bot, running(bot):
        number = await bot.start(MIDDLE)
        release = await bot.until(number, stopped)
        failed = release.steps[1]
        assert failed.state is StepState.FAILED
        assert failed.problem is not None
        assert (failed.problem.message, failed.problem.hint, failed.problem.changed) == ("No.", "Do this.", "Nothing.")
        assert (await bot.desk.control(release=number, kind=DecisionKind.RETRY, by=RELEASER)).effective
        release = await bot.finished(number)
        assert release.state is ReleaseState.SUCCEEDED
        assert [ctx.attempt for ctx in step.seen] == [1, 2]
        assert release.steps[1].problem is None


async def test_a_bug_of_ours_is_an_error_without_a_traceback_in_the_view(url: str, files: Files) -> None:
    step = Scripted(run=raising(ZeroDivisionError("secret detail")))
    async with opened(url, registry(files, step)) as bot, running(bot):
        release = await bot.until(await bot.start(MIDDLE), stopped)
        assert release.steps[1].state is StepState.ERROR
        problem = release.steps[1].problem
        assert problem is not None
        assert problem.ours
        assert "secret detail" not in problem.message


async def test_a_step_is_skipped_by_who_may_with_a_reason_and_not_otherwise(url: str, files: Files) -> None:
    step = Scripted(run=raising(*[StepFailed("No.")] * 3))
    async with opened(url, registry(files, step)) as bot, running(bot):
        number = await bot.start(MIDDLE)
        await bot.until(number, stopped)
        skip = DecisionKind.SKIP
        with pytest.raises(NotAllowed, match="approver"):
            await bot.desk.control(release=number, kind=skip, by=RELEASER, reason="because")
        with pytest.raises(NotAllowed):
            await bot.desk.control(release=number, kind=skip, by=STRANGER, reason="because")
        with pytest.raises(WrongUse, match="reason"):
            await bot.desk.control(release=number, kind=skip, by=ADMIN, reason=" ")
        assert (await bot.desk.control(release=number, kind=skip, by=APPROVER, reason="done by hand")).effective
        release = await bot.finished(number)
        assert release.steps[1].state is StepState.SKIPPED
        assert (release.steps[1].decided_by, release.steps[1].reason) == (APPROVER.slack, "done by hand")
        assert files.all() == {"first": 1, "last": 1}


async def test_a_changed_host_key_is_never_skipped_by_anybody(url: str, files: Files) -> None:
    step = Scripted(run=raising(HostKeyChanged("Another key.")))
    async with opened(url, registry(files, step)) as bot, running(bot):
        number = await bot.start(MIDDLE)
        assert (await bot.until(number, stopped)).steps[1].skip == "never"
        with pytest.raises(NotAllowed, match="never"):
            await bot.desk.control(release=number, kind=DecisionKind.SKIP, by=ADMIN, reason="I know")


async def test_a_condition_gone_false_after_the_answer_voids_it_and_is_named(url: str, files: Files) -> None:
    green = [True]

    async def look(_ctx: StepContext) -> bool:
        return green[0]

    class Approved(FileStep):
        id: ClassVar[str] = "asking"
        holds: ClassVar[tuple[Condition, ...]] = (Condition("CI is green", look),)
        ask = steps(files)["asking"].__class__.ask

    async with opened(url, {**steps(files), "asking": Approved(files)}) as bot, running(bot):
        number = await bot.start(plan(("first", "file"), ("ask", "asking")))
        question = await bot.asked(number)
        green[0] = False
        await bot.desk.answer(question=question, kind=APPROVE, by=RELEASER, value="yes")
        problem = (await bot.until(number, stopped)).steps[1].problem
        assert problem is not None
        assert "CI is green" in problem.message
        assert files.done("ask") == []
        green[0] = True
        await bot.desk.control(release=number, kind=DecisionKind.RETRY, by=RELEASER)
        assert await bot.asked(number) != question, "the old answer lapsed with the attempt"


async def test_paused_between_steps_and_resumed(url: str, files: Files) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def run(_ctx: StepContext) -> None:
        begun.set()
        await go.wait()

    async with opened(url, registry(files, Scripted(run=run))) as bot, running(bot):
        number = await bot.start(MIDDLE)
        await begun.wait()
        await bot.desk.control(release=number, kind=DecisionKind.PAUSE, by=APPROVER)
        go.set()
        release = await bot.until(number, lambda seen: seen.steps[1].state is StepState.DONE)
        assert release.state is ReleaseState.PAUSED
        await asyncio.wait_for(bot.desk.bell.wait(at_most=0.3), 1)
        assert (await bot.desk.release(number)).steps[2].state is StepState.PENDING
        with pytest.raises(NotAllowed):
            await bot.desk.control(release=number, kind=DecisionKind.RESUME, by=APPROVER)
        await bot.desk.control(release=number, kind=DecisionKind.RESUME, by=RELEASER)
        assert (await bot.finished(number)).state is ReleaseState.SUCCEEDED


async def test_an_abort_ends_a_step_that_waits_and_gives_the_environment_back(url: str, files: Files) -> None:
    begun = asyncio.Event()

    async def wait_for_ever(ctx: StepContext) -> None:
        await ctx.report("Waiting", {"owes": {"switch": "the switch is off"}})
        begun.set()
        await asyncio.Event().wait()

    async with opened(url, registry(files, Scripted(run=wait_for_ever))) as bot, running(bot):
        bot.runner.brief = 0.05
        number = await bot.start(MIDDLE)
        await begun.wait()
        abort = DecisionKind.ABORT
        with pytest.raises(WrongUse, match="reason"):
            await bot.desk.control(release=number, kind=abort, by=RELEASER)
        await bot.desk.control(release=number, kind=abort, by=RELEASER, reason="wrong commit")
        release = await bot.finished(number)
        assert release.state is ReleaseState.ABORTED
        assert "wrong commit" in release.note
        assert release.loose_ends == ("the switch is off",)
        assert await bot.desk.lock_of("prod") is None
        with pytest.raises(Conflict, match="aborted"):
            await bot.desk.control(release=number, kind=abort, by=RELEASER, reason="again")


async def test_an_abort_lets_an_effect_that_ends_soon_be_told_whole(url: str, files: Files) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def push(_ctx: StepContext) -> None:
        begun.set()
        await go.wait()

    step = Scripted(run=push)
    async with opened(url, registry(files, step)) as bot, running(bot):
        number = await bot.start(MIDDLE)
        await begun.wait()
        await bot.desk.control(release=number, kind=DecisionKind.ABORT, by=RELEASER, reason="stop")
        go.set()
        release = await bot.finished(number)
        assert release.state is ReleaseState.ABORTED
        assert [one.state for one in release.steps] == [StepState.DONE, StepState.DONE, StepState.PENDING]


async def test_an_abort_of_a_waiting_question_closes_it(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        number = await bot.start(plan(("first", "file"), ("ask", "asking")))
        question = await bot.asked(number)
        await bot.desk.control(release=number, kind=DecisionKind.ABORT, by=RELEASER, reason="no")
        assert (await bot.finished(number)).questions == ()
        late = await bot.desk.answer(question=question, kind=APPROVE, by=RELEASER, value="yes")
        assert not late.effective


async def test_code_of_another_version_stops_and_asks(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        release = await bot.until(await bot.start(plan(("first", "file"), version=2)), stopped)
        assert release.steps[0].problem is not None
        assert "version 2" in release.steps[0].problem.message
        assert files.all() == {}


async def test_an_interrupted_effect_that_nobody_can_see_is_asked_about(url: str, files: Files) -> None:
    begun = asyncio.Event()

    class Blind(Scripted):
        on_interrupt: ClassVar[Interrupt] = "ask"

    async def run(_ctx: StepContext) -> None:
        begun.set()
        await asyncio.Event().wait()

    made = plan(("middle", "scripted"))
    async with opened(url, registry(files, Blind(run=run)), owner="first") as bot:
        bot.runner.grace = 0.05
        number = await bot.start(made)
        task = asyncio.create_task(bot.runner.run(asyncio.Event()))
        await begun.wait()
        await bot.ledger.free_all()  # as after kill -9: nothing of the old process is left but its rows
        after = Blind()
        async with _second(bot, registry(files, after)):
            question = await bot.asked(number)
            assert after.ran == 0
            await bot.desk.answer(question=question, kind=APPROVE, by=RELEASER)
            assert (await bot.finished(number)).state is ReleaseState.SUCCEEDED
            assert after.ran == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_no_to_running_again_stops_the_release(url: str, files: Files) -> None:
    class Blind(Scripted):
        on_interrupt: ClassVar[Interrupt] = "ask"

    step = Blind()
    async with opened(url, registry(files, step)) as bot:
        number = await bot.start(plan(("middle", "scripted")))
        ((claimed, fence),) = await bot.ledger.claim(("prod",), but=())
        book = bot.ledger.book(claimed, fence)
        await book.begin("middle", retry=False)
        await book.entering_effect("middle")
        await bot.ledger.free_all()
        async with running(bot):
            question = await bot.asked(number)
            await bot.desk.answer(question=question, kind=REJECT, by=RELEASER)
            await bot.until(number, stopped)
            assert step.ran == 0


async def test_a_clean_stop_gives_the_release_back_and_another_bot_goes_on(url: str, files: Files) -> None:
    begun = asyncio.Event()

    async def run(_ctx: StepContext) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with opened(url, registry(files, Scripted(run=run)), owner="first") as bot:
        number = await bot.start(MIDDLE)
        async with running(bot):
            await begun.wait()
        assert await bot.ledger.claim(("prod",), but=()) == [(1, 2)], "no lease is left to wait for"
        await bot.ledger.free_all()
        async with _second(bot, registry(files, Scripted())):
            release = await bot.finished(number)
            assert release.steps[1].attempt == 1
            assert files.all() == {"first": 1, "last": 1}


async def test_environments_are_released_to_side_by_side_and_one_holds_nobody_up(url: str, files: Files) -> None:
    async with opened(url, steps(files), environments=("prod", "staging")) as bot, running(bot):
        waiting = await bot.start(plan(("ask-first", "file"), ("ask", "asking")))
        await bot.asked(waiting)
        other = await bot.start(plan(("first", "file"), ("last", "file"), environment="staging"))
        assert (await bot.finished(other)).state is ReleaseState.SUCCEEDED
        assert [one.id for one in await bot.desk.active()] == [waiting]


async def test_a_partial_world_is_completed_by_running(url: str, files: Files) -> None:
    async def check(_ctx: StepContext) -> CheckResult:
        return Partial(Evidence("Half of it."))

    step = Scripted(check=check)
    async with opened(url, registry(files, step)) as bot, running(bot):
        assert (await bot.finished(await bot.start(MIDDLE))).state is ReleaseState.SUCCEEDED
        assert step.ran == 1


async def test_a_refusal_of_the_world_is_a_failure_not_an_error(url: str, files: Files) -> None:
    step = Scripted(run=raising(Refused("origin's release had moved", changed="Nothing.")))
    async with opened(url, registry(files, step)) as bot, running(bot):
        release = await bot.until(await bot.start(MIDDLE), stopped)
        assert release.steps[1].state is StepState.FAILED
        assert release.steps[1].problem is not None
        assert not release.steps[1].problem.ours


def _second(bot: Any, steps_there_are: dict[str, Step]) -> Any:
    """Another process's runner on the same database."""
    from dataclasses import replace

    from bot.engine.records import Ledger
    from bot.engine.runner import Area, Runner
    from tests.engine.scripted import environment

    clock = bot.site.clock
    ledger = Ledger(bot.store, clock=clock, owner="second", lease=30, bell=bot.desk.bell)
    ports: Any = None
    runner = Runner(
        ledger,
        registry=steps_there_are,
        areas={"prod": Area(environment("prod"), ports)},
        clock=clock,
        bell=bot.desk.bell,
        lease=30,
    )
    return running(replace(bot, ledger=ledger, runner=runner))
