"""`/release skip`: what the dashboard's button does, for threads and keyboards."""

from __future__ import annotations

from bot.domain.release import DecisionKind
from bot.slack.router import Command, CommandContext
from commands import control


async def skip(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Without RELEASE: the release of this thread, or the one that runs."""
    await control.typed(ctx, args, DecisionKind.SKIP)


COMMAND = Command(
    name="skip",
    summary="Leave the failed step out, with a reason",
    place=32,
    handler=skip,
    usage="[RELEASE] REASON",
    example="/release skip the site was checked by hand",
    role="releaser",
)
