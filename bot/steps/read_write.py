"""METASPACE takes changes again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone
from bot.steps.read_only import LOOSE_END, ReadOnly, given_back, is_ours

if TYPE_CHECKING:
    from bot.domain.world import SystemHealth
    from bot.engine.step import Step, StepContext

SETTLED = {"settles": [LOOSE_END]}


class ReadWrite(BaseStep):
    """Gives back only what a release of ours switched, also an earlier one's that is rolled back; a person's switch stands."""

    id: ClassVar[str] = "read_write"
    title: ClassVar[str] = "METASPACE takes changes again"
    by_hand: ClassVar[str] = "Turn read-only mode off in /admin/health, and take the message away."
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "releaser"
    changes_live: ClassVar[bool] = True
    after: ClassVar[frozenset[str]] = frozenset({"read_only", "swap", "swap_back", "deploy", "prove_live"})

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when changes are taken, or when it was not a release of ours that stopped them."""
        health = await ctx.ports.platform.health()
        if health.can_mutate:
            return Done(Evidence("METASPACE takes changes.", {**SETTLED, "can_mutate": True}))
        if not _switched(ctx, health):
            return Done(Evidence("METASPACE is read-only, as it was found.", {**SETTLED, "can_mutate": False}))
        return NotDone("METASPACE is still read-only.")

    async def run(self, ctx: StepContext) -> None:
        """Set the switch; a message that a person wrote stays."""
        health = await ctx.ports.platform.health()
        await ctx.ports.platform.set_health(health=given_back(health))

    async def verify(self, ctx: StepContext) -> Evidence:
        """Read the switches back."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case _:
                raise StepFailed("METASPACE did not keep the switch.", hint="retry")


def _switched(ctx: StepContext, health: SystemHealth) -> bool:
    if is_ours(health):
        return True
    return "read_only" in ctx.outputs and ctx.output("read_only", ReadOnly).switched


STEP: Step = ReadWrite()
