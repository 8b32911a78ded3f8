"""The tables' version: Alembic's migrations, run by the bot itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

_ONE = 7_261_002  # PostgreSQL's advisory lock: of two bots that start at once, one brings the tables up to date
FOLDER = Path(__file__).resolve().parent.parent / "migrations"


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Bring the tables to a revision. Data stays; running it again changes nothing."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade, revision)


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    """Bring the tables back to an earlier revision: what it does not know is lost."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade, revision, down=True)


async def current(engine: AsyncEngine) -> str:
    """Return the revision of the tables, empty for an empty database."""
    async with engine.connect() as connection:
        return await connection.run_sync(lambda one: MigrationContext.configure(one).get_current_revision() or "")


def newest() -> str:
    """Return the revision that this version of the bot works with."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return config


def _upgrade(connection: Connection, revision: str, *, down: bool = False) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE})
    config = _config()
    config.attributes["connection"] = connection
    (command.downgrade if down else command.upgrade)(config, revision)
