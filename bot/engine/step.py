"""The contract of a step: check → run → verify (docs/architecture.md, "A step")."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar

from bot.domain.plan import StepKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from bot.domain.phases import WentLive
    from bot.domain.plan import Command, Plan, PlannedStep
    from bot.domain.release import Answer, Question
    from bot.ports import Ports

Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a step saw that proves it. ``facts`` are JSON values; ``output`` is a frozen dataclass that later steps read."""

    summary: str
    facts: Mapping[str, object] = field(default_factory=dict)
    output: object | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The world is already as the step wants it."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class NotDone:
    """Nothing of the step's effect is there."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Partial:
    """Some of the effect is there; running again completes it."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Running:
    """The effect is under way; ``run`` attaches to it."""

    handle: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The world could not be read, or contradicts itself: stop and ask, never run."""

    why: str
    hint: str = ""


CheckResult = Done | NotDone | Partial | Running | Unknown


@dataclass(frozen=True, slots=True)
class Condition:
    """A named predicate over the world. ``name`` is a sentence that is true while it holds ("required jobs green for this commit")."""

    name: str
    holds: Callable[[StepContext], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class StepEnvironment:
    """The environment's settings that steps need, as plain values."""

    name: str
    master_branch: str
    release_branch: str
    required_ci: tuple[str, ...]
    ending_programs: tuple[str, ...] = ()  # programs or groups that end by themselves, so need not be RUNNING
    watched_programs: tuple[str, ...] = ()
    ci_timeout: float = 3600  # seconds
    drain_timeout: float = 1800  # seconds
    settle_timeout: float = 120  # seconds for programs and site to come up after a deploy
    steady_after: float = 0  # seconds that a program must have run to count as up
    poll: float = 2  # seconds between two looks at the world
    configuration_branch: str = "master"
    remind_every: float = 900  # seconds between two reminders of those who must approve
    warn_after_down: float = 45  # seconds that the site is down in a deploy before the channel is told
    pause_after_down: float = 60  # seconds that the site is down outside a deploy before the release is paused
    reindex_workers: int = 2
    reindex_tries: int = 3
    most_queued: int = 200  # writes waiting in Elasticsearch above which reindexing slows down
    most_latency: float = 2.0  # seconds of the site's answer above which it slows down
    catch_up_fresh: float = 600  # seconds for which a catch-up counts as fresh before a swap
    live_code: str = ""  # METASPACE's engine as deployed, on the web server
    live_configuration: str = ""  # and the configuration that it runs with


@dataclass(frozen=True, slots=True)
class Measured:
    """What the engine measured of a release so far, in seconds. ``downtime`` is None when nobody watched."""

    duration: float
    downtime: float | None = None
    unwatched: float = 0.0


async def nothing_measured() -> Measured | None:
    """Stand in where nothing is measured."""
    return None


async def nothing_went_live() -> Sequence[WentLive]:
    """Stand in where nobody else releases."""
    return ()


@dataclass(frozen=True, slots=True)
class StepContext:
    """Everything that a step may know. ``mark`` is unique for release and step, and goes into effects outside."""

    release: str  # the release's id, "R7"
    plan: Plan
    step: PlannedStep
    environment: StepEnvironment
    ports: Ports
    outputs: Mapping[str, Mapping[str, Any]]  # step id → the stored output of that step of this plan
    answer: Answer | None  # the decision that this step asked for, once there is one; a retry asks afresh
    attempt: int  # counts what people started: a retry raises it, a restart of the bot does not
    report: Callable[[str, Mapping[str, object]], Awaitable[None]]  # progress: a sentence, and facts for the narrator
    started_at: datetime | None = None  # when the release was confirmed; effects from before it are not its own
    measured: Callable[[], Awaitable[Measured | None]] = nothing_measured
    since: Callable[[], Awaitable[Sequence[WentLive]]] = (
        nothing_went_live  # proved live here since `started_at`, by others
    )
    typed: Mapping[str, object] = field(
        default_factory=dict
    )  # what people last sent in this step's forms, at any attempt

    @property
    def mark(self) -> str:
        """The same after every restart: it is how `check` finds this release's own effects."""
        return f"{self.release}-{self.step.key}"

    def output(self, step: str, kind: type[Out]) -> Out:
        """Return what an earlier step handed on; raises KeyError when it has not run."""
        return kind(**self.outputs[step])


class Step(Protocol):
    """One item of a checklist. Stateless: one instance serves all releases.

    ``scope``: may an effect from before this release count? ``on_interrupt``: what to do when the bot died while it ran.
    ``skip``: who may leave it out. ``holds``: conditions looked at again right before `run`; an approval rests on them.
    ``again``: values of answers that decide nothing yet (an edit): `ask` is asked once more, with the answer at hand.
    ``costly_to_undo`` and ``irreversible`` steps need a second person (`bot.domain.approval.default_policy`). ``causes``:
    why it usually fails, for people, where no failure has been seen yet. ``changes_live``, and whatever is costly to undo, is
    done under the environment's lock alone (`bot.domain.phases`).
    """

    id: ClassVar[str]
    version: ClassVar[int]
    title: ClassVar[str]
    kind: ClassVar[StepKind]
    scope: ClassVar[Literal["world", "this_release"]]
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]]
    skip: ClassVar[Literal["never", "approver", "releaser"]]
    costly_to_undo: ClassVar[bool]
    irreversible: ClassVar[bool]
    changes_live: ClassVar[bool]
    causes: ClassVar[tuple[str, ...]]
    holds: ClassVar[tuple[Condition, ...]]
    again: ClassVar[frozenset[str]]
    params: ClassVar[frozenset[str]]  # the parameter names that a checklist may give it
    needs: ClassVar[frozenset[str]]  # steps that a checklist must have before this one
    after: ClassVar[frozenset[str]]  # steps that must stand before this one where a checklist has them
    by_hand: ClassVar[str]  # how a person makes it true without the bot, in one or two sentences
    ports: ClassVar[frozenset[str]]  # ports that not every environment has and that it cannot do without

    def commands(
        self, plan: Plan, step: PlannedStep, environment: StepEnvironment, ports: Ports
    ) -> tuple[Command, ...]:
        """Return the exact commands, for people: what the step will run, and how to do it by hand."""

    async def check(self, ctx: StepContext) -> CheckResult:
        """Ask the world whether this is done already. Never changes anything."""

    async def ask(self, ctx: StepContext) -> Question | None:
        """Return what a person must decide before `run`, or None.

        Asked after `check` said not done, while no answer is there, or one of ``again``.
        """

    async def shown(self, ctx: StepContext) -> Sequence[str]:
        """Return what whoever is to approve it should see, a sentence each; looked at when they are asked, and decides nothing."""

    async def run(self, ctx: StepContext) -> None:
        """Make it so. Raises `ReleaseError` when it cannot."""

    async def verify(self, ctx: StepContext) -> Evidence:
        """Prove it from the world, or raise `StepFailed`."""


class BaseStep:
    """Defaults of a step, so that each says only what is its own. Cautious ones: ask after an interruption, never skip."""

    version: ClassVar[int] = 1
    kind: ClassVar[StepKind] = StepKind.AUTOMATIC
    scope: ClassVar[Literal["world", "this_release"]] = "world"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "ask"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "never"
    costly_to_undo: ClassVar[bool] = False
    changes_live: ClassVar[bool] = False
    irreversible: ClassVar[bool] = False
    causes: ClassVar[tuple[str, ...]] = ()
    holds: ClassVar[tuple[Condition, ...]] = ()
    again: ClassVar[frozenset[str]] = frozenset()
    params: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[frozenset[str]] = frozenset()
    after: ClassVar[frozenset[str]] = frozenset()
    by_hand: ClassVar[str] = ""
    ports: ClassVar[frozenset[str]] = frozenset()

    def commands(
        self,
        plan: Plan,  # noqa: ARG002  # the contract's parameters, for those who need them
        step: PlannedStep,  # noqa: ARG002
        environment: StepEnvironment,  # noqa: ARG002
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return no command: the step runs none."""
        return ()

    async def ask(self, ctx: StepContext) -> Question | None:  # noqa: ARG002
        """Ask nobody."""
        return None

    async def shown(self, ctx: StepContext) -> Sequence[str]:  # noqa: ARG002
        """Show nothing but the basis."""
        return ()
