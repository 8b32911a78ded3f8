"""Approval: somebody has typed the version that is gone back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.plan import Command, StepKind
from bot.domain.release import Choice, DecisionKind, Question
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone
from bot.steps.answers import agreed, demand_yes
from bot.steps.conditions import RELEASE_CONTAINS_HEAD, broken, demand
from bot.steps.words import short

if TYPE_CHECKING:
    from bot.domain.plan import Plan, PlannedStep
    from bot.domain.release import Answer
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports


class RollBackAgreed(BaseStep):
    """Branches and tags stay where they are: only what is deployed goes back."""

    id: ClassVar[str] = "roll_back_agreed"
    title: ClassVar[str] = "Rollback agreed to"
    by_hand: ClassVar[str] = (
        "Agree with the team to which version you go back, and that no migration since stands in the way."
    )
    kind: ClassVar[StepKind] = StepKind.APPROVAL
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    holds: ClassVar[tuple[Condition, ...]] = (RELEASE_CONTAINS_HEAD,)

    def commands(
        self,
        plan: Plan,
        step: PlannedStep,  # noqa: ARG002  # the contract's parameter
        environment: StepEnvironment,  # noqa: ARG002
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return the line that shows what is taken back."""
        return (Command("here", ("git", "log", "--oneline", f"{plan.head}..{plan.base}")),)

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done once somebody said yes and release contains the commit."""
        answer = agreed(ctx)
        if answer is None:
            return NotDone("Nobody has agreed to the rollback yet.")
        if gone := await broken(ctx, self.holds):
            return NotDone(f"The word no longer counts: not true any more: {'; '.join(gone)}.")
        return Done(self._evidence(answer))

    async def ask(self, ctx: StepContext) -> Question:
        """Ask for the version."""
        plan = ctx.plan
        return Question(
            title=f"Roll {plan.environment} back from {plan.previous_version} to {plan.version}?",
            detail=f"{short(plan.head)} was proved live before. Branches and tags stay as they are.",
            choices=(
                Choice(DecisionKind.APPROVE, "Roll back", form="typed_version", danger=True),
                Choice(DecisionKind.REJECT, "Do not roll back", form="reason"),
            ),
            basis=tuple(one.name for one in self.holds),
            draft={"version": plan.version},
        )

    async def run(self, ctx: StepContext) -> None:
        """Change nothing; raises `StepFailed` for a no and `Refused` when the basis is gone."""
        demand_yes(ctx)
        await demand(ctx, *self.holds)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look again."""
        answer = demand_yes(ctx)
        await demand(ctx, *self.holds)
        return self._evidence(answer)

    def _evidence(self, answer: Answer) -> Evidence:
        basis = [one.name for one in self.holds]
        return Evidence(f"Agreed to by <@{answer.by}>, who typed the version.", {"by": answer.by, "basis": basis})


STEP: Step = RollBackAgreed()
