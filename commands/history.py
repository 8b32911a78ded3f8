"""`/release history`: past releases."""

from __future__ import annotations

from bot.domain.errors import WrongUse
from bot.slack.router import Command, CommandContext, options
from bot.views import lists
from commands.common import answer, environment_first, no_more

DEFAULT, MOST = 10, 50


async def history(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """List past releases, the newest first: version, how it ended, when, how long, downtime, who."""
    given = options(args, values=("env",))
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    no_more(words[1:], "history [ENVIRONMENT] [HOW MANY]")
    releases = await ctx.office.desk.history(environment, limit=_limit(words))
    await answer(ctx, lists.history(environment, releases))


def _limit(words: tuple[str, ...]) -> int:
    if not words:
        return DEFAULT
    if not words[0].isdecimal() or not 1 <= int(words[0]) <= MOST:
        raise WrongUse(
            f"{words[0][:40]!r} is neither an environment nor a number from 1 to {MOST}.", hint="/release history 20"
        )
    return int(words[0])


COMMAND = Command(
    name="history",
    summary="Past releases, the newest first",
    place=21,
    handler=history,
    usage="[ENVIRONMENT] [HOW MANY]",
    example="/release history 20",
)
