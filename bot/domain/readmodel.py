"""What a person may look at: a release, its steps and the question that is open, as plain values for views and commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.phases import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bot.domain.approval import Approval
    from bot.domain.causes import Cause
    from bot.domain.plan import Command, Plan, StepKind
    from bot.domain.rehearsal import Standing
    from bot.domain.release import Answer, Question, ReleaseState, StepState


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in Slack and what they may do here. ``roles`` is empty for a stranger."""

    slack: str
    name: str
    roles: frozenset[str] = frozenset()
    github: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a step stopped, in sentences. ``ours``: a bug of the bot, not a failure of the world."""

    message: str
    hint: str = ""
    changed: str = ""
    ours: bool = False
    unskippable: bool = False  # a changed host key, say: no role may step over it
    causes: tuple[Cause, ...] = ()  # what was behind it before, or usually is


@dataclass(frozen=True, slots=True)
class StepView:
    """One step as it stands. ``summary`` is its evidence's sentence, ``progress`` what it reported last."""

    key: str
    title: str
    kind: StepKind
    state: StepState
    skip: str  # "never", "approver" or "releaser"
    commands: tuple[Command, ...] = ()
    by_hand: str = ""
    attempt: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    summary: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    progress: str = ""
    problem: Problem | None = None
    decided_by: str = ""  # Slack id of who decided, confirmed or skipped it
    reason: str = ""
    note: str = ""  # what somebody wrote at it, or its checklist did
    assignee: str = ""  # whose it is, as people read it


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question nobody has answered. Its ``id`` goes into buttons; the first answer closes it, or enough approvals do."""

    id: str
    release: str
    step: str
    asked_at: datetime
    question: Question
    approvals: tuple[Approval, ...] = ()  # those that count
    rehearsed: Standing | None = None  # of an approval: what the rehearsals say about the plan


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question of a release, answered or not. ``closed_at`` without an answer: nobody need answer it any more.

    ``void`` says which fact took its approvals away.
    """

    opened: OpenQuestion
    answer: Answer | None = None
    closed_at: datetime | None = None
    void: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """One release as it stands."""

    id: str
    environment: str
    state: ReleaseState
    plan: Plan
    started_by: str
    created_at: datetime
    finished_at: datetime | None
    steps: tuple[StepView, ...]
    questions: tuple[OpenQuestion, ...] = ()
    downtime: float | None = None  # seconds measured so far; None when nothing was measured
    unwatched: float = 0.0  # seconds of the release in which nobody watched the site
    note: str = ""  # why it is paused, aborted …
    loose_ends: tuple[str, ...] = ()
    channel: str = ""
    thread: str = ""  # Slack's ts of the dashboard message, once posted
    rolls_back: str = ""  # the release that this one takes back
    phase: Phase = Phase.WHOLE  # whether the environment's lock is needed for what it does now
    waits: str = ""  # why it does not have that lock yet; it goes on by itself

    @property
    def current(self) -> StepView | None:
        """The first step that is neither done nor skipped."""
        return next((s for s in self.steps if s.state not in ("done", "skipped")), None)


@dataclass(frozen=True, slots=True)
class LockView:
    """Who holds an environment, since when, and why. ``release`` is set when a release holds it."""

    environment: str
    owner: str
    reason: str
    since: datetime
    release: str = ""


@dataclass(frozen=True, slots=True)
class EventView:
    """One line of the append-only log."""

    id: int
    release: str
    step: str
    kind: str
    at: datetime
    by: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a click or command. ``effective`` is False for the late, second or powerless one; ``sentence`` answers it."""

    effective: bool
    sentence: str
