"""Drives releases: claims what nobody drives, asks the world before every effect, and waits for people.

The runner keeps nothing in memory that matters: after every turn it reads how things stand. So it may be killed anywhere, and
another one, or the same after a restart, goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from bot.domain.errors import HostKeyChanged, Refused, ReleaseError
from bot.domain.readmodel import Problem
from bot.domain.release import Choice, DecisionKind, Question, ReleaseState, StepState
from bot.engine import failpoints
from bot.engine.records import Book, LeaseLost, Ledger, Situation
from bot.engine.step import Done, NotDone, Partial, Running, StepContext, Unknown
from bot.engine.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.engine.bell import Bell
    from bot.engine.step import CheckResult, Step, StepEnvironment
    from bot.engine.watch import Watch
    from bot.ports import Clock, Ports

_log = structlog.get_logger()
LOOK = 1.0  # seconds between two looks for news that no bell rang for (another process, a person's row)


@dataclass(frozen=True, slots=True)
class Area:
    """One environment as the runner sees it."""

    environment: StepEnvironment
    ports: Ports
    watch: Watch | None = None


class Runner:
    """One a process. `run` owns a task for each release that it drives."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        registry: Mapping[str, Step],
        areas: Mapping[str, Area],
        clock: Clock,
        bell: Bell,
        lease: float,
    ) -> None:
        """``lease`` in seconds, as the ledger's."""
        self._ledger, self._registry, self._areas, self._clock, self._bell = ledger, registry, areas, clock, bell
        self._lease = lease
        self.brief = 5.0  # seconds that a step which may be run again is let finish when the release is aborted
        self.grace = 20.0  # seconds that an effect nobody could see half done is let finish when the bot is stopped
        self._driving: dict[int, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Drive releases until ``stop`` is set; then let effects in work finish, and give every lease back."""
        try:
            while not stop.is_set():
                rung = self._bell.rung
                await self._claim()
                await self._bell.wait(at_most=LOOK, since=rung)
        finally:
            await asyncio.sleep(0)  # one claimed this moment must have begun, to give its lease back
            for task in self._driving.values():
                task.cancel()
            await asyncio.gather(*self._driving.values(), return_exceptions=True)

    async def _claim(self) -> None:
        for number in [number for number, task in self._driving.items() if task.done()]:
            del self._driving[number]
        try:
            claimed = await self._ledger.claim(tuple(self._areas), but=tuple(self._driving))
        except StoreUnavailable as error:
            _log.warning("runner_waits", why=error.message, hint=error.hint)
            return
        for number, fence in claimed:
            book = self._ledger.book(number, fence)
            self._driving[number] = asyncio.create_task(self._drive(book), name=f"release-{number}")

    async def _drive(self, book: Book) -> None:
        """Drive one release until it is over, waits for nobody of ours, or is somebody else's."""
        with structlog.contextvars.bound_contextvars(release=f"R{book.number}"):
            try:
                await self._leased(book)
            except LeaseLost:
                _log.warning("lease_lost")
            except StoreUnavailable as error:
                _log.warning("release_waits_for_database", why=error.message, hint=error.hint)
            except Exception:  # noqa: BLE001  # a bug of ours holds up this release alone; it is claimed again at the next look
                _log.exception("release_not_driven")
            except asyncio.CancelledError:
                with contextlib.suppress(LeaseLost, StoreUnavailable):
                    await book.let_go()
                raise

    async def _leased(self, book: Book) -> None:
        """Turn after turn, while a heartbeat keeps the lease; a lost lease cancels the turn in the middle."""
        driving = asyncio.ensure_future(self._turns(book))
        beating = asyncio.ensure_future(self._heartbeat(book))
        try:
            await asyncio.wait({driving, beating}, return_when=asyncio.FIRST_COMPLETED)
            if driving.done():
                await driving
            else:
                await beating
        finally:
            for task in (driving, beating):
                task.cancel()
            await asyncio.gather(driving, beating, return_exceptions=True)

    async def _heartbeat(self, book: Book) -> None:
        """Renew the lease; raise `LeaseLost` once it has run out without the database answering."""
        renewed = self._clock.monotonic()
        while True:
            await self._clock.sleep(seconds=self._lease / 3)
            try:
                await book.renew()
                renewed = self._clock.monotonic()
            except StoreUnavailable as error:
                if self._clock.monotonic() - renewed > self._lease * 0.8:
                    raise LeaseLost("the database does not answer") from error

    async def _turns(self, book: Book) -> None:
        async with contextlib.AsyncExitStack() as stack:
            now = await book.situation()
            area = self._areas[now.environment]
            if area.watch:
                await stack.enter_async_context(area.watch.during(book.number, area.ports.site))
            rung = self._bell.rung
            while await self._turn(book, now, area, rung):
                rung = self._bell.rung
                now = await book.situation()

    async def _turn(self, book: Book, now: Situation, area: Area, rung: int) -> bool:
        """Do the next thing; False once the release is over. ``rung``: the bell's count before ``now`` was read."""
        if now.state is ReleaseState.ABORTING:
            return not await book.end(ReleaseState.ABORTED)
        if now.state is ReleaseState.RUNNING and now.step is None:
            return not await book.end(ReleaseState.SUCCEEDED)
        if now.state is not ReleaseState.RUNNING or now.waiting:
            await self._bell.wait(at_most=LOOK, since=rung)
        else:
            await _Turn(self, book, now, area).take()
        return True

    def step_of(self, now: Situation) -> Step | None:
        """Return the code of the step in work, or None when this bot does not have that version."""
        planned = now.plan.step(now.step.key) if now.step else None
        step = self._registry.get(planned.step) if planned else None
        return step if step and planned and step.version == planned.version else None


class _Turn:
    """One step, once: check, perhaps ask, perhaps run, verify."""

    def __init__(self, runner: Runner, book: Book, now: Situation, area: Area) -> None:
        if now.step is None:
            raise ValueError("a turn needs a step")
        self._runner, self._book, self._now, self._area, self._row = runner, book, now, area, now.step
        self._key = now.step.key

    async def take(self) -> None:
        """Bring the step further by one turn; a failure stops the release."""
        step = self._runner.step_of(self._now)
        retry = self._row.state in (StepState.FAILED, StepState.ERROR)
        if not await self._book.begin(self._key, retry=retry):
            return  # somebody paused, skipped or aborted it this moment
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
        with structlog.contextvars.bound_contextvars(step=self._key):
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
            ports=self._area.ports,
            outputs=now.outputs,
            answer=None if retry else now.answer,
            attempt=self._row.attempt + (1 if retry or self._row.state == StepState.PENDING else 0),
            report=report,
            started_at=now.created_at,
            measured=self._book.measured,
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
        match found:
            case Done(evidence):
                await self._book.done(self._key, evidence)
                failpoints.reach("after_write", self._key)
                return
            case Unknown(why, hint):
                await self._fail(Problem(why, hint=hint or "look at it by hand, then retry", changed="Nothing."))
                return
        if not isinstance(found, Running) and await self._must_wait(step, ctx):
            return
        await self._effect(step, ctx, found)
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

    async def _effect(self, step: Step, ctx: StepContext, found: CheckResult) -> None:
        """Look at the conditions once more, then run. What is under way already is only attached to."""
        if isinstance(found, NotDone | Partial):
            for condition in step.holds:
                if not await condition.holds(ctx):
                    raise Refused(
                        f"No longer true: {condition.name}.",
                        hint="review again; retry once it holds, or abort",
                        changed="Nothing.",
                    )
        await self._book.entering_effect(self._key)
        failpoints.reach("before_effect", self._key)
        await self._interruptible(step, ctx)

    async def _interruptible(self, step: Step, ctx: StepContext) -> None:
        """Run the step. An abort ends one that may be run again; any other is let finish. So does a stop of the bot, for a while."""
        running = asyncio.ensure_future(step.run(ctx))
        try:
            while not running.done():
                rung = self._runner._bell.rung  # noqa: SLF001  # the turn is the runner's own part
                if step.on_interrupt == "rerun" and await self._aborting():
                    await self._come_to_an_end(running)
                    break
                news = asyncio.ensure_future(self._runner._bell.wait(at_most=LOOK, since=rung))  # noqa: SLF001
                await asyncio.wait({running, news}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
            await running
        except asyncio.CancelledError:
            if step.on_interrupt == "ask" and not running.done():
                await asyncio.wait({running}, timeout=self._runner.grace)
            raise
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _come_to_an_end(self, running: asyncio.Future[None]) -> None:
        """Let an effect that is nearly done be told whole; what waits for something else is ended."""
        await asyncio.wait({running}, timeout=self._runner.brief)
        if not running.done():
            raise ReleaseError("Aborted while it was in work.", changed="What it had done so far stays.")

    async def _aborting(self) -> bool:
        try:
            return (await self._book.situation()).state is ReleaseState.ABORTING
        except StoreUnavailable:
            return False  # the effect in work needs no database; the heartbeat ends it if that lasts

    async def _fail(self, problem: Problem) -> None:
        await self._book.failed(self._key, problem)


def _interrupted(ctx: StepContext) -> Question:
    return Question(
        title=f"The bot was interrupted in the middle of: {ctx.step.title}",
        detail="Look at the world with the step's commands. Is it safe to run this step once more?",
        choices=(
            Choice(DecisionKind.APPROVE, "Run it again"),
            Choice(DecisionKind.REJECT, "No, stop here", form="reason", danger=True),
        ),
    )
