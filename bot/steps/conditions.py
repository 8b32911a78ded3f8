"""The predicates that approvals rest on and that are looked at again right before an effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import Refused
from bot.domain.planning import planned_merge, rolls_back
from bot.domain.world import Check, CheckState
from bot.engine.step import Condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bot.engine.step import StepContext

WORST_FIRST = (CheckState.FAILED, CheckState.PENDING, CheckState.MISSING, CheckState.PASSED)


async def _release_unmoved(ctx: StepContext) -> bool:
    planned = {ctx.plan.head} if ctx.plan.hotfix else {ctx.plan.base, ctx.plan.head}
    return await ctx.ports.repository.branch_head(branch=ctx.environment.release_branch) in planned


async def _head_on_its_branch(ctx: StepContext) -> bool:
    """For a hotfix: release is at the head. With a planned merge: master still is what is merged, or has the merge."""
    plan, repository = ctx.plan, ctx.ports.repository
    if plan.hotfix:
        return await repository.branch_head(branch=ctx.environment.release_branch) == plan.head
    await repository.fetch()
    master = await repository.branch_head(branch=ctx.environment.master_branch)
    merge = planned_merge(plan)
    if merge and master == merge.ours:
        return True
    return await repository.is_ancestor(ancestor=plan.head, descendant=master)


async def _release_at_head(ctx: StepContext) -> bool:
    return await ctx.ports.repository.branch_head(branch=ctx.environment.release_branch) == ctx.plan.head


async def _release_ready(ctx: StepContext) -> bool:
    """Where release is pushed only later, right before the deploy, what is written about it may be approved long before."""
    order = [step.step for step in ctx.plan.steps]
    later = order[[step.key for step in ctx.plan.steps].index(ctx.step.key) :]
    return await (_release_unmoved(ctx) if "push_branches" in later else _release_at_head(ctx))


async def _tag_at_head(ctx: StepContext) -> bool:
    tag = await ctx.ports.repository.remote_tag(name=ctx.plan.version)
    return tag is not None and tag.target == ctx.plan.head


async def _deployable(ctx: StepContext) -> bool:
    """A rollback deploys exactly the commit that its plan names as proved live, and only while release contains it."""
    if not rolls_back(ctx.plan):
        return await _release_at_head(ctx)
    repository = ctx.ports.repository
    release = await repository.branch_head(branch=ctx.environment.release_branch)
    await repository.fetch()
    return await repository.is_ancestor(ancestor=ctx.plan.head, descendant=release)


async def _release_contains_head(ctx: StepContext) -> bool:
    return bool(rolls_back(ctx.plan)) and await _deployable(ctx)


async def _ci_green(ctx: StepContext) -> bool:
    """Somebody who skipped the CI step has answered for it; nobody is asked twice."""
    if "ci_green" not in ctx.outputs:
        return True
    states = required(await ctx.ports.code_host.checks(sha=ctx.plan.head), ctx.environment.required_ci)
    return all(check.state is CheckState.PASSED for check in states.values())


RELEASE_UNMOVED = Condition("origin's release is where the plan saw it", _release_unmoved)
HEAD_ON_ITS_BRANCH = Condition("the pinned commit is on its branch", _head_on_its_branch)
RELEASE_AT_HEAD = Condition("origin's release is at the pinned commit", _release_at_head)
RELEASE_READY = Condition(
    "origin's release is at the pinned commit, or not pushed yet and where the plan saw it", _release_ready
)
TAG_AT_HEAD = Condition("the version's tag is at the pinned commit", _tag_at_head)
DEPLOYABLE = Condition(
    "origin's release is at the pinned commit, or contains the one that is rolled back to", _deployable
)
RELEASE_CONTAINS_HEAD = Condition("origin's release contains the commit that is rolled back to", _release_contains_head)
CI_GREEN = Condition("required jobs green for this commit", _ci_green)


def required(checks: Sequence[Check], names: Iterable[str]) -> Mapping[str, Check]:
    """Return the worst report of each required job, worst first; a job without a report is `CheckState.MISSING`."""
    worst: dict[str, Check] = {}
    for name in names:
        reports = [check for check in checks if check.name == name] or [Check(name, CheckState.MISSING)]
        worst[name] = min(reports, key=lambda check: WORST_FIRST.index(check.state))
    return dict(sorted(worst.items(), key=lambda pair: WORST_FIRST.index(pair[1].state)))


async def broken(ctx: StepContext, conditions: Iterable[Condition]) -> tuple[str, ...]:
    """Return the names of the conditions that do not hold at this moment."""
    return tuple([condition.name for condition in conditions if not await condition.holds(ctx)])


async def demand(ctx: StepContext, *conditions: Condition) -> None:
    """Raise `Refused`, naming each condition that does not hold."""
    if gone := await broken(ctx, conditions):
        raise Refused(
            f"No longer true: {'; '.join(gone)}.",
            hint="/release abort, then /release start: the new plan is made from what is there now",
            changed="This step changed nothing.",
        )
