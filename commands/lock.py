"""`/release lock`: nobody else may release until it is unlocked."""

from __future__ import annotations

from bot.domain.errors import WrongUse
from bot.slack.router import Command, CommandContext
from bot.views import lists
from commands.common import answer, environment_first

LONGEST = 500


async def lock(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Keep others from starting a release, with a reason that everybody sees. A release that runs is not stopped by it."""
    environment, words = environment_first(ctx, args)
    reason = " ".join(words)
    if not reason:
        raise WrongUse(
            "A lock needs a reason, for those who find it closed; nothing was locked.",
            hint="/release lock Database is being moved",
        )
    if len(reason) > LONGEST:
        raise WrongUse(f"The reason has {len(reason)} characters; nothing was locked.", hint=f"at most {LONGEST}")
    held = await ctx.office.desk.lock(environment, by=ctx.person, reason=reason, source=ctx.origin)
    await answer(ctx, lists.locked(held), everybody=True)


COMMAND = Command(
    name="lock",
    summary="Keep others from releasing, with a reason",
    place=40,
    handler=lock,
    usage="[ENVIRONMENT] REASON",
    example="/release lock Database is being moved",
    role="releaser",
)
