"""`/release plan`: change the plan of one release, before it is started or while it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.domain.editing import EDITORS, demand_seen, editable
from bot.domain.edits import Assign, Edit, Insert, LeaveOut, Move, Note, left_out
from bot.domain.errors import Conflict, NotAllowed, ReleaseError, WrongUse
from bot.domain.release import FINISHED, StepState
from bot.slack.router import Click, Command, CommandContext, Form
from bot.views import edits, ids, lists
from bot.views import plan as plan_view
from bot.views.text import own
from commands import start
from commands.common import answer, no_more, number, person_name, the_release, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.plan import Plan, PlannedStep
    from bot.domain.readmodel import ReleaseView

USAGE = "plan [export] [RELEASE]"
_FEW = 2  # words of a reason


async def change(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Put in a step by hand, leave one out, move one, write a note, give one to somebody: of steps that have not begun.

    Before a release is started, the same is behind *Edit plan …* in what `/release start` shows. With `export` the plan becomes
    an issue on GitHub, with a box for each step that follows the release.
    """
    export = bool(args) and args[0].lower() == edits.EXPORT
    release, words = await the_release(ctx, args[1:] if export else args)
    no_more(words, USAGE)
    if export:
        await _export(ctx, release.id)
    else:
        await _choose(ctx, {"release": release.id})


async def press(ctx: CommandContext, click: Click) -> None:
    """Open the form, from a dashboard or from the plan that is not started yet."""
    value = unpacked(click.value)
    request = value.get("start")
    if isinstance(request, dict) and click.view:
        value = {"start": {**request, **_typed(click)}}
    await _choose(ctx, _target(value))


async def chosen(ctx: CommandContext, form: Form) -> None:
    """Open the second form, for the kind of change that was chosen."""
    value = unpacked(form.metadata)
    target, seen = _target(value), number(value.get("seen"))
    kind = form.text(ids.WHAT) or "insert"
    if kind == edits.EXPORT and "release" in target:
        await _export(ctx, target["release"])
        return
    if kind not in ids.EDITS:
        raise WrongUse("That is none of the changes there are; nothing was changed.", hint="/release plan")
    plan, free = await _looked(ctx, target)
    demand_seen(plan, seen)
    step = next((one for one in free if one.key == form.text(ids.STEP)), free[0])
    await _show(ctx, edits.edit_form(kind, plan, free, step, {**target, "step": step.key, "seen": seen}))


async def submit(ctx: CommandContext, form: Form) -> None:
    """Make the change, and say so: in the release's thread, or by showing the plan that is not started as it is now."""
    value = unpacked(form.metadata)
    target, seen = _target(value), number(value.get("seen"))
    edit = _edit(ctx, form, str(value.get("step", "")))
    if "release" in target:
        done = await ctx.office.plans.edit(target["release"], edit, by=ctx.person, seen=seen, source=ctx.origin)
        await answer(ctx, edits.told(done.said, ctx.person.slack, seen + 1))
        return
    await _draft(ctx, start.Request.read(target["start"]), edit, seen)


async def _draft(ctx: CommandContext, request: start.Request, edit: Edit, seen: int) -> None:
    """Note the change of a plan that is not started, and show that plan as it is now."""
    if not request.key:
        await ctx.open_modal(edits.loading_form())
    try:
        prepared = await start.prepare(ctx, request)
        draft, plan = await ctx.office.plans.draft(
            prepared.plan, edit, draft=request.draft, by=ctx.person, seen=seen, source=ctx.origin
        )
    except ReleaseError as error:
        await ctx.update_modal(plan_view.refused_modal(error.message, error.hint))
        raise
    await answer(ctx, edits.told(plan.edits[-1].said, ctx.person.slack, plan.revision))
    await start.show_again(ctx, replace(request, draft=draft, seen=""))


def incomplete(form: Form) -> Mapping[str, str]:
    """Keep a form open that lacks what its change needs."""
    match form.callback.removeprefix(ids.PLAN_FORM):
        case "insert":
            return {} if form.text(ids.TITLE) else {ids.TITLE: "Please say what is to be done."}
        case "skip":
            few = len(form.text(ids.REASON).split()) < _FEW
            return {ids.REASON: "Please give a reason of a few words."} if few else {}
        case "note":
            return {} if form.text(ids.NOTE) else {ids.NOTE: "Please write something."}
        case "assign":
            return {} if form.text(ids.PERSON) else {ids.PERSON: "Please choose a person."}
        case _:
            return {}


async def _export(ctx: CommandContext, release: str) -> None:
    if not ctx.person.roles & EDITORS:
        raise NotAllowed(
            "To export a plan needs the role releaser or approver; nothing was done.", hint="/release whoami"
        )
    said = await ctx.office.exports.ask(release, by=ctx.person, source=ctx.origin)
    await answer(ctx, lists.sentence(own(said)))


async def _choose(ctx: CommandContext, target: dict[str, Any]) -> None:
    """Show the first form; the plan of a release that is not started is made afresh for it."""
    plan, free = await _looked(ctx, target)
    shown = {**target, "seen": plan.revision}
    await _show(ctx, edits.choose_form(plan, free, shown, export="release" in target))


async def _looked(ctx: CommandContext, target: Mapping[str, Any]) -> tuple[Plan, tuple[PlannedStep, ...]]:
    """Read the plan as it is now, with the steps that may still be changed; raises `Conflict` where there are none."""
    if "release" in target:
        plan, begun = await _open(ctx, target["release"])
    else:
        plan, begun = await _planned(ctx, target), frozenset()
    free = editable(plan, begun)
    if not free:
        raise Conflict("Every step of this plan has begun; nothing was changed.", hint="/release status")
    return plan, free


async def _open(ctx: CommandContext, name: str) -> tuple[Plan, frozenset[str]]:
    release: ReleaseView = await ctx.office.desk.release(name)
    if release.state in FINISHED:
        raise Conflict(f"{release.id} is {release.state}; its plan is not changed any more.", hint="/release history")
    waiting = {StepState.PENDING, StepState.SKIPPED}
    plan = release.plan
    begun = {one.key for one in release.steps if one.state not in waiting}
    skipped = {one.key for one in release.steps if one.state is StepState.SKIPPED and not left_out(plan.step(one.key))}
    return plan, frozenset(begun | skipped)


async def _planned(ctx: CommandContext, target: Mapping[str, Any]) -> Plan:
    """Make the plan that is not started once more; that takes a while, and Slack's trigger lives three seconds."""
    await _show(ctx, edits.loading_form())
    try:
        return (await start.prepare(ctx, start.Request.read(target["start"]))).plan
    except ReleaseError as error:
        await ctx.update_modal(plan_view.refused_modal(error.message, error.hint))
        raise


async def _show(ctx: CommandContext, view: Mapping[str, Any]) -> None:
    if ctx.view:
        await ctx.update_modal(view)
    else:
        await ctx.open_modal(view)


def _edit(ctx: CommandContext, form: Form, key: str) -> Edit:
    before, person = form.text(ids.BEFORE), form.text(ids.PERSON)
    before = "" if before == edits.END else before
    name = person_name(ctx, person) if person else ""
    match form.callback.removeprefix(ids.PLAN_FORM):
        case "insert":
            where = before if form.text(ids.BEFORE) else key
            text, evidence = form.text(ids.TEXT), form.text(ids.EVIDENCE)
            return Insert(form.text(ids.TITLE), where, text, person, name, evidence)
        case "skip":
            return LeaveOut(key, form.text(ids.REASON))
        case "move":
            return Move(key, before)
        case "note":
            return Note(key, form.text(ids.NOTE))
        case _:
            return Assign(key, person, name)


def _target(value: Mapping[str, object]) -> dict[str, Any]:
    """Return which plan is meant: of a release by its id, or one that is not started by what was asked for."""
    if isinstance(value.get("start"), dict):
        return {"start": value["start"]}
    return {"release": str(value.get("release", ""))}


def _typed(click: Click) -> dict[str, str]:
    """Return what stands in the fields of the plan's form already, so that it is not lost."""
    fields = {"version": ids.VERSION, "because": ids.REASON}
    found = {name: click.state.get(block, {}).get("value", {}).get("value") for name, block in fields.items()}
    return {name: one.strip() for name, one in found.items() if isinstance(one, str) and one.strip()}


COMMAND = Command(
    name="plan",
    summary="Change the plan of this one release",
    place=23,
    handler=change,
    usage=USAGE.removeprefix("plan").strip(),
    example="/release plan",
    role="releaser",
    roles={"plan": "viewer", ids.PLAN_CHOOSE: "viewer", **{f"{ids.PLAN_FORM}{kind}": "viewer" for kind in ids.EDITS}},
    buttons={"plan": press},
    views={ids.PLAN_CHOOSE: chosen, **{f"{ids.PLAN_FORM}{kind}": submit for kind in ids.EDITS}},
    checks={f"{ids.PLAN_FORM}{kind}": incomplete for kind in ids.EDITS},
)
