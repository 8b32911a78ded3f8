"""One turn of one step: check, perhaps ask, perhaps run, verify. A failure stops the release."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from bot import permit
from bot.domain.errors import HostKeyChanged, Refused, ReleaseError
from bot.domain.plan import StepKind
from bot.domain.readmodel import Problem
from bot.domain.release import Choice, DecisionKind, Question, ReleaseState, StepState
from bot.engine import failpoints
from bot.engine.gate import Gate
from bot.engine.guard import guarded
from bot.engine.phases import Waits
from bot.engine.records import Book, LeaseLost, Situation
from bot.engine.step import Done, NotDone, Partial, Running, StepContext, Unknown
from bot.engine.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.engine.bell import Bell
    from bot.engine.step import CheckResult, Step, StepEnvironment
    from bot.engine.watch import Watch
    from bot.ports import Ports

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Area:
    """One environment as the runner sees it."""

    environment: StepEnvironment
    ports: Ports
    watch: Watch | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. ``look``: between two looks for news; ``brief``: for a step that is aborted; ``grace``: when the bot is stopped."""

    look: float
    brief: float
    grace: float


class Turn:
    """One step, once: check, perhaps ask, perhaps run, verify."""

    def __init__(self, book: Book, now: Situation, *, step: Step | None, area: Area, bell: Bell, pace: Pace) -> None:
        """``step`` is the code of the step in work, None when this bot does not have that version."""
        if now.step is None:
            raise ValueError("a turn needs a step")
        self._book, self._now, self._area, self._row = book, now, area, now.step
        self._step, self._bell, self._pace = step, bell, pace
        self._key = now.step.key

    async def take(self) -> None:
        """Bring the step further by one turn; a failure stops the release."""
        step = self._step
        retry = self._row.state in (StepState.FAILED, StepState.ERROR)
        try:
            if not await self._book.begin(self._key, retry=retry, plan=self._now.plan):
                return  # somebody paused, skipped or aborted it this moment, or changed the plan
        except Waits as waiting:
            await self._book.await_lock(self._key, waiting)
            await self._bell.wait(at_most=self._pace.look)
            return
        failpoints.begin(self._key)
        if step is None:
            planned = self._now.plan.step(self._key)
            await self._fail(
                Problem(
                    f"This bot does not know step {planned.step!r} in version {planned.version}.",
                    hint="run the version of the bot that made the plan, or abort and plan anew",
                    changed="Nothing.",
                )
            )
            return
        with structlog.contextvars.bound_contextvars(step=self._key), permit.under(self._book.demand):
            await self._guarded(step, await self._context(retry=retry))

    async def _context(self, *, retry: bool) -> StepContext:
        now = self._now

        async def report(text: str, facts: Mapping[str, object]) -> None:
            await self._book.progress(self._key, text, facts)

        return StepContext(
            release=f"R{now.number}",
            plan=now.plan,
            step=now.plan.step(self._key),
            environment=self._area.environment,
            ports=guarded(self._area.ports, self._book),
            outputs=now.outputs,
            answer=None if retry else now.answer,
            attempt=self._row.attempt + (1 if retry or self._row.state == StepState.PENDING else 0),
            report=report,
            started_at=now.created_at,
            measured=self._book.measured,
            since=self._book.went_live,
            typed=now.typed,
        )

    async def _guarded(self, step: Step, ctx: StepContext) -> None:
        try:
            await self._act(step, ctx)
        except StoreUnavailable:
            raise
        except ReleaseError as error:
            _log.info("step_failed", why=error.message, kind=type(error).__name__)
            unskippable = isinstance(error, HostKeyChanged)
            await self._fail(Problem(error.message, error.hint, error.changed, unskippable=unskippable))
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  # a bug of ours stops the release, and never the bot
            _log.exception("step_error")
            what = f"A bug of mine: {type(error).__name__} in {self._key}; my log has the details."
            await self._fail(Problem(what, hint="retry; if it comes again, do the step by hand", ours=True))

    async def _act(self, step: Step, ctx: StepContext) -> None:
        found = await step.check(ctx)
        gate = Gate(self._book, self._now, step, ctx)
        match found:
            case Done(evidence):
                if ctx.step.kind is not StepKind.AUTOMATIC and not await gate.passed():
                    return  # here the world is people's word: it counts once enough of them have given it
                await self._book.done(self._key, evidence)
                failpoints.reach("after_write", self._key)
                return
            case Unknown(why, hint):
                await self._fail(Problem(why, hint=hint or "look at it by hand, then retry", changed="Nothing."))
                return
        if not isinstance(found, Running) and (await self._must_wait(step, ctx) or not await gate.passed()):
            return
        if not await self._effect(step, ctx, found, gate):
            return
        failpoints.reach("after_effect", self._key)
        evidence = await step.verify(ctx)
        await self._book.done(self._key, evidence)
        failpoints.reach("after_write", self._key)

    async def _must_wait(self, step: Step, ctx: StepContext) -> bool:
        """Ask people where the step or an interruption needs it; True when a question was put."""
        if self._row.in_effect and step.on_interrupt == "ask":
            if self._now.cleared is None:
                await self._book.ask(self._key, _interrupted(ctx), engine=True)
                return True
            if self._now.cleared.kind is DecisionKind.REJECT:
                raise Refused(
                    "It was interrupted, and is not to be run again as it is.", hint="do it by hand, then retry"
                )
        if ctx.answer is not None and ctx.answer.value not in step.again:
            return False
        question = await step.ask(ctx)
        if question is None:
            return False
        await self._book.ask(self._key, question)
        return True

    async def _effect(self, step: Step, ctx: StepContext, found: CheckResult, gate: Gate) -> bool:
        """Look at the conditions once more, then run. What is under way already is only attached to.

        False, and nothing is run, when one that approvals rest on is gone: they are void, and asked afresh; or when the
        plan was changed this moment.
        """
        fresh = isinstance(found, NotDone | Partial)
        if fresh:
            if await gate.void_before_effect():
                return False
            for condition in step.holds:
                if not await condition.holds(ctx):
                    raise Refused(
                        f"No longer true: {condition.name}.",
                        hint="review again; retry once it holds, or abort",
                        changed="Nothing.",
                    )
        if not await self._book.entering_effect(self._key, self._now.plan if fresh else None):
            return False
        failpoints.reach("before_effect", self._key)
        await self._interruptible(step, ctx)
        return True

    async def _interruptible(self, step: Step, ctx: StepContext) -> None:
        """Run the step. An abort ends one that may be run again; any other is let finish. So does a stop of the bot, for a while."""
        running = asyncio.ensure_future(step.run(ctx))
        try:
            while not running.done():
                rung = self._bell.rung
                if step.on_interrupt == "rerun" and await self._aborting():
                    await self._come_to_an_end(running)
                    break
                news = asyncio.ensure_future(self._bell.wait(at_most=self._pace.look, since=rung))
                await asyncio.wait({running, news}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
            await running
        except asyncio.CancelledError:
            if step.on_interrupt == "ask" and not running.done():
                await asyncio.wait({running}, timeout=self._pace.grace)
            raise
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _come_to_an_end(self, running: asyncio.Future[None]) -> None:
        """Let an effect that is nearly done be told whole; what waits for something else is ended."""
        await asyncio.wait({running}, timeout=self._pace.brief)
        if not running.done():
            raise ReleaseError("Aborted while it was in work.", changed="What it had done so far stays.")

    async def _aborting(self) -> bool:
        try:
            return (await self._book.situation()).state is ReleaseState.ABORTING
        except StoreUnavailable:
            return False  # the effect in work needs no database; the heartbeat ends it if that lasts

    async def _fail(self, problem: Problem) -> None:
        await self._book.failed(self._key, problem, usually=self._step.causes if self._step else ())


def _interrupted(ctx: StepContext) -> Question:
    return Question(
        title=f"The bot was interrupted in the middle of: {ctx.step.title}",
        detail="Look at the world with the step's commands. Is it safe to run this step once more?",
        choices=(
            Choice(DecisionKind.APPROVE, "Run it again"),
            Choice(DecisionKind.REJECT, "No, stop here", form="reason", danger=True),
        ),
    )
