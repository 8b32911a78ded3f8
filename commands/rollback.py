"""`/release rollback`: back to the last commit that was proved live before."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from bot.domain.errors import Conflict, ReleaseError, WrongUse
from bot.domain.phases import Phase
from bot.domain.release import FINISHED
from bot.slack.router import Command, CommandContext, Form, options
from bot.views import ids, lists, plan
from bot.views import rollback as view
from commands.common import answer, environment_first, is_release, no_more, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.readmodel import ReleaseView
    from bot.domain.report import PreparedPlan

USAGE = "rollback [RELEASE] [--drain]"
_LOOKED_AT = 5
CHANGED = "What would be rolled back has changed since you saw the plan, so nothing was started. → /release rollback"


@dataclass(frozen=True, slots=True)
class Request:
    """Which release a person wants to take back. ``seen`` is the fingerprint of the plan that they were shown."""

    release: str
    drain: bool = False
    version: str = ""
    seen: str = ""


async def roll_back(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Deploy the last commit that was proved live before, with a plan of its own. No branch and no tag is moved.

    Without RELEASE: the one that is stopped or paused, else the last that ended. --drain waits for running work first.
    """
    given = options(args, switches=("drain",), values=("env",))
    release = await _meant(ctx, given.words, given.values.get("env", ""))
    await open_preview(ctx, Request(release.id, drain="drain" in given.switches))


async def open_preview(ctx: CommandContext, request: Request) -> None:
    """Show the plan in a modal, which takes the typed version and the reason."""
    release: ReleaseView = await ctx.office.desk.release(request.release)
    await ctx.open_modal(plan.loading_modal(release.environment))
    if not ctx.view:
        return  # Slack's three seconds were over; the person has a button to ask again
    try:
        prepared = await _prepare(ctx, request)
    except ReleaseError as error:
        await ctx.update_modal(plan.refused_modal(error.message, error.hint))
        return
    shown = asdict(replace(request, version=prepared.plan.version, seen=prepared.plan.fingerprint))
    await ctx.update_modal(view.preview_modal(release, prepared, shown))


def incomplete(form: Form) -> Mapping[str, str]:
    """Keep the modal open until the version is typed exactly and a reason is given."""
    wanted, missing = str(unpacked(form.metadata).get("version", "")), {}
    if form.text(ids.TYPED) != wanted:
        missing[ids.TYPED] = f"Please type {wanted}."
    if not form.text(ids.REASON):
        missing[ids.REASON] = "Please give a reason; everybody in the channel sees it."
    return missing


async def confirm(ctx: CommandContext, form: Form) -> None:
    """Make the plan afresh: only the very plan that was seen is started."""
    value = unpacked(form.metadata)
    request = Request(str(value.get("release", "")), drain=bool(value.get("drain")), seen=str(value.get("seen", "")))
    prepared = await _prepare(ctx, request)
    if prepared.plan.fingerprint != request.seen:
        await answer(ctx, lists.sentence(CHANGED))
        return
    started = await ctx.office.desk.roll_back(
        release=request.release,
        plan=prepared.plan,
        checklist=prepared.checklist,
        by=ctx.person,
        reason=form.text(ids.REASON),
        typed=form.text(ids.TYPED),
        channel=ctx.channel,
        source=ctx.origin,
    )
    await answer(ctx, lists.sentence(f"{started.id} rolls {request.release} back to {prepared.plan.version}."))


async def _prepare(ctx: CommandContext, request: Request) -> PreparedPlan:
    return await ctx.office.roll_back(release=request.release, drain=request.drain)


async def _meant(ctx: CommandContext, words: tuple[str, ...], option: str) -> ReleaseView:
    """Find the release: by its id, by the thread, as the one that is open, or as the last that ended."""
    desk = ctx.office.desk
    if words and is_release(words[0]):
        no_more(words[1:], USAGE)
        found: ReleaseView = await desk.release(words[0].upper())
        return found
    environment, rest = environment_first(ctx, words, option)
    no_more(rest, USAGE)
    active = [one for one in await desk.active() if one.environment == environment]
    for one in [*(one for one in active if ctx.thread and one.thread == ctx.thread), *active]:
        if one.phase is not Phase.BEFORE:  # what has not changed anything live has nothing to go back from
            return _checked(one)
    for one in await desk.history(environment, limit=_LOOKED_AT):
        if one.phase is not Phase.BEFORE or one.state in FINISHED:
            return _checked(one)
    raise WrongUse(f"Nothing was released to {environment} yet; nothing was done.", hint="/release history")


def _checked(release: ReleaseView) -> ReleaseView:
    if release.state == "running":
        raise Conflict(
            f"{release.id} is running; nothing was rolled back.", hint="/release pause or abort it first, then again"
        )
    return release


COMMAND = Command(
    name="rollback",
    summary="Deploy the last commit that was proved live before",
    place=36,
    handler=roll_back,
    usage=USAGE.removeprefix("rollback "),
    example="/release rollback",
    role="releaser",
    views={ids.ROLL_BACK_FORM: confirm},
    checks={ids.ROLL_BACK_FORM: incomplete},
)
