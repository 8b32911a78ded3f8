"""`/release delegate`: let somebody approve in your stead for a while."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from bot.domain.approval import seconds
from bot.domain.errors import WrongUse
from bot.domain.readmodel import Person
from bot.slack.router import Command, CommandContext
from bot.views import lists
from bot.views.text import escape, mention, when
from commands.common import answer, no_more

USAGE = "delegate @PERSON [until 4h|YYYY-MM-DD] [REASON]"
USUAL = timedelta(days=1)
LONGEST = 300
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>|@?([A-Za-z][\w.-]*)")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


async def delegate(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Let somebody stand in for you as approver, for a day unless said otherwise: `until 4h`, `until 2d`, `until 2026-08-05`.

    They never approve a release of their own, nor of yours. `delegate off` takes it back, also from one person alone.
    """
    if args and args[0].lower() == "off":
        await _off(ctx, args[1:])
        return
    if not args:
        raise WrongUse("Whom should stand in for you? Nothing was done.", hint=f"/release {USAGE}")
    to = _person(ctx, args[0])
    now = datetime.now(UTC)
    until, rest = _until(args[1:], now)
    reason = " ".join(rest)
    if len(reason) > LONGEST:
        raise WrongUse(f"The reason has {len(reason)} characters; nothing was done.", hint=f"at most {LONGEST}")
    made = await ctx.office.desk.delegate(of=ctx.person, to=to, until=until, reason=reason, source=ctx.origin)
    why = f" Reason: {escape(made.reason, LONGEST)}" if made.reason else ""
    text = f"{mention(made.to)} may approve in {mention(made.of)}’s stead until {when(made.until)}.{why}"
    await answer(ctx, lists.sentence(text), everybody=True)


async def _off(ctx: CommandContext, words: tuple[str, ...]) -> None:
    to = _person(ctx, words[0]).slack if words else ""
    no_more(words[1:], USAGE)
    ended = await ctx.office.desk.end_delegation(of=ctx.person, to=to)
    text = "Nobody stands in for you any more." if ended else "Nobody stood in for you; nothing was changed."
    await answer(ctx, lists.sentence(text))


def _person(ctx: CommandContext, word: str) -> Person:
    """Find who is meant: by mention, or by their name in the settings."""
    found = _MENTION.fullmatch(word)
    slack, name = found.groups("") if found else ("", "")
    for one in ctx.office.settings.people:
        if slack == one.slack or (name and one.name.casefold() == name.casefold()):
            return Person(one.slack, one.name, frozenset(one.roles), one.github)
    raise WrongUse(
        f"I do not know {word[:40]!r}; nothing was done.",
        hint="mention somebody who is listed under people in the settings",
    )


def _until(words: tuple[str, ...], now: datetime) -> tuple[datetime, tuple[str, ...]]:
    if not words or words[0].lower() != "until":
        return now + USUAL, words
    said = words[1] if len(words) > 1 else ""
    try:
        if _DAY.fullmatch(said):
            return datetime.fromisoformat(said).replace(tzinfo=now.tzinfo) + timedelta(days=1), words[2:]
        return now + timedelta(seconds=seconds(said)), words[2:]
    except ValueError as error:
        raise WrongUse(
            f"{said[:20]!r} is no time; nothing was done.", hint="until 4h, until 2d, until 2026-08-05"
        ) from error


COMMAND = Command(
    name="delegate",
    summary="Let somebody approve in your stead for a while",
    place=62,
    handler=delegate,
    usage=USAGE.removeprefix("delegate "),
    example="/release delegate @grace until 2d on holiday",
    role="approver",
)
