"""One Elasticsearch for all tests of a worker: ``from tests.elastic import elastic, elastic_server`` where it is wanted.

Its process belongs to the session's loop: a test that stops or kills it is marked ``asyncio(loop_scope="session")``.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from bot.domain.errors import Unavailable
from sandbox.elasticsearch import Elasticsearch, demand
from sandbox.processes import Processes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["elastic", "elastic_server"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def elastic_server() -> AsyncIterator[Elasticsearch]:
    """The server itself. Where Java or Maven are missing the test is skipped, but never in CI."""
    try:
        demand()
    except Unavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{error.message} ({error.hint})")
    with tempfile.TemporaryDirectory(prefix="rb-es-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        async with Processes(root) as processes, Elasticsearch(processes, root / "elasticsearch") as server:
            yield server


@pytest.fixture
async def elastic(elastic_server: Elasticsearch) -> Elasticsearch:
    """The server, empty: no index, no alias, and no setting of the cluster that an earlier test left."""
    await elastic_server.clear()
    return elastic_server
