"""Retry, skip, abort, pause, resume: the same whether pressed or typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import Conflict, WrongUse
from bot.domain.release import DecisionKind
from bot.views import forms, ids
from commands import rollback
from commands.common import number, tell, the_release, unpacked

if TYPE_CHECKING:
    from bot.domain.readmodel import ReleaseView, StepView
    from bot.slack.router import Click, CommandContext, Form

AT_ONCE = {ids.RETRY: DecisionKind.RETRY, ids.PAUSE: DecisionKind.PAUSE, ids.RESUME: DecisionKind.RESUME}


async def typed(ctx: CommandContext, args: tuple[str, ...], kind: DecisionKind) -> None:
    """Carry out a control that was typed: ``[RELEASE] [REASON …]``. What needs a reason opens its form when none is given."""
    release, words = await the_release(ctx, args)
    reason = " ".join(words)
    if not reason and kind in {DecisionKind.SKIP, DecisionKind.ABORT}:
        await _ask_reason(ctx, release, kind)
        return
    await _decide(ctx, release, kind, reason=reason)


async def press(ctx: CommandContext, click: Click) -> None:
    """Carry out a control that was pressed; one on a state that is over is told so."""
    value = unpacked(click.value)
    release: ReleaseView = await ctx.office.desk.release(str(value.get("release", "")))
    if click.action_id in AT_ONCE:
        if click.action_id == ids.RETRY:
            _same(release, value)
        await _decide(ctx, release, AT_ONCE[click.action_id])
        return
    if click.action_id == ids.ROLL_BACK:
        await rollback.open_preview(ctx, rollback.Request(release.id))
        return
    kind = {ids.SKIP: DecisionKind.SKIP, ids.ABORT: DecisionKind.ABORT}.get(click.action_id)
    if kind is None:
        raise WrongUse("That button is from another version of me; nothing was done.", hint="/release status")
    if kind is DecisionKind.SKIP:
        _same(release, value)
    await _ask_reason(ctx, release, kind)


async def submit_skip(ctx: CommandContext, form: Form) -> None:
    """Skip the step that the form named, with its reason."""
    value = unpacked(form.metadata)
    release: ReleaseView = await ctx.office.desk.release(str(value.get("release", "")))
    _same(release, value)
    await _decide(ctx, release, DecisionKind.SKIP, reason=form.text(ids.REASON))


async def submit_abort(ctx: CommandContext, form: Form) -> None:
    """Abort the release that the form named, with its reason."""
    release: ReleaseView = await ctx.office.desk.release(str(unpacked(form.metadata).get("release", "")))
    await _decide(ctx, release, DecisionKind.ABORT, reason=form.text(ids.REASON))


async def _decide(ctx: CommandContext, release: ReleaseView, kind: DecisionKind, *, reason: str = "") -> None:
    decided = await ctx.office.desk.control(
        release=release.id, kind=kind, by=ctx.person, reason=reason, source=ctx.origin
    )
    await tell(ctx, decided)


async def _ask_reason(ctx: CommandContext, release: ReleaseView, kind: DecisionKind) -> None:
    if kind is DecisionKind.SKIP:
        await ctx.open_modal(forms.skip_form(release, _current(release)))
    else:
        await ctx.open_modal(forms.abort_form(release))


def _current(release: ReleaseView) -> StepView:
    if release.current is None:
        raise Conflict(f"{release.id} has no step left to skip; nothing was done.", hint="/release status")
    return release.current


def _same(release: ReleaseView, value: dict[str, object]) -> None:
    """Refuse a click that meant another step, or an attempt that is over."""
    current = release.current
    if current is None or current.key != value.get("step") or current.attempt != number(value.get("attempt")):
        raise Conflict(
            f"{release.id} has gone on since that button was drawn; nothing was done.", hint="/release status"
        )
