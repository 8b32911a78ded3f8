"""`/release abort`: what the dashboard's button does, for threads and keyboards."""

from __future__ import annotations

from bot.domain.release import DecisionKind
from bot.slack.router import Command, CommandContext
from commands import control


async def abort(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Without RELEASE: the release of this thread, or the one that runs."""
    await control.typed(ctx, args, DecisionKind.ABORT)


COMMAND = Command(
    name="abort",
    summary="Give the release up, with a reason",
    place=35,
    handler=abort,
    usage="[RELEASE] REASON",
    example="/release abort the fix is not ready",
    role="releaser",
)
