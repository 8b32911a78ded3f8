"""`/release pause`: what the dashboard's button does, for threads and keyboards."""

from __future__ import annotations

from bot.domain.release import DecisionKind
from bot.slack.router import Command, CommandContext
from commands import control


async def pause(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Without RELEASE: the release of this thread, or the one that runs."""
    await control.typed(ctx, args, DecisionKind.PAUSE)


COMMAND = Command(
    name="pause",
    summary="Let the step in work finish, then wait",
    place=33,
    handler=pause,
    usage="[RELEASE] [REASON]",
    example="/release pause waiting for Ada",
    role="releaser",
)
