from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.engine import make_url

from bot.engine.store import revision
from tests.engine.postgres import postgres
from tests.engine.scripted import Files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.postgres import Cluster

__all__ = ["postgres"]


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that has the tables already: they are made once."""
    file = tmp_path_factory.mktemp("tables") / "bot.sqlite"
    asyncio.run(revision(f"sqlite+aiosqlite:///{file}", upgrade=True))
    return file


@pytest.fixture(scope="session")
def postgres_tables(postgres: Cluster) -> str:
    """A database that has the tables already."""
    url = postgres.fresh()
    asyncio.run(revision(url, upgrade=True))
    return make_url(url).database or ""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a row: every test of the engine holds on both."""
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("postgres")
        return cluster.fresh(like=request.getfixturevalue("postgres_tables"))
    shutil.copy(request.getfixturevalue("sqlite_tables"), tmp_path / "bot.sqlite")
    return f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a table."""
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("postgres")
        return cluster.fresh()
    return f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "world"
    folder.mkdir()
    return Files(folder)
