"""Looking at the world again and again until it is as wanted, or the time is up."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.engine.step import StepContext

Seen = TypeVar("Seen")


async def until(
    ctx: StepContext,
    look: Callable[[], Awaitable[Seen]],
    *,
    enough: Callable[[Seen], bool],
    limit: float,
    say: Callable[[Seen], str],
) -> Seen:
    """Look every ``poll`` seconds until ``enough`` or until ``limit`` seconds have passed; return what was seen last.

    What ``say`` makes of each look is reported as progress when it changes. Errors of ``look`` go through.
    """
    deadline = ctx.ports.clock.monotonic() + limit
    told = ""
    while True:
        seen = await look()
        if enough(seen) or ctx.ports.clock.monotonic() >= deadline:
            return seen
        if (sentence := say(seen)) != told:
            await ctx.report(sentence, {})
            told = sentence
        await ctx.ports.clock.sleep(seconds=ctx.environment.poll)
