"""What both announcements have in common: posted once by the release's own key, and found in Slack by it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.planning import rolls_back
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone
from bot.steps.tagging import Notes
from bot.steps.words import plain, short

if TYPE_CHECKING:
    from bot.domain.plan import Plan
    from bot.domain.world import Posted
    from bot.engine.step import StepContext

HEADLINE_LINES = 3


class Announcing(BaseStep, ABC):
    """A message counts only when it carries this release's key; another release's announcement proves nothing."""

    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "releaser"

    @abstractmethod
    async def text(self, ctx: StepContext) -> str:
        """Return what is posted."""

    async def facts(self, ctx: StepContext) -> dict[str, object]:  # noqa: ARG002  # for those who have some
        """Return what the evidence says besides the message itself."""
        return {}

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when Slack has the message of this key."""
        posted = await ctx.ports.announcements.find(key=ctx.mark)
        return Done(await self._evidence(ctx, posted)) if posted else NotDone("It is not announced.")

    async def run(self, ctx: StepContext) -> None:
        """Post it; the outbox looks for the key before it posts again."""
        await ctx.ports.announcements.post(key=ctx.mark, text=await self.text(ctx))

    async def verify(self, ctx: StepContext) -> Evidence:
        """Find it in Slack."""
        posted = await ctx.ports.announcements.find(key=ctx.mark)
        if posted is None:
            raise StepFailed("Slack does not show the announcement.", hint="retry: what was posted is not posted again")
        return await self._evidence(ctx, posted)

    async def _evidence(self, ctx: StepContext, posted: Posted) -> Evidence:
        facts = {"channel": posted.channel, "ts": posted.ts, "permalink": posted.permalink}
        return Evidence("Announced.", {**facts, **await self.facts(ctx)})


def subject(plan: Plan) -> str:
    """Return what is released, in words."""
    parts = f" (only {', '.join(plan.tags)})" if plan.partial else ""
    return f"METASPACE {plan.version}{' (hotfix)' if plan.hotfix else ''}{parts}"


def headline(ctx: StepContext) -> list[str]:
    """Return the first lines of the notes, as they may stand in a message."""
    lines = ctx.output("notes", Notes).lines if "notes" in ctx.outputs else []
    more = [f"… and {len(lines) - HEADLINE_LINES} more"] if len(lines) > HEADLINE_LINES else []
    return [f"• {plain(line)}" for line in lines[:HEADLINE_LINES]] + more


def changes(ctx: StepContext) -> str:
    """Return a link to the range, with the commits as its words."""
    old, new = (ctx.plan.head, ctx.plan.base) if rolls_back(ctx.plan) else (ctx.plan.base, ctx.plan.head)
    url = ctx.ports.code_host.compare_url(base=old, head=new)
    return f"<{url}|{short(old)}…{short(new)}>"
