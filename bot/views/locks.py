"""Who has an environment and who waits for it: answers, whose turn it is, and an admin's taking over."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, assert_never

from bot.domain.phases import Phase
from bot.domain.queue import Ended
from bot.domain.release import FINISHED
from bot.views import ids, kit
from bot.views.text import clock, code, escape, mention, told, when

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from slack_sdk.models.blocks import Block

    from bot.domain.queue import Waiting
    from bot.domain.readmodel import LockView, ReleaseView

_SHOWN = 10
REASON = "waited for it"  # of a lock that was taken when it became free


def held(text: str, environment: str) -> list[dict[str, Any]]:
    """Offer to be told when it is free, below the sentence (mrkdwn) that says who has it."""
    return kit.message(text, [kit.section(text), *wait_button(environment)]).blocks


def wait_button(environment: str) -> list[Block]:
    """Return the button that joins the queue."""
    return kit.actions("lock", [kit.button("Tell me when free", ids.LOCK_WAIT, {"environment": environment})])


def phase_line(release: ReleaseView) -> str:
    """Say whether a release needs its environment's lock at the moment; empty for one that has it all the time, or is over."""
    place, plan = escape(release.environment, 60), release.plan
    if release.state in FINISHED or release.phase is Phase.WHOLE:
        return ""
    if release.waits:
        return f"*Lock:* waits for {place}: {holder_told(release.waits)}"
    match release.phase:
        case Phase.BEFORE:
            first = escape(plan.step(plan.locked_from).title, 120)
            return f"*Lock:* not needed yet, so others may release to {place}; taken at “{first}”."
        case Phase.LOCKED:
            until = f" until “{escape(plan.step(plan.locked_until).title, 120)}” is proved" if plan.locked_until else ""
            return f"*Lock:* {place} is this release’s{until or ' until its end'}."
        case Phase.AFTER:
            return f"*Lock:* given back; others may release to {place}."
        case _:
            assert_never(release.phase)


def holder_told(why: str) -> str:
    """Show the engine's sentence about who has an environment: who that is is mentioned, whoever the reason names is not."""
    return told(why, re.findall(r"<@([UW][A-Z0-9]+)>", why)[:1], 500)


def beside(releases: Sequence[ReleaseView]) -> list[Block]:
    """List the releases that have marks for the lock, and how each stands with it."""
    rows = [f"{code(one.id)} {escape(one.plan.version, 60)} – {line}" for one in releases if (line := phase_line(one))]
    return [kit.context("\n".join(rows[:_SHOWN]))] if rows else []


def shown(
    environment: str,
    lock: LockView | None,
    line: Sequence[Waiting],
    viewer: str,
    *,
    releases: Sequence[ReleaseView] = (),
) -> kit.Message:
    """Say who has an environment, why, since when, and who waits; who neither has it nor waits may join.

    ``releases``: those that are open there; those that work beside the lock are named.
    """
    if lock is None:
        text = f"{escape(environment, 60)} is free."
        rows = [] if line else [f"To lock it: {code(f'/release lock {environment} REASON')}"]
    else:
        text = f"{escape(environment, 60)} is {_holder(lock)}"
        rows = [f"Since {when(lock.since)}: {escape(lock.reason, 500)}"]
    mine = next((one for one in line if one.person == viewer), None)
    mine_to_wait = mine is None and (bool(line) if lock is None else lock.owner != viewer or bool(lock.release))
    blocks = [
        kit.section("\n".join([f"*{text}*", *rows])),
        *beside(releases),
        *queue_lines(line),
        *(_leave_button(mine) if mine else wait_button(environment) if mine_to_wait else []),
    ]
    return kit.message(text, blocks)


def queue_lines(line: Sequence[Waiting]) -> list[Block]:
    """List who waits, the first in front."""
    rows = [
        f"{number}. {mention(one.person)} since {when(one.asked_at)}{_claim(one)}" for number, one in enumerate(line, 1)
    ]
    more = [f"… and {len(line) - _SHOWN} more"] if line[_SHOWN:] else []
    return [kit.context("\n".join(["Waiting for it:", *rows[:_SHOWN], *more]))] if line else []


def joined(environment: str, line: Sequence[Waiting], person: str) -> kit.Message:
    """Say where in the line somebody stands."""
    place = next((number for number, one in enumerate(line, 1) if one.person == person), 0)
    text = f"You are number {place} in the line for {escape(environment, 60)}; I mention you here when it is your turn."
    mine = next((one for one in line if one.person == person), None)
    return kit.message(text, [kit.section(text), *queue_lines(line), *(_leave_button(mine) if mine else [])])


def left(environment: str) -> kit.Message:
    """Confirm that somebody waits no longer."""
    text = f"You wait for {escape(environment, 60)} no longer."
    return kit.message(text, [kit.section(text)])


def turn(one: Waiting, ended_at: datetime | None) -> kit.Message:
    """Tell somebody that it is their turn; once that is over the buttons are gone, and it says how it ended."""
    who, place, value = (
        mention(one.person),
        escape(one.environment, 60),
        {"wait": one.id, "environment": one.environment},
    )
    at = f" at {clock(ended_at)}" if ended_at else ""
    match one.ended:
        case Ended.TAKEN:
            text = f"{place} was free, and {who} took it{at}."
        case Ended.LEFT:
            text = f"{place} was free; {who} let it pass{at}."
        case Ended.RAN_OUT:
            text = f"{place} was free; {who} did not take it in time, so it is the next one’s turn."
        case Ended.NOT:
            until = f" It is kept for you until {clock(one.claim_until)}." if one.claim_until else ""
            text = f"{who} {place} is free, and it is your turn.{until}"
            take = kit.button("Take the lock", ids.LOCK_TAKE, value, style="primary")
            buttons = [take, kit.button("Let it pass", ids.LOCK_LET_GO, value)]
            how = f"{code(f'/release start {one.environment}')} takes it as well."
            return kit.message(text, [kit.section(text), *kit.actions("lock", buttons), kit.context(how)])
    return kit.message(text, [kit.section(text)])


def take_over_form(lock: LockView, reason: str = "") -> dict[str, Any]:
    """Ask an admin once more before somebody else's lock is taken; the reason is told to its owner and kept."""
    blocks = [
        kit.section(
            f"*{escape(lock.environment, 60)} is {_holder(lock)}* since {when(lock.since)}: {escape(lock.reason, 500)}"
        ),
        kit.section(f"It becomes yours. {mention(lock.owner)} is told, with your reason, in the channel."),
        kit.text_input(ids.REASON, "Why do you take it over?", initial=reason, hint="Its owner and the log see it."),
    ]
    metadata = {"environment": lock.environment, "owner": lock.owner, "since": lock.since.isoformat()}
    return kit.modal(
        callback=ids.TAKE_OVER_FORM, title="Take the lock over", submit="Take it over", blocks=blocks, metadata=metadata
    )


def taken_over(lock: LockView, old: str) -> kit.Message:
    """Tell the old owner, and everybody, that an admin has the lock now."""
    text = f"{mention(old)} {mention(lock.owner)} took your lock of {escape(lock.environment, 60)} over: {escape(lock.reason, 500)}"
    how = f"Whoever needs it next: {code(f'/release lock {lock.environment} --wait')}"
    return kit.message(text, [kit.section(f"*{text}*"), kit.context(how)])


def needed(lock: LockView, key: str) -> kit.Message:
    """Ask the owner of a lock that is long unused whether it is still needed."""
    text = f"{mention(lock.owner)} You have had the lock of {escape(lock.environment, 60)} since {when(lock.since)}. Is it still needed?"
    value = {"environment": lock.environment, "since": lock.since.isoformat(), "key": key}
    buttons = [kit.button("Still needed", ids.LOCK_KEEP, value), kit.button("Unlock", ids.LOCK_FREE, value)]
    return kit.message(text, [kit.section(f"{text}\n{escape(lock.reason, 300)}"), *kit.actions("lock", buttons)])


def settled(environment: str, by: str, *, kept: bool) -> kit.Message:
    """Replace that question once it was answered."""
    what = "says that the lock is still needed" if kept else "unlocked it; releases may start again"
    text = f"{escape(environment, 60)}: {mention(by)} {what}."
    return kit.message(text, [kit.section(text)])


def _holder(lock: LockView) -> str:
    if lock.release:
        return f"held by {escape(lock.release, 20)}, started by {mention(lock.owner)}"
    return f"locked by {mention(lock.owner)}"


def _claim(one: Waiting) -> str:
    return f", whose turn it is until {clock(one.claim_until)}" if one.claim_until else ""


def _leave_button(one: Waiting) -> list[Block]:
    value = {"wait": one.id, "environment": one.environment}
    return kit.actions("lock", [kit.button("Leave the line", ids.LOCK_LEAVE, value)])
