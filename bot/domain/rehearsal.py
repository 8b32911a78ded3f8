"""Rehearsals: a plan carried out in an embedded world first, and what that says about a plan that is to be released."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from bot.domain.approval import bound, changed
from bot.domain.errors import Conflict, Refused
from bot.domain.planning import rolls_back
from bot.domain.release import StepState
from bot.domain.rollback import touched_live

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from bot.domain.plan import Plan
    from bot.domain.readmodel import ReleaseView

REQUIRED = "required"  # of the environment's setting ``rehearsal``; otherwise it is only shown
_FACTS = 3


class RehearsalState(StrEnum):
    """How a rehearsal stands. Only passed and failed say something about the plan; a broken one is the stand-in's fault."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    BROKEN = "broken"


DECIDED = frozenset({RehearsalState.PASSED, RehearsalState.FAILED})


@dataclass(frozen=True, slots=True)
class RehearsedStep:
    """One step of a rehearsal: its state, how long it took, and its evidence or what went wrong."""

    key: str
    title: str
    state: StepState = StepState.PENDING
    seconds: float | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One rehearsal. ``binds`` are the facts that its plan's fingerprint covers, one by one; ``again`` is what to type."""

    id: str  # "H3"
    environment: str
    by: str
    started_at: datetime
    head: str
    version: str
    checklist: str
    fingerprint: str
    state: RehearsalState = RehearsalState.RUNNING
    finished_at: datetime | None = None
    binds: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[RehearsedStep, ...] = ()
    note: str = ""
    hint: str = ""
    again: str = "/release rehearse"
    release: str = ""  # the open release whose plan it is, "R7"
    permalink: str = ""

    @property
    def failing(self) -> RehearsedStep | None:
        """The first step that did not pass, where one failed."""
        return next((one for one in self.steps if one.state in (StepState.FAILED, StepState.ERROR)), None)

    @property
    def current(self) -> RehearsedStep | None:
        """The first step that is neither done nor skipped."""
        return next((one for one in self.steps if one.state not in (StepState.DONE, StepState.SKIPPED)), None)


@dataclass(frozen=True, slots=True)
class Standing:
    """What rehearsals say about a plan: the one that counts, if any, and in which facts it was of another plan."""

    rehearsal: Rehearsal | None = None
    differs: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Exactly this plan was rehearsed, and passed."""
        return bool(self.rehearsal and not self.differs and self.rehearsal.state is RehearsalState.PASSED)


def differences(rehearsal: Rehearsal, plan: Plan) -> tuple[str, ...]:
    """Name the facts in which a plan is not the one that was rehearsed."""
    facts = changed(rehearsal.binds, bound(plan))
    if rehearsal.fingerprint != plan.fingerprint and not facts:
        facts = ("the plan changed",)
    version = f"the version changed from {rehearsal.version} to {plan.version}"
    return (*facts, version) if rehearsal.version != plan.version else facts


def standing(plan: Plan, rehearsals: Sequence[Rehearsal]) -> Standing:
    """Choose the rehearsal that counts for a plan, from those of its environment, the newest first.

    Of this very plan: the newest that passed or failed; else the newest; else the newest of another plan, with the differences.
    """
    same = [one for one in rehearsals if not differences(one, plan)]
    if same:
        return Standing(next((one for one in same if one.state in DECIDED), same[0]))
    if not rehearsals:
        return Standing()
    newest = next((one for one in rehearsals if one.state in DECIDED), rehearsals[0])
    return Standing(newest, differences(newest, plan))


def sentence(found: Standing) -> str:
    """Say in one sentence what the rehearsals come to, without times and links."""
    one = found.rehearsal
    if one is None:
        return "Not rehearsed"
    if found.differs:
        return f"The rehearsal {one.id} was of another plan: {_facts(found.differs)}; it does not count"
    return _state(one)


def _state(one: Rehearsal) -> str:
    match one.state:
        case RehearsalState.RUNNING:
            return f"The rehearsal {one.id} is running"
        case RehearsalState.PASSED:
            return "Rehearsed: passed"
        case RehearsalState.FAILED:
            return f"Rehearsed: failed{f' at {one.failing.title}' if one.failing else ''}"
        case RehearsalState.STOPPED | RehearsalState.INTERRUPTED:
            return f"Not rehearsed to the end: {one.id} was {one.state}"
        case RehearsalState.BROKEN:
            return f"Not rehearsed: the world of {one.id} did not work, which says nothing about the plan"
    assert_never(one.state)


def _facts(differs: tuple[str, ...]) -> str:
    more = len(differs) - _FACTS
    return "; ".join([*differs[:_FACTS], *([f"and {more} more"] if more > 0 else [])])


def exempt(plan: Plan) -> bool:
    """A rollback is never held up by a rehearsal: it deploys what was live before, and it is needed now."""
    return bool(rolls_back(plan))


def demand_passed(plan: Plan, found: Standing) -> None:
    """Raise `Refused`, naming why, unless exactly this plan passed its rehearsal."""
    if exempt(plan) or found.passed:
        return
    raise Refused(
        f"{plan.environment} asks for a rehearsal that passed. {sentence(found)}.",
        hint="/release rehearse, with the words of the start; then again",
        changed="Nothing.",
    )


def demand_rehearsable(release: ReleaseView) -> None:
    """Raise `Conflict` for a release that has deployed already, or that takes another one back."""
    if rolls_back(release.plan):
        raise Conflict(f"{release.id} is a rollback; it is not rehearsed.", hint="/release status", changed="Nothing.")
    if touched_live(release.plan, {one.key: one.state for one in release.steps}):
        raise Conflict(
            f"{release.id} has begun to deploy; it is too late to rehearse it.",
            hint="/release status",
            changed="Nothing.",
        )


def planned(plan: Plan) -> tuple[RehearsedStep, ...]:
    """Return the steps of a plan, before anything has been done."""
    return tuple(RehearsedStep(step.key, step.title) for step in plan.steps)


def told(steps: Iterable[RehearsedStep], news: Iterable[Mapping[str, object]]) -> tuple[RehearsedStep, ...]:
    """Put what the embedded world reports over the steps; what names no step of the plan, or no state, is left out."""
    known = {str(one.get("key")): one for one in news if str(one.get("state")) in set(StepState)}
    return tuple(_over(one, known[one.key]) if one.key in known else one for one in steps)


def _over(step: RehearsedStep, news: Mapping[str, object]) -> RehearsedStep:
    seconds = news.get("seconds")
    took = float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None
    return RehearsedStep(step.key, step.title, StepState(str(news["state"])), took, str(news.get("said", ""))[:600])
