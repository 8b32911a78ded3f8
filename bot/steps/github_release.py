"""GitHub shows a release for the tag, with the very notes of the tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone
from bot.steps.conditions import TAG_AT_HEAD
from bot.steps.tagging import Notes, body_of_release, hidden_mark

if TYPE_CHECKING:
    from bot.domain.world import PublishedRelease
    from bot.engine.step import Step, StepContext


class GithubRelease(BaseStep):
    """It tells the world and changes nothing that runs, so it stands at the end, and a releaser may leave it out.

    GitHub refuses a second release for a tag. It would make a tag that is missing: the tag is looked at right before.
    """

    id: ClassVar[str] = "github_release"
    title: ClassVar[str] = "Release on GitHub"
    by_hand: ClassVar[str] = (
        "On GitHub, draft a new release for the tag that is there, paste the tag's lines, and publish it."
    )
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "releaser"
    holds: ClassVar[tuple[Condition, ...]] = (TAG_AT_HEAD,)
    needs: ClassVar[frozenset[str]] = frozenset({"notes", "tag"})

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when GitHub has a release for the tag, whoever made it: it is not touched."""
        published = await ctx.ports.code_host.published(tag=ctx.plan.version)
        return Done(_evidence(ctx, published)) if published else NotDone(f"GitHub has no release {ctx.plan.version}.")

    async def run(self, ctx: StepContext) -> None:
        """Publish it; raises `Conflict` when somebody was faster."""
        body = body_of_release(ctx.output("notes", Notes).lines, mark=ctx.mark)
        version = ctx.plan.version
        await ctx.ports.code_host.publish(tag=version, commit=ctx.plan.head, title=version, body=body)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Find it by its tag."""
        published = await ctx.ports.code_host.published(tag=ctx.plan.version)
        if published is None:
            raise StepFailed(
                f"GitHub shows no release {ctx.plan.version}.", hint="retry: what is there is not made again"
            )
        return _evidence(ctx, published)


def _evidence(ctx: StepContext, published: PublishedRelease) -> Evidence:
    ours = hidden_mark(ctx.mark) in published.body
    by = "" if ours else ", made by somebody else and left as it is"
    facts = {"url": published.url, "tag": published.tag, "by_hand": not ours}
    return Evidence(f"GitHub shows the release {published.tag}{by}.", facts)


STEP: Step = GithubRelease()
