"""Release's own commits (hotfixes) are in what is released: usually a no-op, else a merge that the plan names."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import Refused, StepFailed
from bot.domain.plan import Command
from bot.domain.planning import merge_message, planned_merge
from bot.domain.release import Choice, DecisionKind, Question
from bot.domain.world import RefUpdate
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone, Unknown
from bot.steps.answers import demand_yes
from bot.steps.words import commit_lines, short

if TYPE_CHECKING:
    from bot.domain.plan import Plan, PlannedStep
    from bot.domain.planning import Merge
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports

START_AGAIN = "/release abort, then /release start: the new plan is made from what is there now"


class MasterContainsRelease(BaseStep):
    """The merge is the same commit wherever it is made, so it was pinned and reviewed before it is pushed (ADR 0003)."""

    id: ClassVar[str] = "master_contains_release"
    title: ClassVar[str] = "Release is contained in what is released"
    by_hand: ClassVar[str] = (
        "Merge release into master. Ideally that does nothing; else look at what it brings, and wait for CI again."
    )
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    after: ClassVar[frozenset[str]] = frozenset({"review_acknowledged"})

    def commands(
        self,
        plan: Plan,
        step: PlannedStep,  # noqa: ARG002  # the contract's parameter
        environment: StepEnvironment,
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return the merge and its push, or the line that shows that there is nothing to merge."""
        merge = planned_merge(plan)
        if merge is None:
            lines = (("git", "log", "--oneline", f"{plan.head}..origin/{environment.release_branch}"),)
        else:
            lines = (("git", "push", "origin", f"{plan.head}:refs/heads/{environment.master_branch}"),)
        return tuple(Command("here", line) for line in lines)

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when the head contains release and master contains the head."""
        repository, plan = ctx.ports.repository, ctx.plan
        await repository.fetch()
        release = await repository.branch_head(branch=ctx.environment.release_branch)
        if release not in (plan.base, plan.head):
            return await self._moved(ctx, release)
        merge = planned_merge(plan)
        if merge is None:
            if await repository.is_ancestor(ancestor=release, descendant=plan.head):
                return Done(
                    Evidence(f"{short(plan.head)} contains all of release; nothing to merge.", {"merged": False})
                )
            return await self._moved(ctx, release)
        master = await repository.branch_head(branch=ctx.environment.master_branch)
        if master == merge.ours:
            return NotDone("Release has commits that master lacks.")
        if await repository.is_ancestor(ancestor=plan.head, descendant=master):
            return Done(self._evidence(plan))
        return Unknown(
            f"master moved from {short(merge.ours)} to {short(master)} since the plan was made, so the planned merge "
            f"{short(plan.head)} no longer fits on it.",
            hint=START_AGAIN,
        )

    async def _moved(self, ctx: StepContext, release: str) -> Unknown:
        commits = await ctx.ports.repository.only_in(ref=release, not_in=ctx.plan.head)
        shown = f" It has what the pinned commit lacks:\n{commit_lines(commits)}" if commits else ""
        return Unknown(
            f"origin's release is at {short(release)}, not at {short(ctx.plan.base)} where the plan saw it.{shown}",
            hint=START_AGAIN,
        )

    async def ask(self, ctx: StepContext) -> Question | None:
        """Show the commits that release alone has, and ask before they are merged."""
        merge = planned_merge(ctx.plan)
        if merge is None:
            return None
        commits = await ctx.ports.repository.only_in(ref=merge.theirs, not_in=merge.ours)
        what = commit_lines(commits) or "Master has the content of every commit already; only the history differs."
        return Question(
            title=f"Merge {len(commits)} commit(s) of release into master?"
            if commits
            else "Merge release into master?",
            detail=f"{what}\nThe merge is {short(ctx.plan.head)}; CI starts again for it.",
            choices=(
                Choice(DecisionKind.APPROVE, "Merge them and push master"),
                Choice(DecisionKind.REJECT, "Do not merge", danger=True),
            ),
            basis=(f"master is at {short(merge.ours)}", f"release is at {short(merge.theirs)}"),
        )

    async def run(self, ctx: StepContext) -> None:
        """Make the merge again, see that it is the pinned commit, and push it to master from its expected place."""
        merge = planned_merge(ctx.plan)
        if merge is None:
            raise Refused("Nothing was planned to be merged.", hint=START_AGAIN)
        demand_yes(ctx)
        await self._make(ctx, merge)
        ref = f"refs/heads/{ctx.environment.master_branch}"
        await ctx.ports.repository.push(updates=[RefUpdate(ref, merge.ours, ctx.plan.head)])

    async def _make(self, ctx: StepContext, merge: Merge) -> None:
        message = merge_message(master=ctx.environment.master_branch, release=ctx.environment.release_branch)
        made = await ctx.ports.repository.merge(ours=merge.ours, theirs=merge.theirs, message=message)
        if made != ctx.plan.head:
            raise Refused(
                f"The merge came out as {short(made)}, but {short(ctx.plan.head)} was reviewed.",
                hint=START_AGAIN,
                changed="Nothing was pushed.",
            )

    async def verify(self, ctx: StepContext) -> Evidence:
        """Read the remote back."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case other:
                why = other.why if isinstance(other, Unknown) else "master does not have the merge"
                raise StepFailed(why, hint="retry: what is there already is not done again")

    def _evidence(self, plan: Plan) -> Evidence:
        return Evidence(f"Release is merged: master has {short(plan.head)}.", {"merged": True, "merge": plan.head})


STEP: Step = MasterContainsRelease()
