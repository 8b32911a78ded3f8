"""`/release thaw`: let releases start again in a freeze."""

from __future__ import annotations

import re

from bot.domain.errors import WrongUse
from bot.slack.router import Command, CommandContext
from bot.views import freezes as views
from commands.common import answer, environment_first
from commands.freeze import span

USAGE = "thaw [ENVIRONMENT] F1 REASON | until WHEN because REASON"
_NUMBER = re.compile(r"[Ff](\d{1,9})")


async def thaw(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Lift a freeze by its number (`/release freeze` lists them), or make an exception to the settings' weekly windows."""
    environment, words = environment_first(ctx, args)
    number = _NUMBER.fullmatch(words[0]) if words else None
    if number is None:
        starts, ends, reason = span(ctx, words, USAGE)
        made = await ctx.office.freezes.set(
            environment, starts=starts, ends=ends, reason=reason, by=ctx.person, thaw=True, source=ctx.origin
        )
        await answer(ctx, views.told(made), everybody=True)
        return
    reason = " ".join(words[1:])
    if not reason:
        raise WrongUse("Lifting a freeze needs a reason; nothing was lifted.", hint=f"/release {USAGE}")
    lifted = await ctx.office.freezes.lift(
        environment, number=int(number[1]), by=ctx.person, reason=reason, source=ctx.origin
    )
    await answer(ctx, views.lifted(lifted, by=ctx.person.slack, reason=reason), everybody=True)


COMMAND = Command(
    name="thaw",
    summary="Let releases start again in a freeze",
    place=43,
    handler=thaw,
    usage=USAGE.removeprefix("thaw "),
    example="/release thaw F1 The conference is over",
    role="admin",
)
