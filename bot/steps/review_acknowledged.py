"""Approval: somebody has read what is about to ship."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.plan import Command, StepKind
from bot.domain.planning import planned_merge
from bot.domain.release import Choice, DecisionKind, Question
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone
from bot.steps.answers import agreed, demand_yes
from bot.steps.conditions import HEAD_ON_ITS_BRANCH, RELEASE_UNMOVED, broken, demand
from bot.steps.words import short

if TYPE_CHECKING:
    from bot.domain.plan import Plan, PlannedStep
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports


class ReviewAcknowledged(BaseStep):
    """One person confirms; it counts while release and master are as the plan saw them."""

    id: ClassVar[str] = "review_acknowledged"
    title: ClassVar[str] = "Review acknowledged"
    by_hand: ClassVar[str] = (
        "Read the comparison on GitHub, and ask the author of what you do not know whether anything is done by hand."
    )
    kind: ClassVar[StepKind] = StepKind.APPROVAL
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    holds: ClassVar[tuple[Condition, ...]] = (RELEASE_UNMOVED, HEAD_ON_ITS_BRANCH)

    def commands(
        self,
        plan: Plan,
        step: PlannedStep,  # noqa: ARG002  # the contract's parameter
        environment: StepEnvironment,  # noqa: ARG002
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return the line that shows the same range."""
        return (Command("here", ("git", "log", "--oneline", f"{plan.base}..{plan.head}")),)

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done once somebody said yes and what the yes rests on still holds."""
        answer = agreed(ctx)
        if answer is None:
            return NotDone("Nobody has confirmed the review yet.")
        if gone := await broken(ctx, self.holds):
            return NotDone(f"The confirmation no longer counts: not true any more: {'; '.join(gone)}.")
        return Done(
            Evidence(f"Confirmed by <@{answer.by}>.", {"by": answer.by, "basis": [one.name for one in self.holds]})
        )

    async def ask(self, ctx: StepContext) -> Question:
        """Ask for the confirmation."""
        plan = ctx.plan
        what = "Hotfix" if plan.hotfix else "Release"
        merge = planned_merge(plan)
        first = " It begins with merging release's own commits into master." if merge else ""
        url = ctx.ports.code_host.compare_url(base=plan.base, head=merge.ours if merge else plan.head)
        return Question(
            title=f"{what} {plan.version}: have you read the review?",
            detail=f"{short(plan.base)} → {short(plan.head)} goes to {plan.environment}.{first}\n{url}",
            choices=(
                Choice(DecisionKind.APPROVE, "I have read it, go on"),
                Choice(DecisionKind.REJECT, "Do not release", danger=True),
            ),
            basis=tuple(one.name for one in self.holds),
        )

    async def run(self, ctx: StepContext) -> None:
        """Change nothing; raises `StepFailed` for a no and `Refused` when the basis is gone."""
        demand_yes(ctx)
        await demand(ctx, *self.holds)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look again; raises `Refused` when the basis is gone."""
        answer = demand_yes(ctx)
        await demand(ctx, *self.holds)
        return Evidence(f"Confirmed by <@{answer.by}>.", {"by": answer.by, "basis": [one.name for one in self.holds]})


STEP: Step = ReviewAcknowledged()
