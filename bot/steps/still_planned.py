"""What was reviewed days ago is still what is to be released, and onto what is live: else somebody reviews again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.plan import Command
from bot.domain.release import Choice, DecisionKind, Question
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Unknown
from bot.steps.answers import agreed, demand_yes
from bot.steps.conditions import HEAD_ON_ITS_BRANCH, RELEASE_UNMOVED, broken
from bot.steps.es_ready import Ready
from bot.steps.words import short

if TYPE_CHECKING:
    from bot.domain.plan import Plan, PlannedStep
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports


class StillPlanned(BaseStep):
    """A pair that was filled by another commit is of no use, so branches that moved cannot be argued away."""

    id: ClassVar[str] = "still_planned"
    title: ClassVar[str] = "Still what was reviewed"
    by_hand: ClassVar[str] = (
        "See that release and master are where they were when this release was planned, and that nobody deployed meanwhile. "
        "If somebody did, read what is between that and what you release."
    )
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    holds: ClassVar[tuple[Condition, ...]] = (RELEASE_UNMOVED, HEAD_ON_ITS_BRANCH)
    after: ClassVar[frozenset[str]] = frozenset({"review_acknowledged", "reindex", "es_ready"})
    causes: ClassVar[tuple[str, ...]] = (
        "another release or a hotfix went through while this one was indexing",
        "somebody deployed by hand meanwhile: git reflog --date=iso on the server",
    )

    def commands(
        self,
        plan: Plan,
        step: PlannedStep,  # noqa: ARG002  # the contract's parameters
        environment: StepEnvironment,
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return the line that shows what release has and the pinned commit lacks: nothing."""
        return (Command("here", ("git", "log", "--oneline", f"{plan.head}..origin/{environment.release_branch}")),)

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when branches and what is live are as they were, or when somebody has reviewed what is live now."""
        if moved := await broken(ctx, self.holds):
            return Unknown(
                f"No longer true: {'; '.join(moved)}. Another release or hotfix went through meanwhile, and what was indexed "
                "for this one does not fit it.",
                hint="/release abort, then /release start: the new plan is made from what is there now, and indexes anew",
            )
        news = await _news(ctx)
        if not news:
            return Done(Evidence("Branches and what is live are as they were when this was reviewed.", {"news": []}))
        if answer := agreed(ctx):
            return Done(Evidence(f"{news} Reviewed again by <@{answer.by}>.", {"news": news, "by": answer.by}))
        return NotDone(news)

    async def ask(self, ctx: StepContext) -> Question:
        """Have it reviewed again."""
        commit = (await ctx.ports.server.checkout()).commit
        url = ctx.ports.code_host.compare_url(base=commit, head=ctx.plan.head)
        return Question(
            title=f"Something else went live meanwhile: have you reviewed {ctx.plan.version} again?",
            detail=f"{await _news(ctx)}\nBetween that and this release: {url}",
            choices=(
                Choice(DecisionKind.APPROVE, "I have reviewed it again, go on"),
                Choice(DecisionKind.REJECT, "Stop here", form="reason", danger=True),
            ),
            basis=tuple(one.name for one in self.holds),
        )

    async def run(self, ctx: StepContext) -> None:
        """Change nothing; raises `StepFailed` for a no."""
        demand_yes(ctx)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look once more."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case NotDone(why) | Unknown(why):
                raise StepFailed(why, hint="retry to be asked again, or /release abort")
            case _:
                raise StepFailed("It cannot be told whether this is still what was reviewed.", hint="retry")


async def _news(ctx: StepContext) -> str:
    """Say what went live since this release began, by the bot or by hand; empty when nothing did."""
    went = [
        f"{one.release} ({one.version}, {short(one.head)}) at {one.at:%Y-%m-%d %H:%M} UTC" for one in await ctx.since()
    ]
    if went:
        return f"Proved live meanwhile: {', '.join(went)}."
    commit = (await ctx.ports.server.checkout()).commit
    before = ctx.output("es_ready", Ready).commit if "es_ready" in ctx.outputs else commit
    if commit in (before, ctx.plan.head):
        return ""
    return f"The server is at {short(commit)} now; it was at {short(before)} when this release began."


STEP: Step = StillPlanned()
