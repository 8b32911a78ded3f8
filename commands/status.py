"""`/release status`: what runs, who holds it, and the exact commands of the step in work."""

from __future__ import annotations

from bot.slack.router import Command, CommandContext, options
from bot.views import lists
from commands.common import answer, environment_first, no_more


async def status(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Show the release that runs, its step in work with the commands to look at it by hand, and who holds the lock."""
    given = options(args, values=("env",))
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    no_more(words, "status [ENVIRONMENT]")
    desk = ctx.office.desk
    here = [one for one in await desk.active() if one.environment == environment]
    line, later = await ctx.office.queue.line(environment), await ctx.office.schedule.open_ones(environment)
    held = await desk.lock_of(environment)
    here.sort(key=lambda one: held is None or one.id != held.release)  # the one that has the lock comes first
    first, others = (here[0] if here else None), here[1:]
    await answer(ctx, lists.status(environment, first, held, line=line, scheduled=later, others=others))


COMMAND = Command(
    name="status",
    summary="What is being released, and where it stands",
    place=20,
    handler=status,
    usage="[ENVIRONMENT]",
    example="/release status",
)
