"""May a release start now? Looked at before its plan is shown, and once more before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import Held
from bot.domain.phases import Phase, begins_unlocked, demand_alone
from bot.domain.queue import demand_turn
from commands import scheduling
from commands.common import person_name

if TYPE_CHECKING:
    from bot.domain.plan import Plan
    from bot.slack.router import CommandContext
    from commands.start import Request


async def demand_open(ctx: CommandContext, request: Request) -> None:
    """Refuse in a freeze: one of this moment, or for a start at a time one that is known to cover it."""
    freezes, environment = ctx.office.freezes, request.environment
    if request.at:
        await freezes.demand_open_then(environment, scheduling.moment(request))
    else:
        await freezes.demand_open_now(environment)


async def demand_free(ctx: CommandContext, request: Request, planned: Plan) -> None:
    """Refuse while somebody else is releasing or has locked the environment, unless the plan needs the lock later only."""
    environment = request.environment
    if request.at:
        return
    active = [one for one in await ctx.office.desk.active() if one.environment == environment]
    if begins_unlocked(planned):
        demand_alone(planned, [(one.id, one.plan) for one in active])
        return
    for one in active:
        if one.phase in {Phase.WHOLE, Phase.LOCKED} and not one.waits:
            raise Held(
                f"{one.plan.version} ({one.id}) is being released to {environment} already; nothing was started.",
                environment=environment,
                hint="/release status",
            )
    lock = await ctx.office.desk.lock_of(environment)
    if lock is None:
        line = await ctx.office.queue.line(environment)
        demand_turn(line, environment=environment, person=ctx.person.slack, now=ctx.office.clock.now())
    elif lock.owner != ctx.person.slack:
        raise Held(
            f"{environment} is locked by {person_name(ctx, lock.owner)}: {lock.reason}. Nothing was started.",
            environment=environment,
            hint=f"ask them, or an admin, for /release unlock {environment}",
        )
