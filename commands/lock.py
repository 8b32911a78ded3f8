"""`/release lock`: nobody else may release until it is unlocked; who finds it closed may wait in line."""

from __future__ import annotations

from datetime import datetime

from bot.domain.errors import Conflict, WrongUse
from bot.slack.router import Click, Command, CommandContext, options
from bot.views import ids, lists
from bot.views import locks as views
from commands.common import answer, environment_first, no_more, number, unpacked

USAGE = "lock [ENVIRONMENT] [REASON | --wait]"
LONGEST = 500


async def lock(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Keep others from starting a release, with a reason that everybody sees. A release that runs is not stopped by it.

    Without a reason: who has it, since when, and who waits. With --wait you are mentioned when it is your turn; it is kept
    for you a few minutes then.
    """
    given = options(args, switches=("wait",), values=("env",))
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    if "wait" in given.switches:
        no_more(words, USAGE)
        await _wait(ctx, environment)
        return
    reason = " ".join(words)
    if not reason:
        await _show(ctx, environment)
        return
    if len(reason) > LONGEST:
        raise WrongUse(f"The reason has {len(reason)} characters; nothing was locked.", hint=f"at most {LONGEST}")
    await _take(ctx, environment, reason)


async def press(ctx: CommandContext, click: Click) -> None:
    """Join or leave the line, take what became free, or say whether a lock is still needed."""
    value = unpacked(click.value)
    environment, _ = ctx.office.settings.environment(str(value.get("environment", "")))
    match click.action_id:
        case ids.LOCK_WAIT:
            await _wait(ctx, environment)
        case ids.LOCK_TAKE:
            await _take(ctx, environment, views.REASON)
            await ctx.office.queue.turn()
        case ids.LOCK_LEAVE | ids.LOCK_LET_GO:
            gone = await ctx.office.queue.leave(number(value.get("wait")), by=ctx.person, source=ctx.origin)
            await answer(ctx, views.left(gone.environment))
        case ids.LOCK_KEEP | ids.LOCK_FREE:
            await _settle(ctx, environment, value, kept=click.action_id == ids.LOCK_KEEP)
        case _:
            raise WrongUse("That button is from another version of me; nothing was done.", hint="/release lock")


async def _show(ctx: CommandContext, environment: str) -> None:
    held, line = await ctx.office.desk.lock_of(environment), await ctx.office.queue.line(environment)
    here = [one for one in await ctx.office.desk.active() if one.environment == environment]
    await answer(ctx, views.shown(environment, held, line, ctx.person.slack, releases=here))


async def _wait(ctx: CommandContext, environment: str) -> None:
    line = await ctx.office.queue.join(environment, by=ctx.person, source=ctx.origin)
    await answer(ctx, views.joined(environment, line, ctx.person.slack))


async def _take(ctx: CommandContext, environment: str, reason: str) -> None:
    held = await ctx.office.desk.lock(environment, by=ctx.person, reason=reason, source=ctx.origin)
    await answer(ctx, lists.locked(held), everybody=True)


async def _settle(ctx: CommandContext, environment: str, value: dict[str, object], *, kept: bool) -> None:
    """Take the answer to "still needed?" from the lock's owner, or an admin; a lock taken since then is another one."""
    held = await ctx.office.desk.lock_of(environment)
    if held is None or held.since != _moment(value.get("since")):
        raise Conflict(f"{environment} has changed hands since you were asked; nothing was done.", hint="/release lock")
    if kept:
        await ctx.office.reminders.keep(held, by=ctx.person, source=ctx.origin)
    else:
        await ctx.office.desk.unlock(environment, by=ctx.person, source=ctx.origin)
    if key := str(value.get("key", "")):
        await ctx.post(key, *views.settled(environment, ctx.person.slack, kept=kept))


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None


COMMAND = Command(
    name="lock",
    summary="Keep others from releasing, with a reason; see who does, or wait in line",
    place=40,
    handler=lock,
    usage=USAGE.removeprefix("lock "),
    example="/release lock Database is being moved",
    role="releaser",
    buttons={"lock": press},
)
