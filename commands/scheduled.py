"""`/release scheduled`: what begins by itself, and when; cancel or postpone it."""

from __future__ import annotations

import re

from bot.domain import when
from bot.domain.errors import NotAllowed, WrongUse
from bot.domain.schedule import OPEN
from bot.slack.router import Click, Command, CommandContext, may
from bot.views import ids
from bot.views import schedule as views
from commands import start
from commands.common import answer, environment_first, no_more, number, unpacked
from commands.scheduling import zone_of

USAGE = "scheduled [ENVIRONMENT] | cancel S1 [REASON] | postpone S1 [TIME]"
_NUMBER = re.compile(r"[Ss](\d{1,9})")
_REASON = 500


async def scheduled(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """List what is scheduled, with buttons to cancel or postpone; the same may be typed.

    Postponing without a time means an hour later. `/release start --at TIME` schedules a start.
    """
    if args and args[0].lower() in {"cancel", "postpone"}:
        await _change(ctx, args[0].lower(), args[1:])
        return
    environment, words = environment_first(ctx, args)
    no_more(words, USAGE)
    await answer(ctx, views.listed(environment, await ctx.office.schedule.open_ones(environment)))


async def press(ctx: CommandContext, click: Click) -> None:
    """Cancel, postpone, or show the plan as it would be now."""
    which = number(unpacked(click.value).get("scheduled"))
    match click.action_id:
        case ids.SCHEDULE_CANCEL:
            await answer(ctx, views.outcome(await ctx.office.schedule.cancel(which, by=ctx.person, source=ctx.origin)))
        case ids.SCHEDULE_POSTPONE:
            await answer(
                ctx, views.outcome(await ctx.office.schedule.postpone(which, by=ctx.person, source=ctx.origin))
            )
        case ids.SCHEDULE_PREVIEW:
            await _preview(ctx, which)
        case _:
            raise WrongUse("That button is from another version of me; nothing was done.", hint="/release scheduled")


async def _preview(ctx: CommandContext, which: int) -> None:
    """Show the plan for what is there now; started from there, it is the scheduled one."""
    one = await ctx.office.schedule.one(which)
    if one.state not in OPEN:
        await answer(ctx, views.outcome(one))
        return
    asked = start.Request.read({**one.request, "environment": one.environment})
    fresh = start.Request(
        asked.environment,
        hotfix=asked.hotfix,
        only=asked.only,
        strategy=asked.strategy,
        because=asked.because,
        ticket=one.id,
    )
    await start.open_preview(ctx, fresh)


async def _change(ctx: CommandContext, what: str, words: tuple[str, ...]) -> None:
    if not may(ctx.person, "releaser"):
        raise NotAllowed(
            "To change what is scheduled needs the role releaser; nothing was changed.", hint="/release whoami"
        )
    found = _NUMBER.fullmatch(words[0]) if words else None
    if found is None:
        raise WrongUse("Which one? Nothing was changed.", hint=f"/release {USAGE}")
    which, rest = int(found[1]), " ".join(words[1:])
    if what == "cancel":
        one = await ctx.office.schedule.cancel(which, by=ctx.person, reason=rest[:_REASON], source=ctx.origin)
    else:
        to = when.meant(rest, now=ctx.office.clock.now(), zone=await zone_of(ctx)).at if rest else None
        one = await ctx.office.schedule.postpone(which, by=ctx.person, to=to, source=ctx.origin)
    await answer(ctx, views.outcome(one))


COMMAND = Command(
    name="scheduled",
    summary="What begins by itself, and when; cancel or postpone it",
    place=12,
    handler=scheduled,
    usage=USAGE.removeprefix("scheduled "),
    example="/release scheduled",
    buttons={"schedule": press},
    roles={"schedule": "releaser"},
)
