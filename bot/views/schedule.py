"""Scheduled starts: what is planned for when, the reminder before it, and the question when it does not start by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bot.domain.schedule import OPEN, State
from bot.domain.when import in_words
from bot.views import ids, kit
from bot.views.question import people_in
from bot.views.text import code, escape, mention, sha, told, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from slack_sdk.models.blocks import Block, InteractiveElement

    from bot.domain.schedule import Scheduled

_SHOWN = 15


def at_words(at: datetime, zone: str, note: str = "") -> str:
    """Say a time on the reader's own clocks, and in words on those that it was typed by."""
    return f"{when(at)}: {escape(in_words(at, ZoneInfo(zone)), 120)}{f'. {escape(note)}' if note else ''}"


def messages(one: Scheduled) -> Iterator[tuple[str, kit.Message]]:
    """Return every message of a scheduled start as it stands, by its key."""
    key = f"scheduled-{one.name}"
    yield key, announcement(one)
    if one.soon:
        yield f"{key}:soon:{one.soon}", soon(one)
    if one.asked:
        yield f"{key}:asks:{one.asked}", question(one)


def announcement(one: Scheduled) -> kit.Message:
    """Tell everybody what is scheduled; later, what became of it."""
    text = f"{_title(one)}: {_standing(one)}"
    blocks: list[Block] = [kit.section(f"*{text}*")]
    if one.state in OPEN:
        rows = [at_words(one.at, one.zone)] if one.state is State.WAITING else []
        rows.append(
            f"Exactly {sha(one.plan.head)}. If anything of what was confirmed is no longer so, I ask and do not start."
        )
        blocks += [kit.section("\n".join(rows)), *_buttons(one)]
    blocks.append(kit.context(f"{code(one.name)} · confirmed by {mention(one.by)}"))
    return kit.message(text, blocks)


def soon(one: Scheduled) -> kit.Message:
    """Remind who scheduled it, shortly before."""
    if one.state is not State.WAITING or int(one.at.timestamp()) != one.soon:
        text = f"{_title(one)}: {_standing(one)}"
        return kit.message(text, [kit.section(text)])
    text = f"{mention(one.by)} {_title(one)} begins {when(one.at)}."
    return kit.message(text, [kit.section(text), *_buttons(one)])


def question(one: Scheduled) -> kit.Message:
    """Ask what is to happen with a start whose time has come and that is not started unasked."""
    if one.state is not State.ASKING:
        text = f"{_title(one)}: {_standing(one)}"
        return kit.message(text, [kit.section(text)])
    text = f"{mention(one.by)} {_title(one)} was to begin {when(one.at)}, and I did not start it."
    value = {"scheduled": one.id}
    fresh = kit.button("Start with what is there now …", ids.SCHEDULE_PREVIEW, value, style="primary")
    blocks = [
        kit.section(f"*{text}*\n{told(one.why, people_in(one.why), 1500)}"),
        *kit.actions("schedule-asks", [fresh, *_changes(one)]),
        kit.context("The first button shows the plan as it would be now; nothing is started before you confirm that."),
    ]
    return kit.message(text, blocks)


def listed(environment: str, found: Sequence[Scheduled]) -> kit.Message:
    """List what is scheduled, the next one first, each with its buttons."""
    if not found:
        text = f"Nothing is scheduled for {escape(environment, 60)}."
        how = f"To schedule a start: {code('/release start --at tomorrow 7:00')}"
        return kit.message(text, [kit.section(f"*{text}*\n{how}")])
    blocks: list[Block] = []
    for one in found[:_SHOWN]:
        blocks += [kit.section(line(one)), *_buttons(one)]
    more = [kit.context(f"… and {len(found) - _SHOWN} more")] if found[_SHOWN:] else []
    return kit.message(f"{len(found)} scheduled for {escape(environment, 60)}", [*blocks, *more])


def line(one: Scheduled) -> str:
    """Give a scheduled start in one line."""
    asks = " – waits for your answer" if one.state is State.ASKING else ""
    return f"{code(one.name)} {_title(one)}: {at_words(one.at, one.zone)} · {mention(one.by)}{asks}"


def outcome(one: Scheduled) -> kit.Message:
    """Answer who changed something about it."""
    text = f"{_title(one)}: {_standing(one)}"
    return kit.message(text, [kit.section(text)])


def _title(one: Scheduled) -> str:
    return f"Release {escape(one.plan.version, 40)} to {escape(one.environment, 60)}"


def _standing(one: Scheduled) -> str:
    match one.state:
        case State.WAITING:
            moved = f", postponed by {mention(one.decided_by)}" if one.decided_by else ""
            return f"scheduled for {when(one.at)}{moved}"
        case State.ASKING:
            return f"was due {when(one.at)}, and waits for an answer"
        case State.STARTED:
            by = f" by {mention(one.decided_by)}" if one.decided_by else ""
            return f"started as {escape(one.release, 20)}{by}"
        case State.CANCELLED:
            return f"cancelled by {mention(one.decided_by)}; it does not start"


def _buttons(one: Scheduled) -> list[Block]:
    return kit.actions(f"schedule-{one.id}", _changes(one)) if one.state in OPEN else []


def _changes(one: Scheduled) -> list[InteractiveElement]:
    value = {"scheduled": one.id}
    postpone = kit.button("Postpone by an hour", ids.SCHEDULE_POSTPONE, value)
    return [postpone, kit.button("Cancel the start", ids.SCHEDULE_CANCEL, value)]
