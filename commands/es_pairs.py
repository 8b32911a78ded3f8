"""`/release es create | repair | swap | swap-back | drop`: what a person asks for, and another one confirms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.errors import ReleaseError
from bot.domain.index_report import Deed, demand_named, demand_second, read
from bot.slack.router import Click, CommandContext, Form, options
from bot.views import es as views
from bot.views import es_forms as forms
from bot.views import ids, lists
from bot.views.text import escape, mention
from commands.common import answer, environment_first, is_release, no_more, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.index_report import Wish

_NAMES, _KINDS = ("except", "without"), ("dataset", "field")
_KEY = 100  # characters


async def create(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Make the inactive pair."""
    given = options(args, values=("env", "release"))
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    release = given.values.get("release", "").upper()
    no_more(words if not release or is_release(release) else (release,), "es create [ENVIRONMENT] [--release R7]")
    pair = await ctx.office.indices.create(environment, release=release, by=ctx.person, source=ctx.origin)
    await answer(ctx, views.created(environment, pair, ctx.person.slack), everybody=True)


async def swap(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Show what a swap rests on."""
    await _ask(ctx, Deed.SWAP, args)


async def swap_back(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Show what going back rests on."""
    await _ask(ctx, Deed.SWAP_BACK, args)


async def drop(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Show what would go."""
    await _ask(ctx, Deed.DROP, args)


async def repair(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Offer each side that both aliases could point at."""
    environment, words = environment_first(ctx, args)
    no_more(words, "es repair [ENVIRONMENT]")
    wish, standing, _ = await ctx.office.indices.wish(Deed.REPAIR, environment, by=ctx.person)
    wishes = [
        replace(wish, side=one.side, names=one.pair.names, uuids=one.uuids) for one in standing.candidates if one.fit
    ]
    key = f"es-{ctx.source}"
    await ctx.post(key, *forms.repair(standing, wishes, key))


async def _ask(ctx: CommandContext, deed: Deed, args: tuple[str, ...]) -> None:
    """Look at everything, which may take minutes; the message becomes the result, with the button for a second person."""
    given = options(args, values=("env",) if deed is Deed.DROP else ("env", *_NAMES))
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    no_more(words, f"es {deed} [ENVIRONMENT]")
    excused, ignored = (demand_named(given.values.get(one, ""), kind) for one, kind in zip(_NAMES, _KINDS, strict=True))
    key, title = f"es-{ctx.source}", f"What a {deed} on {environment} rests on"

    async def tell(text: str) -> None:
        await ctx.post(key, *views.progress(title, text))

    await tell("looking at both pairs")
    try:
        wish, standing, found = await ctx.office.indices.wish(
            deed, environment, by=ctx.person, exceptions=excused, ignored=ignored, tell=tell
        )
    except ReleaseError as error:
        await ctx.post(key, *lists.error(error))
        return
    await ctx.post(key, *forms.request(wish, standing, found, key))


async def press(ctx: CommandContext, click: Click) -> None:
    """Open the form in which the side, or the index, is typed; who asked is told at once that another one confirms."""
    values = unpacked(click.value)
    wish = _wish(values)
    demand_second(wish, ctx.person, now=ctx.office.clock.now())
    await ctx.open_modal(forms.typed_form(wish, _key(ctx, values)))


def mistyped(form: Form) -> Mapping[str, str]:
    """Keep the form open until it is typed exactly."""
    due = forms.wanted(_wish(unpacked(form.metadata)))
    return {} if form.text(ids.TYPED) == due else {ids.TYPED: f"Please type {due}."}


async def confirm(ctx: CommandContext, form: Form) -> None:
    """Do it, and leave what became of it in the place of the request."""
    values = unpacked(form.metadata)
    wish, key = _wish(values), _key(ctx, values)
    title = f"{wish.deed.capitalize()} on {wish.environment}, confirmed by {ctx.person.name}"

    async def tell(text: str) -> None:
        await ctx.post(key, *views.progress(title, text))

    demand_second(wish, ctx.person, now=ctx.office.clock.now())
    await tell("looking at everything again")
    try:
        done = await ctx.office.indices.carry_out(wish, by=ctx.person, source=ctx.origin, tell=tell)
    except ReleaseError as error:
        await ctx.post(key, *forms.closed(wish, f"not done: {escape(error.message, 900)}"))
        raise
    asked = (
        ""
        if wish.deed is Deed.REPAIR
        else f" Asked by {mention(wish.asked_by)}, confirmed by {mention(ctx.person.slack)}."
    )
    by = f" Done by {mention(ctx.person.slack)}." if wish.deed is Deed.REPAIR else asked
    await ctx.post(key, *forms.closed(wish, f"{escape(done, 300)}{by}"))


def _wish(values: Mapping[str, object]) -> Wish:
    inner = values.get("wish")
    return read(inner if isinstance(inner, dict) else {})


def _key(ctx: CommandContext, values: Mapping[str, object]) -> str:
    """Return the key of the request's message; a message of anything else is left alone."""
    key = str(values.get("key", ""))
    return key if key.startswith("es-") and len(key) <= _KEY else f"es-{ctx.source}"
