"""What a browser test needs of the machine."""

from __future__ import annotations

import os

import pytest

from bot.domain.errors import Unavailable
from sandbox.main import demand_programs
from tests.browser.person import chromium


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    """A missing program fails in CI, and is skipped with its reason on a person's machine."""
    try:
        demand_programs()
        chromium()
    except Unavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(error.message)
