"""`/release unlock`: releases may start again; an admin may take somebody else's lock over."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from bot.domain.errors import Conflict, NotAllowed, WrongUse
from bot.domain.policy import demand_takeable
from bot.slack.router import Command, CommandContext, Form, may, options
from bot.views import ids, lists
from bot.views import locks as views
from commands.common import answer, environment_first, no_more, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.readmodel import LockView

USAGE = "unlock [ENVIRONMENT] [--take REASON]"
LONGEST = 500


async def unlock(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Take a lock away: your own, or as an admin anybody's. The lock of a running release goes with the release.

    With --take an admin makes somebody else's lock their own, after confirming, with a reason that its owner is told.
    """
    given = options(args, switches=("take",), values=("env",))
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    if "take" in given.switches:
        await _ask(ctx, environment, " ".join(words))
        return
    no_more(words, USAGE)
    await ctx.office.desk.unlock(environment, by=ctx.person, source=ctx.origin)
    await answer(ctx, lists.unlocked(environment, ctx.person.slack), everybody=True)


async def _ask(ctx: CommandContext, environment: str, reason: str) -> None:
    if not may(ctx.person, "admin"):
        raise NotAllowed("Only an admin takes a lock over; nothing was done.", hint="ask its owner, or an admin")
    held: LockView | None = await ctx.office.desk.lock_of(environment)
    if held is None:
        raise Conflict(f"{environment} is not locked; nothing was done.", hint=f"/release lock {environment} REASON")
    demand_takeable(environment, held.owner, held.release, by=ctx.person.slack)
    await ctx.open_modal(views.take_over_form(held, reason[:LONGEST]))


def unreasoned(form: Form) -> Mapping[str, str]:
    """Keep the form open until a reason is given, that is not too long."""
    reason = form.text(ids.REASON)
    if not reason:
        return {ids.REASON: "Please give a reason; its owner sees it."}
    return {ids.REASON: f"At most {LONGEST} characters."} if len(reason) > LONGEST else {}


async def take_over(ctx: CommandContext, form: Form) -> None:
    """Take the very lock that was shown, and tell its owner."""
    value = unpacked(form.metadata)
    environment, _ = ctx.office.settings.environment(str(value.get("environment", "")))
    try:
        seen = str(value.get("owner", "")), datetime.fromisoformat(str(value.get("since", "")))
    except ValueError as error:
        raise WrongUse("That form is from another version of me; nothing was done.", hint="/release lock") from error
    held = await ctx.office.desk.take_over(
        environment, by=ctx.person, reason=form.text(ids.REASON), seen=seen, source=ctx.origin
    )
    await answer(ctx, views.taken_over(held, seen[0]), everybody=True)


COMMAND = Command(
    name="unlock",
    summary="Let others release again; as an admin, take a lock over",
    place=41,
    handler=unlock,
    usage=USAGE.removeprefix("unlock "),
    example="/release unlock",
    role="releaser",
    views={ids.TAKE_OVER_FORM: take_over},
    checks={ids.TAKE_OVER_FORM: unreasoned},
    roles={ids.TAKE_OVER_FORM: "admin"},
)
