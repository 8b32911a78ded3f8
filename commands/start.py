"""`/release start`: the plan with its exact commands, and then the release."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from bot.domain.errors import Held, ReleaseError, WrongUse
from bot.domain.schedule import Ticket
from bot.domain.version import Bump, Version, accept
from bot.slack.router import Click, Command, CommandContext, Form, Options, options
from bot.views import ids, lists, plan, rehearsal
from bot.views.text import shorten
from commands import admission, scheduling
from commands.common import answer, environment_first, no_more, number, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.plan import Plan
    from bot.domain.report import PreparedPlan

USAGE = "start [ENVIRONMENT] [--hotfix] [--only TAG,…] [--strategy NAME --because REASON] [--version X.Y.Z|minor|major] [--at TIME]"
SWITCHES, VALUES = ("hotfix",), ("only", "strategy", "because", "env", "version")
REASON, IN_BUTTONS = 500, 200  # characters: the value of a button holds 2,000 of JSON
CHANGED = "What would be released has changed since you saw the plan, so nothing was started. This is the plan now:"


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked to release. ``seen`` is the fingerprint of the plan that they were shown."""

    environment: str
    hotfix: bool = False
    only: tuple[str, ...] = ()
    strategy: str = ""
    because: str = ""
    version: str = ""
    seen: str = ""
    key: str = ""  # of the preview message, where it is one
    at: str = ""  # ISO: when it is to begin; empty for now
    zone: str = ""  # on whose clocks that was typed
    note: str = ""  # what was taken where the clocks are changed
    ticket: int = 0  # the scheduled start that is begun by hand
    draft: str = ""  # changes that people made to this plan (bot.engine.plans)

    @classmethod
    def read(cls, values: Mapping[str, object]) -> Request:
        """Read what a button or modal of the preview carries."""
        only = values.get("only")
        return cls(
            str(values.get("environment", "")),
            hotfix=bool(values.get("hotfix")),
            only=tuple(str(one) for one in only) if isinstance(only, list) else (),
            strategy=str(values.get("strategy", "")),
            because=str(values.get("because", "")),
            version=str(values.get("version", "")),
            seen=str(values.get("seen", "")),
            key=str(values.get("key", "")),
            at=str(values.get("at", "")),
            zone=str(values.get("zone", "")),
            note=str(values.get("note", "")),
            ticket=number(values.get("ticket")),
            draft=str(values.get("draft", "")),
        )


async def start(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Show what will happen, step by step with the commands of each host; nothing is done before you confirm.

    The commit is pinned when you confirm: what is merged later is not released. --hotfix takes the tip of release.
    --only deploys some services, and the release is recorded as partial. --version raises more than the last number.
    Another strategy than the review recommends needs a reason: --because "…", which dashboard and history show.
    --at schedules it, on your own clocks: 18:30, tomorrow 7am, fri 6:00, 2026-11-25 06:00. When the time comes everything is
    looked at again; if anything that you confirmed is no longer so, you are asked instead.
    """
    given = options(args, switches=SWITCHES, values=VALUES, phrases=("at",))
    request, words = wanted(ctx, given)
    no_more(words, USAGE)
    if typed := given.values.get("at", ""):
        request = await scheduling.timed(ctx, request, typed)
    await open_preview(ctx, request)


def wanted(ctx: CommandContext, given: Options) -> tuple[Request, tuple[str, ...]]:
    """Read what is to be released, and the words that say something else."""
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    request = Request(
        environment,
        hotfix="hotfix" in given.switches,
        only=tuple(one.strip() for one in given.values.get("only", "").split(",") if one.strip()),
        strategy=given.values.get("strategy", ""),
        because=shorten(given.values.get("because", "").strip(), IN_BUTTONS),
        version=_readable(given.values.get("version", "")),
    )
    return request, words


async def open_preview(ctx: CommandContext, request: Request) -> None:
    """Show the plan: in a modal where Slack lets us open one, else as a message with buttons."""
    await admission.demand_open(ctx, request)
    if not ctx.trigger and not ctx.view:
        await _preview_message(ctx, request)
        return
    loading = plan.loading_modal(request.environment)
    await (ctx.update_modal(loading) if ctx.view else ctx.open_modal(loading))
    if not ctx.view:
        return  # Slack's three seconds were over; the person has a button to ask again
    try:
        prepared = await prepare(ctx, request)
        await admission.demand_free(ctx, request, prepared.plan)
    except ReleaseError as error:
        await ctx.update_modal(plan.refused_modal(error.message, error.hint))
        if isinstance(error, Held):
            raise  # told below the form as well, with the button that joins the line
        return
    newest = str(prepared.newest or "")
    kept = replace(request, seen=prepared.plan.fingerprint, because="")  # the reason stands in its own field
    shown = {**asdict(kept), "newest": newest}
    rehearsed = await rehearsal_line(ctx, prepared.plan)
    at = scheduling.words(request)
    await ctx.update_modal(plan.preview_modal(prepared, shown, because=request.because, at=at, rehearsed=rehearsed))


def wrong_version(form: Form) -> Mapping[str, str]:
    """Keep the modal open while what stands in it is no version, or none that may come next."""
    newest = Version.try_parse(str(unpacked(form.metadata).get("newest", "")))
    try:
        if typed := form.text(ids.VERSION):
            accept(typed, existing=[newest] if newest else [])
    except WrongUse as error:
        return {ids.VERSION: f"{error.message} Try {error.hint}."}
    return {}


async def confirm(ctx: CommandContext, form: Form) -> None:
    """Start what the modal showed, with the version that stands in it, and the reason where it asked for one."""
    request = Request.read(unpacked(form.metadata))
    version, reason = form.text(ids.VERSION) or request.version, form.text(ids.REASON) or request.because
    await _begin(ctx, replace(request, version=version, because=shorten(reason, REASON)))


async def press(ctx: CommandContext, click: Click) -> None:
    """Answer the buttons of a preview that is a message."""
    request = Request.read(unpacked(click.value))
    match click.action_id:
        case ids.START_CONFIRM:
            await _begin(ctx, request)
        case ids.START_EDIT:
            await open_preview(ctx, request)
        case _:
            await _close(ctx, request, f"left by <@{ctx.person.slack}>; nothing was started.")


async def _begin(ctx: CommandContext, request: Request) -> None:
    """Make the plan afresh: only the very plan that was seen is started."""
    await admission.demand_open(ctx, request)
    prepared = await prepare(ctx, request)
    await admission.demand_free(ctx, request, prepared.plan)
    if prepared.plan.recommended and not request.because:
        raise _unreasoned(prepared.plan)
    if request.seen and prepared.plan.fingerprint != request.seen:
        await answer(ctx, lists.sentence(CHANGED))
        await _preview_message(ctx, replace(request, key=""))
        return
    request = replace(request, version=prepared.plan.version)
    if request.at:
        await _close(ctx, request, await scheduling.keep(ctx, request, prepared))
        return
    started = await ctx.office.desk.start(
        plan=prepared.plan,
        checklist=prepared.checklist,
        by=ctx.person.slack,
        channel=ctx.channel,
        source=ctx.origin,
        scheduled=Ticket(request.ticket) if request.ticket else None,
    )
    await _close(ctx, request, f"started by <@{ctx.person.slack}> as {started.id}.")


async def rehearsal_line(ctx: CommandContext, planned: Plan) -> str:
    """Say whether this very plan was rehearsed, with a link."""
    rehearsals = ctx.office.rehearsals
    return rehearsal.line(await rehearsals.standing(planned), required=rehearsals.required(planned.environment))


async def show_again(ctx: CommandContext, request: Request) -> None:
    """Show a plan that was changed: in its message where it stands in one, else in a modal."""
    if request.key:
        await _preview_message(ctx, request)
    else:
        await open_preview(ctx, request)


async def prepare(ctx: CommandContext, request: Request) -> PreparedPlan:
    """Make the plan, with what people changed in it.

    Where another strategy was chosen than the review recommends, with the reason for that.
    """
    prepared = await ctx.office.plan(
        environment=request.environment,
        hotfix=request.hotfix,
        only=request.only,
        strategy=request.strategy,
        version=request.version,
        draft=request.draft,
        afresh=not request.seen,
    )
    recommended = str(prepared.report.review.strategy.recommended)
    if not request.strategy or prepared.plan.strategy == recommended:
        return prepared
    return replace(prepared, plan=replace(prepared.plan, recommended=recommended, because=request.because))


def _unreasoned(chosen: Plan) -> WrongUse:
    return WrongUse(
        f"The review recommends {chosen.recommended}; {chosen.strategy} needs a reason, so nothing was started.",
        hint=f'/release start --strategy {chosen.strategy} --because "…"',
    )


async def _preview_message(ctx: CommandContext, request: Request) -> None:
    prepared = await prepare(ctx, request)
    await admission.demand_free(ctx, request, prepared.plan)
    if prepared.plan.recommended and not request.because:
        raise _unreasoned(prepared.plan)
    key = request.key or f"plan-{ctx.source}"
    shown = replace(request, key=key, version=prepared.plan.version, seen=prepared.plan.fingerprint)
    rehearsed = await rehearsal_line(ctx, prepared.plan)
    at = scheduling.words(request)
    await ctx.post(key, *plan.preview_message(prepared, asdict(shown), at=at, rehearsed=rehearsed))


async def _close(ctx: CommandContext, request: Request, what: str) -> None:
    """Take the buttons away from a preview that has been used."""
    title = f"Plan: release {request.version} to {request.environment}".replace("release  ", "release ")
    closed = plan.closed_preview(title, what)
    if request.key:
        await ctx.post(request.key, *closed)
    else:
        await answer(ctx, closed)


def _readable(version: str) -> str:
    """Refuse what is neither three numbers nor a bump, before anything is asked of anybody."""
    word = version.strip().casefold()
    return word if word in {"", *Bump} else str(Version.parse(version))


COMMAND = Command(
    name="start",
    summary="Show the plan, then release",
    place=11,
    handler=start,
    usage=USAGE.removeprefix("start "),
    example="/release start --version 1.9.10",
    role="releaser",
    buttons={"start": press},
    views={ids.PREVIEW_FORM: confirm},
    checks={ids.PREVIEW_FORM: wrong_version},
)
