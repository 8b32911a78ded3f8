"""`/release rehearse`: the very plan that would be released, carried out in an embedded world first."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from bot.domain.phases import Phase
from bot.domain.rehearsal import demand_rehearsable
from bot.slack.router import Click, Command, CommandContext, options
from bot.views import lists
from commands.common import answer, is_release, no_more, tell, unpacked
from commands.start import SWITCHES, VALUES, Request, prepare, wanted

if TYPE_CHECKING:
    from bot.domain.plan import Plan
    from bot.domain.readmodel import ReleaseView

USAGE = "rehearse [ENVIRONMENT] [--hotfix] [--only TAG,…] [--strategy NAME] [--version X.Y.Z|minor|major], or rehearse RELEASE"


async def rehearse(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Carry out the plan that start would show (same commit, checklist, parameters) in an embedded world, from the beginning.

    Of a release that is open and has not deployed yet it is that one's plan. Nothing of production is touched; the world's
    servers are stand-ins. Its message follows the steps; plan and approvals link it. One at a time in an environment.
    """
    if args and is_release(args[0]):
        no_more(args[1:], USAGE)
        await _rehearse_release(ctx, await ctx.office.desk.release(args[0].upper()))
        return
    request, words = wanted(ctx, options(args, switches=SWITCHES, values=VALUES))
    no_more(words, USAGE)
    for one in await ctx.office.desk.active():
        if one.environment == request.environment and one.phase in {Phase.WHOLE, Phase.LOCKED}:
            await _rehearse_release(ctx, one)
            return
    prepared = await prepare(ctx, request)
    await _begin(ctx, prepared.plan, prepared.checklist, again=_again(request))


async def press(ctx: CommandContext, click: Click) -> None:
    """Stop one that runs."""
    named = str(unpacked(click.value).get("rehearsal", ""))
    await tell(ctx, await ctx.office.rehearsals.stop(named, by=ctx.person.slack, source=ctx.origin))


async def _rehearse_release(ctx: CommandContext, release: ReleaseView) -> None:
    demand_rehearsable(release)
    checklist = await ctx.office.desk.checklist(release.id)
    again = f"/release rehearse {release.id}"
    await _begin(ctx, release.plan, checklist, again=again, release=release.id)


async def _begin(ctx: CommandContext, plan: Plan, checklist: str, *, again: str, release: str = "") -> None:
    made = await ctx.office.rehearsals.begin(
        plan=plan, checklist=checklist, by=ctx.person.slack, again=again, release=release, source=ctx.origin
    )
    whose = f"the plan of {release}" if release else f"{made.version} for {made.environment}"
    await answer(ctx, lists.sentence(f"{made.id} rehearses {whose}; its message in the channel follows the steps."))


def _again(request: Request) -> str:
    """Return what to type for the same once more."""
    words = ["/release", "rehearse", request.environment]
    words += ["--hotfix"] if request.hotfix else []
    words += ["--only", ",".join(request.only)] if request.only else []
    words += ["--strategy", shlex.quote(request.strategy)] if request.strategy else []
    return " ".join([*words, *(["--version", request.version] if request.version else [])])


COMMAND = Command(
    name="rehearse",
    summary="Carry the plan out in an embedded world first",
    place=12,
    handler=rehearse,
    usage=USAGE.removeprefix("rehearse "),
    example="/release rehearse",
    role="releaser",
    buttons={"rehearse": press},
)
