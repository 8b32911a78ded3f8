"""Origin's release is fast-forwarded to the pinned commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import Refused, StepFailed
from bot.domain.plan import Command
from bot.domain.world import RefUpdate
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Unknown
from bot.steps.conditions import CI_GREEN, HEAD_ON_ITS_BRANCH
from bot.steps.words import short

if TYPE_CHECKING:
    from bot.domain.plan import Plan, PlannedStep
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports

AHEAD = "ahead"  # the name under which this is owed until the deploy has completed
OWED = {AHEAD: "release is ahead of what is live; the cluster takes the newest code of its branch"}


class PushBranches(BaseStep):
    """From exactly where the plan saw it, never by force; master was pushed where the merge was no no-op, and only there."""

    id: ClassVar[str] = "push_branches"
    title: ClassVar[str] = "Release fast-forwarded to the pinned commit"
    changes_live: ClassVar[bool] = True
    by_hand: ClassVar[str] = "Fast-forward release to the commit, never by force; then look at it on GitHub."
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    causes: ClassVar[tuple[str, ...]] = (
        "somebody pushed to release meanwhile: abort and start again from what is there now",
        "the remote's rules refuse the push, or the key may not push: GitHub's words stand in the message",
    )
    holds: ClassVar[tuple[Condition, ...]] = (HEAD_ON_ITS_BRANCH, CI_GREEN)
    after: ClassVar[frozenset[str]] = frozenset({"review_acknowledged", "ci_green", "master_contains_release"})

    def commands(
        self,
        plan: Plan,
        step: PlannedStep,  # noqa: ARG002  # the contract's parameter
        environment: StepEnvironment,
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return the push; without force Git itself refuses what is no fast-forward."""
        refspec = f"{plan.head}:refs/heads/{environment.release_branch}"
        return (Command("here", ("git", "push", "--atomic", "origin", refspec)),)

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when origin's release is at the head, whoever pushed it."""
        release = await ctx.ports.repository.branch_head(branch=ctx.environment.release_branch)
        if release == ctx.plan.head:
            return Done(self._evidence(ctx))
        if release == ctx.plan.base and not ctx.plan.hotfix:
            return NotDone(f"release is still at {short(release)}.")
        return Unknown(
            f"origin's release is at {short(release)}: neither where the plan saw it ({short(ctx.plan.base)}) nor at the "
            f"pinned commit ({short(ctx.plan.head)}). Another release or hotfix went through meanwhile.",
            hint="/release abort, then /release start: the new plan is made from what is there now",
        )

    async def run(self, ctx: StepContext) -> None:
        """Prove the fast-forward in the mirror, then push; raises `Refused` when it is none or the ref has moved."""
        plan, repository = ctx.plan, ctx.ports.repository
        await repository.fetch()
        if not await repository.is_ancestor(ancestor=plan.base, descendant=plan.head):
            raise Refused(
                f"{short(plan.head)} does not contain {short(plan.base)}: moving release there would lose commits.",
                hint="/release abort, then /release start: it offers to merge release into master first",
                changed="Nothing was pushed.",
            )
        ref = f"refs/heads/{ctx.environment.release_branch}"
        await ctx.report(f"Pushing {ref}", {"owes": OWED})
        await repository.push(updates=[RefUpdate(ref, plan.base, plan.head)])

    async def verify(self, ctx: StepContext) -> Evidence:
        """Read the remote back."""
        release = await ctx.ports.repository.branch_head(branch=ctx.environment.release_branch)
        if release != ctx.plan.head:
            raise StepFailed(f"origin's release is at {short(release)} after the push.", hint="retry")
        return self._evidence(ctx)

    def _evidence(self, ctx: StepContext) -> Evidence:
        plan = ctx.plan
        return Evidence(
            f"origin's release is at {short(plan.head)}.", {"old": plan.base, "new": plan.head, "owes": OWED}
        )


STEP: Step = PushBranches()
