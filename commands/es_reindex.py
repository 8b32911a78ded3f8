"""`/release es reindex | update`: datasets indexed anew by a job on the web server, into the inactive or the live pair."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from bot.domain.errors import ReleaseError, WrongUse
from bot.domain.index_report import Choice, Selection, names_of
from bot.domain.reindexing import Target
from bot.slack.router import CommandContext, options
from bot.views import es as views
from commands.common import answer, environment_first, no_more

if TYPE_CHECKING:
    from bot.slack.router import Options

CHOICES = "[--all | --since YYYY-MM-DD | --changed | --failed | --ids ID,ID]"


async def reindex(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Fill the inactive pair."""
    await _start(ctx, args, Target.INACTIVE)


async def update(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Renew the live pair."""
    await _start(ctx, args, Target.LIVE)


async def _start(ctx: CommandContext, args: tuple[str, ...], target: Target) -> None:
    """Start the job and say so; this request stays open until its first dataset is proved, also over a restart."""
    word = "update" if target is Target.LIVE else "reindex"
    usage = f"es {word} [ENVIRONMENT] {CHOICES} [--workers N]"
    given = options(args, switches=("all", "changed", "failed"), values=("env", "since", "workers"), phrases=("ids",))
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    no_more(words, usage)
    wanted = _selection(given, usage)
    office = ctx.office.indices
    started = await office.index(environment, target, wanted, by=ctx.person, source=ctx.origin)
    key, live = f"es-{ctx.source}", target is Target.LIVE
    await ctx.post(key, *views.started(environment, started, ctx.person.slack, live=live))
    if live:
        return
    try:
        proved = await office.prove(environment, started)
    except ReleaseError as error:
        await answer(ctx, views.unproved(started, error), everybody=True)
        return
    await ctx.post(key, *views.started(environment, started, ctx.person.slack, live=live, proved=proved))


def _selection(given: Options, usage: str) -> Selection:
    chosen = [one for one in Choice if one in given.switches or one in given.values]
    if len(chosen) > 1:
        both = " and ".join(f"--{one}" for one in chosen)
        raise WrongUse(f"{both} do not go together; nothing was started.", hint=f"/release {usage}")
    workers = given.values.get("workers", "0")
    if not workers.isdecimal() or not workers.isascii() or len(workers) > 3:  # noqa: PLR2004  # digits
        raise WrongUse(f"{workers[:20]!r} is no number of workers; nothing was started.", hint=f"/release {usage}")
    choice = chosen[0] if chosen else Choice.ALL
    return Selection(choice, _since(given, usage), names_of((given.values.get("ids", ""),), "dataset"), int(workers))


def _since(given: Options, usage: str) -> date | None:
    text = given.values.get("since", "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise WrongUse(
            f"{text[:40]!r} is no date such as 2026-01-31; nothing was started.", hint=f"/release {usage}"
        ) from error
