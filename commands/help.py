"""`/release help`: what there is, or one command with an example."""

from __future__ import annotations

import difflib

from bot.domain.errors import WrongUse
from bot.slack.router import Command, CommandContext, may
from bot.views import lists
from commands.common import answer, no_more


async def show_help(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """List the commands that this person may use, or explain one."""
    known = {one.name: one for one in ctx.office.commands}
    if not args:
        mine = [one for one in known.values() if may(ctx.person, one.role)]
        entries = [(one.name, one.summary, f"{one.name} {one.usage}".strip()) for one in mine]
        await answer(ctx, lists.help_overview(entries, hidden=len(known) - len(mine)))
        return
    no_more(args[1:], "help [COMMAND]")
    one = known.get(args[0].lower())
    if one is None:
        near = difflib.get_close_matches(args[0].lower(), known, n=1)
        hint = f"Did you mean /release help {near[0]}?" if near else "/release help"
        raise WrongUse(f"I do not know {args[0][:40]!r}.", hint=hint)
    usage = f"{one.name} {one.usage}".strip()
    await answer(ctx, lists.help_command(one.summary, usage, one.handler.__doc__ or "", one.example, one.role))


COMMAND = Command(
    name="help",
    summary="What I can do, or one command in full",
    place=90,
    handler=show_help,
    usage="[COMMAND]",
    example="/release help start",
    role="",
    anywhere=True,
)
