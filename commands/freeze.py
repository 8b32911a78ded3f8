"""`/release freeze`: no release starts in a window; one that runs goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain import when
from bot.domain.errors import WrongUse
from bot.slack.router import Command, CommandContext
from bot.views import freezes as views
from commands.common import answer, environment_first

if TYPE_CHECKING:
    from datetime import datetime

USAGE = "freeze [ENVIRONMENT] [from WHEN] until WHEN because REASON"
LONGEST = 500
_WORDS = ("from", "until", "because")


async def freeze(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Let no release start until a time, or from one time until another; without words, list what is set.

    Times are `14:00`, `tomorrow 9:00`, `fri 18:00`, `2026-12-24 18:00`, `in 2h`, on the clocks of the settings' time zone.
    """
    environment, words = environment_first(ctx, args)
    book = ctx.office.freezes
    if not words:
        await answer(ctx, views.listed(environment, await book.current(environment), book.weekly(environment)))
        return
    starts, ends, reason = span(ctx, words, USAGE)
    made = await book.set(environment, starts=starts, ends=ends, reason=reason, by=ctx.person, source=ctx.origin)
    await answer(ctx, views.told(made), everybody=True)


def span(ctx: CommandContext, words: tuple[str, ...], usage: str) -> tuple[datetime, datetime, str]:
    """Read ``[from WHEN] until WHEN because REASON``; raises `WrongUse` where a part is missing or makes no sense."""
    parts = _parts(words)
    if not parts.get("until") or not parts.get("because") or parts.get(""):
        raise WrongUse(
            "That takes an end and a reason; nothing was done.", hint=f"/release {usage}; times are {when.EXAMPLES}"
        )
    if len(parts["because"]) > LONGEST:
        raise WrongUse(
            f"The reason has {len(parts['because'])} characters; nothing was done.", hint=f"{LONGEST} at most"
        )
    now, zone = ctx.office.clock.now(), ctx.office.freezes.zone
    starts = when.parse(parts["from"], now=now, zone=zone) if parts.get("from") else now
    ends = when.parse(parts["until"], now=now, zone=zone)
    if ends <= starts:
        raise WrongUse("It would end before it begins; nothing was done.", hint=f"/release {usage}")
    return starts, ends, parts["because"]


def _parts(words: tuple[str, ...]) -> dict[str, str]:
    """Sort words under the last of from, until and because before them; all that follows because is the reason."""
    found: dict[str, list[str]] = {}
    current = ""
    for word in words:
        if word.lower() in _WORDS and current != "because" and word.lower() not in found:
            current = word.lower()
            found[current] = []
        else:
            found.setdefault(current, []).append(word)
    return {name: " ".join(said) for name, said in found.items()}


COMMAND = Command(
    name="freeze",
    summary="Let no release start for a while, or see what is frozen",
    place=42,
    handler=freeze,
    usage=USAGE.removeprefix("freeze "),
    example="/release freeze until fri 18:00 because The conference is on",
    role="releaser",
)
