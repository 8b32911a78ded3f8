"""The order of the tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

SLOW = ("scenarios", "browser", "test_canary.py", "sandbox")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run whole releases first: begun last, one of them would be waited for by every other worker."""
    items.sort(key=lambda item: _place(item.path.relative_to(Path(__file__).parent).parts))


def _place(parts: Sequence[str]) -> int:
    return SLOW.index(parts[0]) if parts[0] in SLOW else len(SLOW)
