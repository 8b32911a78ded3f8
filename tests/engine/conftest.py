from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.postgres import postgres
from tests.engine.scripted import Files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.postgres import Cluster

__all__ = ["postgres"]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database: every test of the engine holds on both."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}"
    cluster: Cluster = request.getfixturevalue("postgres")
    return cluster.fresh()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "world"
    folder.mkdir()
    return Files(folder)
