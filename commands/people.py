"""`/release people`: who the authors of what would ship are in Slack, and saying so where nobody knows."""

from __future__ import annotations

from bot.domain.errors import NotAllowed, WrongUse
from bot.domain.people import read_identity, read_slack
from bot.slack.router import Click, Command, CommandContext, may, options
from bot.views import authors, ids, lists
from bot.views.text import code, count, mention
from commands.common import answer, environment_first, no_more

USAGE = "people [ENVIRONMENT] [--hotfix] | link LOGIN @person | unlink LOGIN"
_LINK_WORDS, _UNLINK_WORDS = 3, 2


async def people(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """List the authors of what would ship with the people they are: linked, from the settings, or by their e-mail in Slack.

    LOGIN is a GitHub login or the e-mail of somebody's commits; @person a mention or a Slack id.
    """
    match args[:1]:
        case ("link",) if len(args) == _LINK_WORDS:
            await _link(ctx, read_identity(args[1]), read_slack(args[2]))
        case ("unlink",) if len(args) == _UNLINK_WORDS:
            await _unlink(ctx, read_identity(args[1]))
        case ("link" | "unlink",):
            raise WrongUse(
                "I expected a login, and for a link a person; nothing was changed.", hint=f"/release {USAGE}"
            )
        case _:
            await _list(ctx, args)


async def choose(ctx: CommandContext, click: Click) -> None:
    """Link the author beside whom somebody was chosen."""
    identity = click.action_id.removeprefix(ids.PEOPLE_WHO).removeprefix(ids.PEOPLE_ELSE)
    await _link(ctx, read_identity(identity), read_slack(click.value))


async def _list(ctx: CommandContext, args: tuple[str, ...]) -> None:
    given = options(args, switches=("hotfix",), values=("env",))
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    no_more(words, USAGE)
    report = await ctx.office.review(environment=environment, hotfix="hotfix" in given.switches)
    service = ctx.office.authors
    found = await service.matched(report)
    view = authors.people(found, await service.linked(), may_link=may(ctx.person, "releaser"))
    await answer(ctx, view)


async def _link(ctx: CommandContext, identity: str, slack: str) -> None:
    _demand(ctx)
    theirs = await ctx.office.authors.link(identity, slack=slack, by=ctx.person.slack)
    told = f" {count(theirs, 'open question is', 'open questions are')} now theirs." if theirs else ""
    await answer(ctx, lists.sentence(f"{code(identity)} is {mention(slack)} from now on.{told}"))


async def _unlink(ctx: CommandContext, identity: str) -> None:
    _demand(ctx)
    await ctx.office.authors.unlink(identity, by=ctx.person.slack)
    await answer(ctx, lists.sentence(f"{code(identity)} is linked to nobody any more."))


def _demand(ctx: CommandContext) -> None:
    if not may(ctx.person, "releaser"):
        raise NotAllowed("Linking people needs the role releaser; nothing was changed.", hint="/release whoami")


COMMAND = Command(
    name="people",
    summary="Who the authors are in Slack",
    handler=people,
    usage=USAGE.removeprefix("people "),
    example="/release people link ada @Ada",
    buttons={"people": choose},
)
