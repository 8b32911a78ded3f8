"""What several commands share: which environment, which release, and how answers are said."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from bot.domain.errors import Conflict, WrongUse
from bot.domain.words import storable
from bot.views import lists

if TYPE_CHECKING:
    from bot.domain.readmodel import Decided, ReleaseView
    from bot.slack.router import CommandContext
    from bot.views.kit import Message

_RELEASE = re.compile(r"R\d+", re.IGNORECASE)


async def answer(ctx: CommandContext, message: Message, *, everybody: bool = False) -> None:
    """Reply with a view: to this person alone, or to everybody there."""
    await ctx.reply(message.text, message.blocks, ephemeral=not everybody)


async def tell(ctx: CommandContext, decided: Decided) -> None:
    """Say what became of a decision; the dashboard shows the effect to everybody."""
    await answer(ctx, lists.decided(decided))


def environment_first(ctx: CommandContext, words: tuple[str, ...], option: str = "") -> tuple[str, tuple[str, ...]]:
    """Take the environment from ``--env``, from the first word where it names one, or from the settings."""
    settings = ctx.office.settings
    if not option and words and words[0] in settings.environments:
        return words[0], words[1:]
    name, _ = settings.environment(option)
    return name, words


def no_more(words: tuple[str, ...], usage: str) -> None:
    """Refuse words that nothing was expected of."""
    if words:
        raise WrongUse(
            f"I do not understand {' '.join(words)[:60]!r} there; nothing was done.", hint=f"/release {usage}"
        )


def is_release(word: str) -> bool:
    """Tell whether a word is a release's id, such as R7."""
    return bool(_RELEASE.fullmatch(word))


async def the_release(ctx: CommandContext, words: tuple[str, ...]) -> tuple[ReleaseView, tuple[str, ...]]:
    """Find the release that is meant: by its id, by the thread, or as the one that runs; and the words that are left.

    Raises `Conflict` when nothing runs, `WrongUse` for an id that is not known, or where it may be one of two.
    """
    desk = ctx.office.desk
    if words and _RELEASE.fullmatch(words[0]):
        return await desk.release(words[0].upper()), words[1:]
    environment, rest = environment_first(ctx, words)
    running = await desk.active()
    here = [one for one in running if ctx.thread and one.thread == ctx.thread]
    there = here or [one for one in running if one.environment == environment]
    if len(there) > 1 and not here:
        names = " and ".join(f"{one.id} ({one.plan.version})" for one in there)
        raise WrongUse(
            f"{names} are being released to {environment}; nothing was done.",
            hint="say which: by its id, or in its thread",
        )
    if not there:
        raise Conflict(f"Nothing is being released to {environment}; nothing was done.", hint="/release review")
    return there[0], rest


def person_name(ctx: CommandContext, slack: str) -> str:
    """Name a person without mentioning them."""
    return next((one.name for one in ctx.office.settings.people if one.slack == slack), slack)


def unpacked(value: str) -> dict[str, object]:
    """Read what a button or a modal of ours carries; raises `WrongUse` for anything else."""
    try:
        found = storable(json.loads(value or "{}"))
    except (RecursionError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise WrongUse("That message is from another version of me; nothing was done.", hint="/release status")
    return found


def number(value: object, otherwise: int = 0) -> int:
    """Read a number out of a button's value."""
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise
