"""`/release retry`: what the dashboard's button does, for threads and keyboards."""

from __future__ import annotations

from bot.domain.release import DecisionKind
from bot.slack.router import Command, CommandContext
from commands import control


async def retry(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Without RELEASE: the release of this thread, or the one that runs."""
    await control.typed(ctx, args, DecisionKind.RETRY)


COMMAND = Command(
    name="retry",
    summary="Try the failed step once more",
    place=31,
    handler=retry,
    usage="[RELEASE]",
    example="/release retry R7",
    role="releaser",
)
