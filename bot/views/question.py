"""A question to a person: on the dashboard, in the thread, and once it has been answered."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.release import HOLDS, DecisionKind
from bot.views import ids, kit, rehearsal
from bot.views.states import DECIDED
from bot.views.text import clock, escape, exact, listing, mention, paragraphs, told, when

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from slack_sdk.models.blocks import Block, ButtonElement

    from bot.domain.approval import Approval
    from bot.domain.readmodel import OpenQuestion
    from bot.domain.release import Choice, Question

_BASIS = 6
_MENTIONED = 5
_ROOM = 9500  # characters of what is asked: with title, basis and buttons a message holds it


def question(opened: OpenQuestion, *, ask: str | Sequence[str] = (), people: Iterable[str] = ()) -> kit.Message:
    """Ask in the release's thread; ``ask`` holds the Slack ids of who must act, mentioned with those of ``people`` that it names."""
    asked = opened.question
    must_act = (ask,) if isinstance(ask, str) else ask
    who = "".join(f"{mention(one)} " for one in must_act[:_MENTIONED] if one)
    blocks = [
        kit.section(f"{who}*{escape(asked.title)}*"),
        *_detail(asked, room=_ROOM, people=people),
        *standing(opened),
        *kit.actions(f"question-{opened.id}"[:255], choices(opened)),
        kit.context(f"Asked {when(opened.asked_at)}"),
    ]
    return kit.message(f"{who}{escape(opened.release, 40)} asks: {escape(asked.title)}", blocks)


def block(opened: OpenQuestion) -> list[Block]:
    """Show an open question on the dashboard."""
    return [
        kit.section(f"*Question: {escape(opened.question.title, 200)}*"),
        *_detail(opened.question, room=1200, brief=True),
        *standing(opened),
        *kit.actions(f"question-{opened.id}"[:255], choices(opened)),
    ]


def answered(
    asked: Question,
    *,
    release: str,
    kind: DecisionKind | None,
    by: str,
    at: datetime,
    value: str = "",
    reason: str = "",
    void: str = "",
    approvals: Sequence[Approval] = (),
) -> kit.Message:
    """Replace a question that was answered (or, with ``kind`` None, that nobody need answer any more): no buttons.

    ``void`` names the fact that took its approvals away.
    """
    outcome = outcome_line(asked, kind=kind, by=by, at=at, value=value, reason=reason)
    if void:
        outcome = f"No longer counts since {when(at)}: {told(void, people_in(void), 600)}. It is asked anew."
    elif len(approvals) > 1:
        outcome = f"Approved by {listing(_who(one) for one in approvals)}, {when(at)}."
    return kit.message(
        f"{escape(release, 40)} · {escape(asked.title)} – {outcome}",
        [kit.section(f"*{escape(asked.title)}*\n{outcome}")],
    )


def outcome_line(
    asked: Question, *, kind: DecisionKind | None, by: str, at: datetime, value: str = "", reason: str = ""
) -> str:
    """Say who answered what, and when."""
    if kind is None:
        return f"No longer asked since {when(at)}."
    chosen = next((one for one in asked.choices if one.kind is kind and one.value == value), None)
    if chosen and chosen.form == "notes":
        return f"Edited by {mention(by)}, {when(at)}: see below what it became."
    why = f" Reason: {escape(reason, 500)}" if reason else ""
    shown = f" (“{escape(chosen.label, 80)}”)" if chosen and chosen.label not in {"", "Approve"} else ""
    return f"{DECIDED[kind]}{shown} by {mention(by)}, {when(at)}.{why}"


def standing(opened: OpenQuestion) -> Iterator[Block]:
    """Show how the approvals stand, live."""
    if line := standing_line(opened):
        yield kit.context(line)
    if opened.rehearsed is not None:
        yield kit.context(rehearsal.line(opened.rehearsed))


def standing_line(opened: OpenQuestion) -> str:
    """Say who has approved and who is waited for: "1 of 2: @A; waits for one more approver; expires 15:00"."""
    policy, given = opened.question.approval, opened.approvals
    if policy is None:
        return ""
    missing = max(0, policy.count - len({one.voice for one in given}))
    names = listing(_who(one) for one in given) or "nobody yet"
    parts = [f"{policy.count - missing} of {policy.count}: {names}"]
    if missing:
        wanted = "one more" if given and missing == 1 else str(missing)
        parts.append(f"waits for {wanted} {policy.role}{'s' if missing > 1 else ''}")
    if given:
        parts.append(f"expires {clock(min(one.at for one in given) + timedelta(seconds=policy.expires))}")
    return "; ".join(parts)


def _who(one: Approval) -> str:
    stead = f" for {mention(one.voice)}" if one.voice != one.by else ""
    return f"{mention(one.by)}{stead}{' (broke the glass)' if one.glass else ''}"


def people_in(text: str) -> frozenset[str]:
    """Name the people whom a sentence of the engine's own mentions."""
    return frozenset(re.findall(r"<@([UW][A-Z0-9]+)>", text))


def choices(opened: OpenQuestion) -> list[ButtonElement]:
    """Give a button for each choice; the number of the choice, not its text, comes back."""
    return [_button(opened, index, one) for index, one in enumerate(opened.question.choices)][:25]


def action_id(choice: Choice) -> str:
    """Name a choice's button: ``question:approve``, or ``question:approve:drain`` where a value tells two apart."""
    return f"{ids.QUESTION}{choice.kind}{f':{choice.value}' if choice.value else ''}"[:255]


def _button(opened: OpenQuestion, index: int, choice: Choice) -> ButtonElement:
    value = {"question": opened.id, "release": opened.release, "choice": index}
    label = f"{choice.label.removesuffix('…').rstrip()} …" if choice.form else choice.label
    sure = None
    if choice.danger and not choice.form:
        sure = (choice.label, f"{opened.question.title} This cannot simply be taken back.", choice.label)
    style = "danger" if choice.danger else "primary" if index == 0 and choice.kind in _FORWARD else ""
    return kit.button(label, action_id(choice), value, style=style, confirm=sure)


_FORWARD = frozenset({DecisionKind.APPROVE, DecisionKind.DONE})


def _detail(asked: Question, *, room: int, people: Iterable[str] = (), brief: bool = False) -> Iterator[Block]:
    """Show what is asked. ``brief`` leaves out what holds: the thread lists it."""
    named = {
        *people,
        *(people_in(asked.detail) if asked.approval else ()),
    }  # the latter: whose approval no longer counts
    said = paragraphs(asked.detail, _ROOM if brief else room, named).splitlines() if asked.detail.strip() else []
    if brief:
        said = [line for line in said if not line.startswith(HOLDS)]
    text = str((asked.draft or {}).get("message") or "")
    if said or text:
        rest = "… and {n} more lines; the form has them all." if text else "… and {n} more."
        yield from kit.lines([*said, *(exact(line) for line in text.splitlines())], room=room, rest=rest)
    if asked.basis:
        basis = [f"• {escape(one, 120)}" for one in asked.basis[:_BASIS]]
        yield kit.context("\n".join(["An answer rests on:", *basis]))
