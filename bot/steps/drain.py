"""The work in hand is waited for, with dataset processing switched off where a person chose that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone, Partial
from bot.steps.waiting import until
from bot.steps.words import spoken
from bot.steps.workload import DRAIN, WAIT, Found, described

if TYPE_CHECKING:
    from bot.engine.step import Step, StepContext

MESSAGE = "METASPACE is about to be updated. New datasets will be processed after the update."
LOOSE_END = "processing"  # the name under which "processing is off" is owed and settled


class Drain(BaseStep):
    """Only as the workload step's answer says. The switches as found are stored before, so they can be given back."""

    id: ClassVar[str] = "drain"
    title: ClassVar[str] = "Running work waited for"
    by_hand: ClassVar[str] = (
        "Switch dataset processing off in /admin/health, note how it was, and wait until nothing is annotating."
    )
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "releaser"
    causes: ClassVar[tuple[str, ...]] = (
        "a large dataset takes longer than the limit: retry to wait on",
        "a job hangs: look at sm-update-daemon and sm-lithops-daemon",
    )
    needs: ClassVar[frozenset[str]] = frozenset({"workload"})

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when nothing is to be waited for, or nothing is running (and processing is off where that was chosen)."""
        found = found_of(ctx)
        if found is None or found.how not in (WAIT, DRAIN):
            return Done(Evidence("Nothing to wait for."))
        if found.how == DRAIN and (await ctx.ports.platform.health()).can_process_datasets:
            return NotDone("Dataset processing is on.")
        work = await ctx.ports.platform.workload()
        if work.idle:
            return Done(self._evidence(found))
        running = f"Running: {described(work)}."
        return Partial(Evidence(f"Processing is off. {running}")) if found.how == DRAIN else NotDone(running)

    async def run(self, ctx: StepContext) -> None:
        """Switch off where chosen, then wait; raises `StepFailed` when the limit has passed."""
        found = ctx.output("workload", Found)
        if found.how == DRAIN:
            await self._switch_off(ctx)
        limit = ctx.environment.drain_timeout
        work = await until(
            ctx,
            ctx.ports.platform.workload,
            enough=lambda seen: seen.idle,
            limit=limit,
            say=lambda seen: f"Waiting for {described(seen)}",
        )
        if not work.idle:
            off = "Dataset processing is switched off." if found.how == DRAIN else "Nothing was changed."
            raise StepFailed(
                f"After {spoken(limit)} METASPACE still works: {described(work)}.",
                hint="retry to wait on, skip to go on with work running, or abort",
                changed=off,
            )

    async def _switch_off(self, ctx: StepContext) -> None:
        health = await ctx.ports.platform.health()
        if not health.can_process_datasets:
            return
        await ctx.report(
            "Switching dataset processing off", {"owes": {LOOSE_END: "dataset processing is switched off"}}
        )
        message = health.message or MESSAGE
        await ctx.ports.platform.set_health(health=replace(health, can_process_datasets=False, message=message))

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look again."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case NotDone(reason):
                raise StepFailed(f"METASPACE took up work again. {reason}", hint="retry")
            case _:
                raise StepFailed("METASPACE took up work again while processing is off.", hint="retry")

    def _evidence(self, found: Found) -> Evidence:
        off = "Dataset processing is off and n" if found.how == DRAIN else "N"
        return Evidence(f"{off}othing is running.", {"how": found.how})


def found_of(ctx: StepContext) -> Found | None:
    """Return what the workload step handed on, or what a rollback inherited, or None where neither is there."""
    inherited = ctx.step.params.get("found")
    if isinstance(inherited, dict):
        return Found(**inherited)
    return ctx.output("workload", Found) if "workload" in ctx.outputs else None


STEP: Step = Drain()
