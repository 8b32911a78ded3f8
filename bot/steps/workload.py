"""What METASPACE is working on before services restart, and what a person wants done about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.release import Choice, DecisionKind, Question
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone
from bot.steps.answers import agreed, demand_yes
from bot.steps.words import spoken

if TYPE_CHECKING:
    from bot.domain.world import SystemHealth, Workload
    from bot.engine.step import Step, StepContext

WAIT, DRAIN, GO_ON, IDLE = "wait", "drain", "go_on", "idle"
ALWAYS = "drain"  # the parameter by which a checklist switches processing off whatever runs, asking nobody
_WORDS = {WAIT: "wait for it", DRAIN: "switch processing off and drain", GO_ON: "go on"}


@dataclass(frozen=True, slots=True)
class Found:
    """The health switches as they were found, and how to treat the work: wait, drain, go_on, or idle when there is none."""

    how: str
    can_process_datasets: bool
    can_mutate: bool
    message: str | None
    by: str = ""


class WorkloadSeen(BaseStep):
    """A deploy restarts every program, also daemons in the middle of an annotation. This step changes nothing."""

    id: ClassVar[str] = "workload"
    title: ClassVar[str] = "Running work looked at"
    by_hand: ClassVar[str] = (
        "Look for datasets that are queued or annotating and for messages in RabbitMQ's "
        "queues: a deploy restarts the daemons in the middle of them."
    )
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "approver"
    params: ClassVar[frozenset[str]] = frozenset({ALWAYS})

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when nothing is running, or when a person said what to do about it."""
        work = await ctx.ports.platform.workload()
        if work.idle or agreed(ctx) or drains_always(ctx):
            return Done(await self._evidence(ctx, work))
        return NotDone(f"Running: {described(work)}.")

    async def ask(self, ctx: StepContext) -> Question:
        """Offer to wait, to drain, or to go on by name."""
        work = await ctx.ports.platform.workload()
        limit = spoken(ctx.environment.drain_timeout)
        return Question(
            title="METASPACE is working: what about it?",
            detail=f"{described(work)}. The deploy restarts every program; an annotation in work begins anew.",
            choices=(
                Choice(DecisionKind.APPROVE, f"Wait, at most {limit}", value=WAIT),
                Choice(DecisionKind.APPROVE, f"Switch processing off and drain, at most {limit}", value=DRAIN),
                Choice(DecisionKind.APPROVE, "Go on, in my name", value=GO_ON, danger=True),
                Choice(DecisionKind.REJECT, "Stop here"),
            ),
        )

    async def run(self, ctx: StepContext) -> None:
        """Change nothing: what was chosen is done by the next step, once this one's finding is safely stored."""
        demand_yes(ctx)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Return what was found and chosen."""
        return await self._evidence(ctx, await ctx.ports.platform.workload())

    async def _evidence(self, ctx: StepContext, work: Workload) -> Evidence:
        answer = agreed(ctx)
        how = answer.value if answer and answer.value in _WORDS else IDLE if work.idle else GO_ON
        how = DRAIN if drains_always(ctx) else how
        found = _found(await ctx.ports.platform.health(), how=how, by=answer.by if answer else "")
        chosen = f" <@{answer.by}> chose: {_WORDS[how]}." if answer and how in _WORDS else ""
        chosen = " The checklist says: switch processing off and drain." if drains_always(ctx) else chosen
        off = "" if found.can_process_datasets else " Dataset processing was found switched off."
        summary = f"Running: {described(work)}.{chosen}{off}"
        return Evidence(summary, {**asdict(found), "queued": work.queued, "annotating": work.annotating}, found)


def drains_always(ctx: StepContext) -> bool:
    """Tell whether the checklist leaves no choice: what works with both pairs of indices cannot have new datasets meanwhile."""
    return bool(ctx.step.params.get(ALWAYS))


def described(work: Workload) -> str:
    """Return the work in hand in words."""
    if work.idle:
        return "nothing"
    queues = [f"{count} waiting in {name}" for name, count in sorted(work.queues.items()) if count]
    counts = [f"{count} {word}" for count, word in ((work.annotating, "annotating"), (work.queued, "queued")) if count]
    return ", ".join([*counts, *queues])


def _found(health: SystemHealth, *, how: str, by: str) -> Found:
    return Found(how, health.can_process_datasets, health.can_mutate, health.message, by)


STEP: Step = WorkloadSeen()
