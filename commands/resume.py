"""`/release resume`: what the dashboard's button does, for threads and keyboards."""

from __future__ import annotations

from bot.domain.release import DecisionKind
from bot.slack.router import Command, CommandContext
from commands import control


async def resume(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Without RELEASE: the release of this thread, or the one that runs."""
    await control.typed(ctx, args, DecisionKind.RESUME)


COMMAND = Command(
    name="resume",
    summary="Go on after a pause",
    place=34,
    handler=resume,
    usage="[RELEASE]",
    example="/release resume",
    role="releaser",
)
