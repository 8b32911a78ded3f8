"""States of a release and of its steps, the decisions people take, and which transitions are legal."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bot.domain.approval import ApprovalPolicy


class ReleaseState(StrEnum):
    """Where a release stands. A release that a person must unblock is ``stopped``: it keeps its place and its lock."""

    PLANNED = "planned"  # the plan was shown; nobody has confirmed it
    RUNNING = "running"
    PAUSED = "paused"  # a person asked for it; the step in work was let finish
    STOPPED = "stopped"  # a step failed, or the world could not be read: a person decides
    ABORTING = "aborting"  # abort was asked; the step in work is being let finish
    ABORTED = "aborted"
    SUCCEEDED = "succeeded"


class StepState(StrEnum):
    """Where one step stands. ``failed``: the world said no. ``error``: a bug of ours."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"  # for a person's decision
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    DONE = "done"


class DecisionKind(StrEnum):
    """What a person said."""

    APPROVE = "approve"
    REJECT = "reject"
    DONE = "done"
    RETRY = "retry"
    SKIP = "skip"
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    ROLL_BACK = "roll_back"


RELEASE_MOVES: Mapping[ReleaseState, frozenset[ReleaseState]] = {
    ReleaseState.PLANNED: frozenset({ReleaseState.RUNNING, ReleaseState.ABORTED}),
    ReleaseState.RUNNING: frozenset(
        {ReleaseState.PAUSED, ReleaseState.STOPPED, ReleaseState.ABORTING, ReleaseState.ABORTED, ReleaseState.SUCCEEDED}
    ),
    ReleaseState.PAUSED: frozenset(
        {ReleaseState.RUNNING, ReleaseState.STOPPED, ReleaseState.ABORTING, ReleaseState.ABORTED}
    ),
    ReleaseState.STOPPED: frozenset({ReleaseState.RUNNING, ReleaseState.ABORTING, ReleaseState.ABORTED}),
    ReleaseState.ABORTING: frozenset({ReleaseState.ABORTED}),
    ReleaseState.ABORTED: frozenset(),
    ReleaseState.SUCCEEDED: frozenset(),
}

STEP_MOVES: Mapping[StepState, frozenset[StepState]] = {
    StepState.PENDING: frozenset({StepState.RUNNING, StepState.SKIPPED}),
    StepState.RUNNING: frozenset(
        {StepState.RUNNING, StepState.WAITING, StepState.FAILED, StepState.ERROR, StepState.DONE}
    ),
    StepState.WAITING: frozenset(
        {StepState.RUNNING, StepState.WAITING, StepState.FAILED, StepState.SKIPPED, StepState.DONE}
    ),
    StepState.FAILED: frozenset({StepState.RUNNING, StepState.SKIPPED}),
    StepState.ERROR: frozenset({StepState.RUNNING, StepState.SKIPPED}),
    StepState.SKIPPED: frozenset(),
    StepState.DONE: frozenset(),
}

FINISHED = frozenset({ReleaseState.ABORTED, ReleaseState.SUCCEEDED})


def move_release(old: ReleaseState, new: ReleaseState) -> ReleaseState:
    """Return ``new`` if a release may go there from ``old``; raise `Conflict` otherwise."""
    if new not in RELEASE_MOVES[old]:
        raise Conflict(f"A release that is {old} cannot become {new}.", hint="/release status")
    return new


def move_step(old: StepState, new: StepState) -> StepState:
    """Return ``new`` if a step may go there from ``old``; raise `Conflict` otherwise."""
    if new not in STEP_MOVES[old]:
        raise Conflict(f"A step that is {old} cannot become {new}.", hint="/release status")
    return new


HOLDS, FAILS = "✓", "✗"  # how a line of a question begins that tells what holds, or does not


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer that a question offers. ``form`` names a modal that collects ``answer`` before the decision counts."""

    kind: DecisionKind
    label: str
    form: str = ""
    danger: bool = False
    value: str = ""  # tells apart two choices of one kind ("wait", "drain", "go on")


@dataclass(frozen=True, slots=True)
class Question:
    """What a step asks a person before it goes on.

    ``basis`` names the predicates that an answer rests on; they are looked at again right before the effect. ``draft`` is
    what a form starts with (release notes, say), JSON only. With ``approval`` it collects several people's yes, each bound
    to the facts in ``binds`` (`bot.domain.approval.bound`).
    """

    title: str
    detail: str
    choices: tuple[Choice, ...]
    basis: tuple[str, ...] = ()
    draft: Mapping[str, object] | None = None
    approval: ApprovalPolicy | None = None
    binds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision as the step sees it. ``form`` holds what the modal collected."""

    kind: DecisionKind
    by: str
    at: datetime
    value: str = ""
    reason: str = ""
    form: Mapping[str, object] | None = None
