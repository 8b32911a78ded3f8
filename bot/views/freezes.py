"""Freezes: what is set, by whom, until when. Times in the reader's zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.views import kit
from bot.views.text import code, escape, listing, mention, when

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.freeze import Freeze, Weekly


def listed(environment: str, given: Sequence[Freeze], weekly: Sequence[Weekly]) -> kit.Message:
    """List what is frozen, and what is excepted."""
    rows = [_row(one) for one in given]
    rows += [
        f"• every week: {listing(one.days)} {one.begins:%H:%M} to {one.ends:%H:%M} ({escape(str(one.zone), 40)}): {escape(one.reason, 200)}"
        for one in weekly
    ]
    if not rows:
        text = f"{escape(environment)} is not frozen: releases may start."
        how = f"To freeze it: {code('/release freeze until fri 18:00 because …')}"
        return kit.message(text, [kit.section(f"*{text}*\n{how}")])
    text = f"Freezes of {escape(environment)}"
    how = f"An admin lifts one: {code('/release thaw F1 because …')}. A release that runs goes on in a freeze."
    return kit.message(text, [kit.section(f"*{text}*"), *kit.lines(rows, room=6000), kit.context(how)])


def told(one: Freeze) -> kit.Message:
    """Tell everybody that releases may not start for a while, or may in spite of the weekly windows."""
    what = "Releases may start, in spite of the weekly freeze" if one.thaw else "No release starts"
    begin = f"from {when(one.starts)} " if one.starts != one.ends else ""
    text = f"{escape(one.environment)}: {what.lower() if one.thaw else 'frozen'} until {one.ends:%Y-%m-%d %H:%M} UTC"
    said = f"*{escape(one.environment)}: {what} {begin}until {when(one.ends)}*\n{escape(one.reason, 500)}"
    return kit.message(text, [kit.section(said), kit.context(f"{code(f'F{one.id}')} · by {mention(one.by)}")])


def lifted(one: Freeze, *, by: str, reason: str) -> kit.Message:
    """Tell everybody that a freeze is over before its time."""
    what = "the exception to the weekly freeze" if one.thaw else "the freeze"
    text = f"{escape(one.environment)}: {what} {code(f'F{one.id}')} is lifted by {mention(by)}"
    return kit.message(text, [kit.section(f"*{text}*\n{escape(reason, 500)}")])


def _row(one: Freeze) -> str:
    what = "thawed" if one.thaw else "frozen"
    return f"• {code(f'F{one.id}')} {what} {when(one.starts)} to {when(one.ends)}, by {mention(one.by)}: {escape(one.reason, 200)}"
