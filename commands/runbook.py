"""`/release runbook`: what is left to do, as commands a person can type."""

from __future__ import annotations

from bot.domain import runbook
from bot.domain.errors import Conflict
from bot.slack.router import Command, CommandContext
from commands.common import environment_first, no_more, the_release


async def show_runbook(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Put the whole remaining plan of a release into a file: each step's commands, by host, and how to do it by hand.

    Where nothing is being released, it is the plan that `/release start` would show.
    """
    try:
        release, words = await the_release(ctx, args)
    except Conflict:
        environment, words = environment_first(ctx, args)
        no_more(words, "runbook [RELEASE]")
        prepared = await ctx.office.plan(environment=environment)
        plan = prepared.plan
        text, title = runbook.of_plan(plan), f"{plan.version} to {plan.environment}, by hand; nothing of it is done yet"
        await ctx.upload(f"runbook-{plan.environment}-{plan.version}.md", text, title=title)
        return
    no_more(words, "runbook [RELEASE]")
    title = f"{release.id}: what is left of {release.plan.version} to {release.environment}, by hand"
    await ctx.upload(f"runbook-{release.id}.md", runbook.of_release(release), title=title)


COMMAND = Command(
    name="runbook",
    summary="What is left to do, as commands to type",
    place=22,
    handler=show_runbook,
    usage="[RELEASE]",
    example="/release runbook",
)
