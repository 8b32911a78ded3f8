"""Alembic's entry: works on the connection that `bot.engine.schema` hands it."""

from __future__ import annotations

from alembic import context

import bot.engine.asking_tables  # its tables belong to the metadata, as the next ones
import bot.engine.edit_tables
import bot.engine.job_tables
import bot.engine.schedule_tables  # noqa: F401  # as above
from bot.engine.tables import Base
from bot.slack.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=[Base.metadata, metadata],
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
