"""`/release unlock`: releases may start again."""

from __future__ import annotations

from bot.slack.router import Command, CommandContext
from bot.views import lists
from commands.common import answer, environment_first, no_more


async def unlock(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Take a lock away: your own, or as an admin anybody's. The lock of a running release goes with the release."""
    environment, words = environment_first(ctx, args)
    no_more(words, "unlock [ENVIRONMENT]")
    await ctx.office.desk.unlock(environment, by=ctx.person, source=ctx.origin)
    await answer(ctx, lists.unlocked(environment, ctx.person.slack), everybody=True)


COMMAND = Command(
    name="unlock",
    summary="Let others release again",
    place=41,
    handler=unlock,
    usage="[ENVIRONMENT]",
    example="/release unlock",
    role="releaser",
)
