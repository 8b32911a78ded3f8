"""Dataset processing is given back as it was found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone
from bot.steps.drain import LOOSE_END, MESSAGE, found_of
from bot.steps.workload import DRAIN

if TYPE_CHECKING:
    from bot.domain.world import SystemHealth
    from bot.engine.step import Step, StepContext
    from bot.steps.workload import Found

SETTLED = {"settles": [LOOSE_END]}


class ProcessingBack(BaseStep):
    """Touches only what this release switched; a person's own switch meanwhile stands."""

    id: ClassVar[str] = "processing_back"
    title: ClassVar[str] = "Processing given back as found"
    by_hand: ClassVar[str] = "Set dataset processing in /admin/health to what it was before."
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "releaser"
    after: ClassVar[frozenset[str]] = frozenset({"workload", "drain", "deploy", "prove_live"})

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when this release switched nothing, or when the switches stand as they were found."""
        found = found_of(ctx)
        if found is None or found.how != DRAIN:
            return Done(Evidence("This release did not touch dataset processing.", SETTLED))
        health = await ctx.ports.platform.health()
        if health == _wanted(health, found):
            return Done(_evidence(health))
        return NotDone("Dataset processing is still off.")

    async def run(self, ctx: StepContext) -> None:
        """Set the switch, and the message where it is still ours."""
        found = found_of(ctx)
        if found is not None:
            health = await ctx.ports.platform.health()
            await ctx.ports.platform.set_health(health=_wanted(health, found))

    async def verify(self, ctx: StepContext) -> Evidence:
        """Read the switches back."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case _:
                raise StepFailed("METASPACE did not keep the switches.", hint="retry")


def _wanted(health: SystemHealth, found: Found) -> SystemHealth:
    message = found.message if health.message == MESSAGE else health.message
    return replace(health, can_process_datasets=found.can_process_datasets, message=message)


def _evidence(health: SystemHealth) -> Evidence:
    state = "on" if health.can_process_datasets else "off, as it was found"
    return Evidence(f"Dataset processing is {state}.", {**SETTLED, "can_process_datasets": health.can_process_datasets})


STEP: Step = ProcessingBack()
