"""A box that a person ticked in a plan's issue: it counts once the step's own check agrees. Nothing is run for it.

Who ticked it, GitHub does not tell, and who may tick there need not be allowed to release. So a tick decides nothing: a step is
recorded because the world shows that it is done, a step that rests on people's word is asked about in Slack, and a
release that had stopped is paused, not resumed.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from bot.domain.errors import Refused, ReleaseError
from bot.domain.plan import StepKind
from bot.domain.release import FINISHED, ReleaseState, StepState, move_release, move_step
from bot.engine import audit, followed, phases
from bot.engine.asked import last_question, typed
from bot.engine.asking import step_row
from bot.engine.codec import answer_in, plan_in
from bot.engine.controls import close_questions
from bot.engine.finishing import conclude
from bot.engine.guard import guarded
from bot.engine.layout import unchanged
from bot.engine.readings import number_of, step_rows
from bot.engine.step import Done, NotDone, Partial, Running, StepContext, Unknown
from bot.engine.store import StoreUnavailable
from bot.engine.tables import ReleaseRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.phases import WentLive
    from bot.domain.readmodel import ReleaseView, StepView
    from bot.engine.bell import Bell
    from bot.engine.step import Evidence, Step
    from bot.engine.store import Store
    from bot.engine.turn import Area
    from bot.ports import Clock

_log = structlog.get_logger()
ASKED = "plan.ticked"
_BUSY = "the bot is at work on it, and ticks the box itself"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a tick: ``counted``, or why not. ``ask``: only a person knows."""

    counted: bool = False
    why: str = ""
    ask: bool = False


class _OnlyLooking:
    """A lease under which no effect begins: a check that would change something is a bug, and refused."""

    @asynccontextmanager
    async def outliving(self, _seconds: float, /) -> AsyncIterator[None]:
        raise Refused("A check changes nothing.", hint="retry the step")
        yield


class Ticks:
    """Judges ticks of any release of the environments that it knows."""

    def __init__(
        self, store: Store, *, clock: Clock, registry: Mapping[str, Step], areas: Mapping[str, Area], bell: Bell
    ) -> None:
        self._store, self._clock, self._registry, self._areas, self._bell = store, clock, registry, areas, bell

    async def judge(self, release: ReleaseView, step: StepView, *, issue: int) -> Verdict:
        """Look whether the step in work is done, as somebody says; record it where the world agrees."""
        if release.state in FINISHED:
            return Verdict(why=f"the release is {release.state}")
        if step.kind is not StepKind.AUTOMATIC:
            return Verdict(why="here a person's word counts, given in Slack: it is asked there", ask=True)
        if step.state is StepState.RUNNING or (step.state, release.state) == (StepState.PENDING, ReleaseState.RUNNING):
            return Verdict(why=_BUSY)
        ctx, code = await self._context(release, step)
        if code is None:
            return Verdict(why="this bot does not know the step in that version")
        return await self._checked(ctx, code, step, issue)

    async def ask(self, release: ReleaseView, step: StepView, *, issue: int) -> None:
        """Have the narrator ask in Slack."""
        now, number = self._clock.now(), number_of(release.id)
        async with self._store.writing() as session:
            await audit.append(
                session, release=number, kind=ASKED, at=now, step=step.key, data={"issue": issue, "step": step.key}
            )
        self._bell.ring()

    async def _checked(self, ctx: StepContext, code: Step, step: StepView, issue: int) -> Verdict:
        try:
            found = await code.check(ctx)
        except StoreUnavailable:
            raise
        except ReleaseError as error:
            return Verdict(why=f"it could not be looked at: {error.message}")
        except Exception:  # noqa: BLE001  # a bug of ours takes the tick back; the release goes on as it would
            _log.exception("tick_error", release=ctx.release, step=step.key)
            return Verdict(why="a bug of the bot kept it from looking")
        if isinstance(found, Done):
            return await self._recorded(ctx, step, found.evidence, issue)
        return _refused(found)

    async def _context(self, release: ReleaseView, step: StepView) -> tuple[StepContext, Step | None]:
        async with self._store.reading() as session:
            row = await session.get_one(ReleaseRow, number_of(release.id))
            rows, plan = await step_rows(session, row.number), plan_in(row.plan)
            mine = next(one for one in rows if one.key == step.key)
            asked = await last_question(session, row.number, mine)
            done = [one for one in rows if one.state == StepState.DONE]
            said = answer_in(asked.answer) if asked else None
            forms = await typed(session, row.number, mine)
            began, row_number = row.created_at, row.number
        area, planned = self._areas[release.environment], plan.step(step.key)
        code = self._registry.get(planned.step)
        ctx = StepContext(
            release=release.id,
            plan=plan,
            step=planned,
            environment=area.environment,
            ports=guarded(area.ports, _OnlyLooking()),
            outputs={plan.step(one.key).step: one.output or {} for one in done},
            answer=said,
            attempt=step.attempt,
            report=_nothing,
            started_at=began,
            since=partial(self._since, row_number),
            typed=forms,
        )
        return ctx, code if code and code.version == planned.version else None

    async def _since(self, number: int) -> Sequence[WentLive]:
        async with self._store.reading() as session:
            return await phases.went_live(session, await session.get_one(ReleaseRow, number))

    async def _recorded(self, ctx: StepContext, step: StepView, evidence: Evidence, issue: int) -> Verdict:
        """Write it down, unless somebody was faster; a release that had stopped is paused then."""
        now, number = self._clock.now(), number_of(ctx.release)
        where = f"ticked in issue #{issue}"
        proof = replace(evidence, summary=f"{evidence.summary} ({where})", facts={**evidence.facts, "issue": issue})
        async with self._store.writing() as session:
            row = await session.get_one(ReleaseRow, number, with_for_update=True)
            mine = await step_row(session, number, step.key)
            if (mine.state, mine.attempt) != (step.state, step.attempt) or not unchanged(row, ctx.plan):
                return Verdict(why=_BUSY)
            if mine.state != StepState.WAITING:
                mine.state, mine.attempt = move_step(StepState(mine.state), StepState.RUNNING), mine.attempt or 1
            mine.started_at = mine.started_at or now
            conclude(row, mine, proof, at=now)
            await followed.note(session, row, step.key, proof.facts, now=now)
            await close_questions(session, number, at=now, step=step.key)
            data = {"summary": proof.summary, "issue": issue}
            await audit.append(session, release=number, kind="step.done", at=now, step=step.key, data=data)
            if row.state == ReleaseState.STOPPED:
                await _paused(session, row, f"“{step.title}” was {where}, and its check agrees", now=now)
        self._bell.ring()
        return Verdict(counted=True)


def _refused(found: NotDone | Partial | Running | Unknown) -> Verdict:
    match found:
        case NotDone(reason):
            return Verdict(why=f"its check does not agree: {reason or 'nothing of it is there'}")
        case Partial(evidence):
            return Verdict(why=f"it is done in part only: {evidence.summary}")
        case Running():
            return Verdict(why="it is still under way")
        case Unknown(why):
            return Verdict(why=f"the bot cannot tell, and asks in Slack: {why}", ask=True)


async def _paused(session: AsyncSession, row: ReleaseRow, why: str, *, now: Any) -> None:
    """Whoever ticks a box on GitHub need not be allowed to let a release go on: somebody in Slack does."""
    row.state = move_release(move_release(ReleaseState(row.state), ReleaseState.RUNNING), ReleaseState.PAUSED)
    row.note = f"{why}; Resume goes on"
    await audit.append(session, release=row.number, kind="release.pause", at=now, data={"why": row.note})


async def _nothing(_text: str, _facts: Mapping[str, object]) -> None:
    """A check reports nothing."""
