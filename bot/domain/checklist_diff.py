"""What sets one checklist apart from another: by meaning, step by step, not by the letters of its text."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.domain.checklist import Checklist, Item

_FIELDS = (
    ("step", "step"),
    ("title", "title"),
    ("params", "parameters"),
    ("part", "part"),
    ("unless_hotfix", "left out of a hotfix"),
    ("assignee", "assignee"),
    ("note", "note"),
)


def differences(old: Checklist, new: Checklist) -> list[str]:
    """One line for each step that was taken out (-), put in (+), moved (>) or changed (~); empty when both mean the same."""
    before, after = ({item.key: item for item in one.items} for one in (old, new))
    moved = _moved([key for key in before if key in after], [key for key in after if key in before])
    return [
        *_locked(old, new),
        *(f"- {key}: {_name(item)}" for key, item in before.items() if key not in after),
        *(f"+ {key}: {_name(item)}, {_place(new, key)}" for key, item in after.items() if key not in before),
        *(f"> {key}: now {_place(new, key)}" for key in after if key in moved),
        *(line for key in after if key in before for line in _changed(key, before[key], after[key])),
    ]


def _locked(old: Checklist, new: Checklist) -> Iterator[str]:
    """What changes in the lock's phases comes first: it is about all steps."""
    for name, end in (("locked_from", "its start"), ("locked_until", "its end")):
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            yield f"~ {name.replace('_', ' ')} {was or end} → {now or end}"


def _moved(before: list[str], after: list[str]) -> set[str]:
    """The fewest steps that were moved: those outside the longest order that both share."""
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    kept = {key for at, _, size in matcher.get_matching_blocks() for key in before[at : at + size]}
    return set(after) - kept


def _changed(key: str, old: Item, new: Item) -> Iterator[str]:
    for field, word in _FIELDS:
        was, now = getattr(old, field), getattr(new, field)
        if was != now:
            yield f"~ {key}: {word} {_shown(was)} → {_shown(now)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(value) if value else "none"


def _name(item: Item) -> str:
    return item.title or item.step


def _place(checklist: Checklist, key: str) -> str:
    keys = [item.key for item in checklist.items]
    at = keys.index(key)
    return f"after {keys[at - 1]}" if at else "first"
