from __future__ import annotations

import os

import pytest

from bot.domain.errors import Unavailable
from sandbox.main import demand_programs


@pytest.fixture(autouse=True, scope="session")
def programs() -> None:
    """These tests run real servers. Where those are missing they are skipped, but never in CI."""
    try:
        demand_programs()
    except Unavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{error.message} ({error.hint})")
