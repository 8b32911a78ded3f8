"""Marks port methods that change something outside (`bot.ports`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Method = TypeVar("_Method", bound="Callable[..., object]")
_EFFECT = "__effect_within__"


def effect(*, within: float) -> Callable[[_Method], _Method]:
    """Mark a method that changes something outside: it has ended after ``within`` seconds."""

    def mark(method: _Method) -> _Method:
        setattr(method, _EFFECT, within)
        return method

    return mark


def within(method: object) -> float | None:
    """Return the seconds of a marked method, or None for one that changes nothing outside."""
    seconds: float | None = getattr(method, _EFFECT, None)
    return seconds
