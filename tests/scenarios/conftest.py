"""What whole releases need of the machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Unavailable
from sandbox.main import demand_programs
from sandbox.metaspace_data import demand_servers

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    """A missing program fails in CI, and is skipped with its reason on a person's machine."""
    _demand(demand_programs)


@pytest.fixture(scope="session")
def servers() -> None:
    """The same for METASPACE's database and search."""
    _demand(demand_servers)


def _demand(there: Callable[[], None]) -> None:
    try:
        there()
    except Unavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(error.message)
