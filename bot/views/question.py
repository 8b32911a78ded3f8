"""A question to a person: on the dashboard, in the thread, and once it has been answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.release import DecisionKind
from bot.views import ids, kit
from bot.views.states import DECIDED
from bot.views.text import escape, exact, listing, mention, paragraphs, when

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from slack_sdk.models.blocks import Block, ButtonElement

    from bot.domain.readmodel import OpenQuestion
    from bot.domain.release import Choice, Question

_BASIS = 6
_ROOM = 9500  # characters of what is asked: with title, basis and buttons a message holds it


def question(opened: OpenQuestion, *, ask: str = "", people: Iterable[str] = ()) -> kit.Message:
    """Ask in the release's thread; ``ask`` is the Slack id of who must act, mentioned with those of ``people`` that it names."""
    asked = opened.question
    who = f"{mention(ask)} " if ask else ""
    blocks = [
        kit.section(f"{who}*{escape(asked.title)}*"),
        *_detail(asked, room=_ROOM, people=people),
        *kit.actions(f"question-{opened.id}"[:255], choices(opened)),
        kit.context(f"Asked {when(opened.asked_at)}"),
    ]
    return kit.message(f"{who}{escape(opened.release, 40)} asks: {escape(asked.title)}", blocks)


def block(opened: OpenQuestion) -> list[Block]:
    """Show an open question on the dashboard."""
    return [
        kit.section(f"*Question: {escape(opened.question.title, 200)}*"),
        *_detail(opened.question, room=1200),
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
) -> kit.Message:
    """Replace a question that was answered (or, with ``kind`` None, that nobody need answer any more): no buttons."""
    outcome = outcome_line(asked, kind=kind, by=by, at=at, value=value, reason=reason)
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
    shown = f" (“{escape(chosen.label, 80)}”)" if chosen and chosen.label else ""
    return f"{DECIDED[kind]}{shown} by {mention(by)}, {when(at)}.{why}"


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


def _detail(asked: Question, *, room: int = 4000, people: Iterable[str] = ()) -> Iterator[Block]:
    said = paragraphs(asked.detail, room, people).splitlines() if asked.detail.strip() else []
    text = str((asked.draft or {}).get("message") or "")
    if said or text:
        rest = "… and {n} more lines; the form has them all." if text else "… and {n} more."
        yield from kit.lines([*said, *(exact(line) for line in text.splitlines())], room=room, rest=rest)
    if asked.basis:
        yield kit.context(f"An answer rests on: {listing(escape(one, 120) for one in asked.basis[:_BASIS])}.")
