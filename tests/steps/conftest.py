from __future__ import annotations

import pytest

from tests.steps.worlds import World


@pytest.fixture
def world() -> World:
    return World()
