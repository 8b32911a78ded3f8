"""`/release es`: the search indices: both pairs, how they compare, and all that is done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import NotAllowed, ReleaseError, WrongUse
from bot.domain.index_report import demand_named
from bot.slack.router import Command, CommandContext, may, options
from bot.views import es as views
from bot.views import ids, lists
from commands import es_pairs, es_reindex
from commands.common import answer, environment_first, no_more

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Part = Callable[[CommandContext, tuple[str, ...]], Awaitable[None]]

USAGE = "es [status | compare | create | repair | swap | swap-back | drop | reindex | update] [ENVIRONMENT]"


async def es(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Show both pairs of search indices, or work with them. `status` and `compare` change nothing.

    `create [--release R7]` makes the inactive pair as the code deployed makes it. `reindex` fills it and `update` renews the
    live one, as a job in tmux: `--all`, `--since 2026-01-31`, `--changed`, `--failed` or `--ids ID,ID`, and `--workers 4`.
    `swap` and `swap-back` show all that must hold; a second person confirms by typing the side. `--except ID,ID` excuses
    datasets, `--without FIELD,FIELD` leaves fields out of the comparison. `repair` offers what broken aliases can point at.
    `drop` deletes the inactive pair, once a second person has typed its name.
    """
    name, rest = (args[0].lower(), args[1:]) if args else ("status", ())
    if args and args[0] in ctx.office.settings.environments:
        name, rest = "status", args
    role, part = PARTS.get(name, ("", None))
    if part is None:
        raise WrongUse(f"I do not know `es {name[:40]}`; nothing was done.", hint=f"/release {USAGE}")
    if not may(ctx.person, role):
        raise NotAllowed(f"`/release es {name}` needs the role {role}; nothing was done.", hint="/release whoami")
    await part(ctx, rest)


async def _status(ctx: CommandContext, args: tuple[str, ...]) -> None:
    environment, words = environment_first(ctx, args)
    no_more(words, "es status [ENVIRONMENT]")
    await answer(ctx, views.status(await ctx.office.indices.status(environment)))


async def _compare(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Say at once that it has begun; the message becomes the result, and long lists a file in its place."""
    given = options(args, values=("env", "without"))
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    no_more(words, "es compare [ENVIRONMENT] [--without FIELD,FIELD]")
    ignored = demand_named(given.values.get("without", ""), "field")
    key, title = f"es-{ctx.source}", f"Comparing the search indices of {environment}"

    async def tell(text: str) -> None:
        await ctx.post(key, *views.progress(title, text))

    await tell("looking at both pairs")
    try:
        found = await ctx.office.indices.compare(environment, ignored=ignored, tell=tell)
    except ReleaseError as error:
        await ctx.post(key, *lists.error(error))
        return
    await ctx.post(key, *views.comparison(found))
    if text := views.listed(found.found):
        await ctx.upload(f"comparison-{environment}.txt", text, title=f"Every dataset that differs on {environment}")


PARTS: dict[str, tuple[str, Part]] = {
    "status": ("viewer", _status),
    "compare": ("viewer", _compare),
    "create": ("releaser", es_pairs.create),
    "repair": ("approver", es_pairs.repair),
    "swap": ("approver", es_pairs.swap),
    "swap-back": ("approver", es_pairs.swap_back),
    "drop": ("approver", es_pairs.drop),
    "reindex": ("releaser", es_reindex.reindex),
    "update": ("releaser", es_reindex.update),
}

COMMAND = Command(
    name="es",
    summary="The search indices: look, compare, fill, swap, repair, drop",
    place=37,
    handler=es,
    usage=USAGE.removeprefix("es "),
    example="/release es status",
    role="viewer",
    buttons={"es": es_pairs.press},
    views={ids.ES_FORM: es_pairs.confirm},
    checks={ids.ES_FORM: es_pairs.mistyped},
    roles={"es": "approver", ids.ES_FORM: "approver"},
)
