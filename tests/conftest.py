"""The order of the tests, and how Hypothesis works in all of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

# How long an example takes says how busy the machine is; `make bench` measures.
settings.register_profile("releasebot", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("releasebot")

SLOW = ("scenarios", "browser", "test_canary.py", "sandbox")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run whole releases first: begun last, one of them would be waited for by every other worker."""
    items.sort(key=lambda item: _place(item.path.relative_to(Path(__file__).parent).parts))


def _place(parts: Sequence[str]) -> int:
    return SLOW.index(parts[0]) if parts[0] in SLOW else len(SLOW)
