"""Medians, tails and ratios, and how they are shown."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured: seconds, or another unit where it says so."""

    name: str
    samples: Sequence[float]
    unit: str = "ms"

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def p95(self) -> float:
        ordered = sorted(self.samples)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def show(figures: Sequence[Figure]) -> None:
    for one in figures:
        scale = 1000 if one.unit == "ms" else 1
        print(
            f"  {one.name:44} median {one.median * scale:9.2f} {one.unit}   95 % {one.p95 * scale:9.2f} {one.unit}   n={len(one.samples)}"
        )


def ratio(what: str, ours: float, floor: float, *, goal: float | None = None) -> None:
    found = ours / floor
    verdict = "" if goal is None else f"   goal ≤ {goal:g}: {'met' if found <= goal else 'NOT met'}"
    print(f"  → {what:50} {found:6.2f}{verdict}")
