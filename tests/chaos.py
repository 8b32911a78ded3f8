"""Which cases of a slow matrix are run: all of them by `make chaos`, a slice that moves on with the seed otherwise."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


def rotating(cases: Sequence[T], *, take: int) -> list[T]:
    """Return ``take`` of the cases, chosen by CHAOS_SEED; all of them when CHAOS=all."""
    if os.environ.get("CHAOS") == "all":
        return list(cases)
    seed = os.environ.get("CHAOS_SEED", "0")
    return sorted(random.Random(seed).sample(list(cases), min(take, len(cases))), key=list(cases).index)  # noqa: S311
