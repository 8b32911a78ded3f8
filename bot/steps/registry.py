"""The steps there are, found by looking: a module in this package that has ``STEP`` is one."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import bot.steps
from bot.domain.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.engine.step import Step


def load() -> Mapping[str, Step]:
    """Return every step by its id; raises `BadSettings` when two claim the same."""
    found: dict[str, Step] = {}
    for step in _steps():
        if step.id in found:
            raise BadSettings(f"Two steps are called {step.id!r}.", hint="each module in bot/steps needs its own id")
        found[step.id] = step
    return found


def _steps() -> Iterator[Step]:
    for module in pkgutil.iter_modules(bot.steps.__path__):
        step: Step | None = getattr(importlib.import_module(f"bot.steps.{module.name}"), "STEP", None)
        if step is not None:
            yield step
