"""`/release whoami`: who you are here, and what that lets you do."""

from __future__ import annotations

from bot.slack.router import Command, CommandContext, may
from bot.views import lists
from commands.common import answer, no_more

MAY = (
    ("viewer", "look at reviews, status and history"),
    ("releaser", "start releases, answer their questions, retry, pause, abort, lock"),
    ("approver", "approve what needs a second person, skip what only approvers may"),
    ("admin", "everything, also unlock what somebody else locked"),
)


async def whoami(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Tell this person's roles."""
    no_more(args, "whoami")
    held = frozenset(role for role, _ in MAY if may(ctx.person, role))
    lent = await ctx.office.desk.delegations(ctx.person.slack)
    await answer(ctx, lists.whoami(ctx.person, held, MAY, ctx.office.settings.slack.channel, delegations=lent))


COMMAND = Command(
    name="whoami",
    summary="Who you are here, and what you may do",
    place=91,
    handler=whoami,
    example="/release whoami",
    role="",
    anywhere=True,
)
