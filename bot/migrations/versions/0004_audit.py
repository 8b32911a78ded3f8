"""Events are chained by hash, say which message asked for them, and are never changed: the database refuses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.domain.audit import BEGINNING, Entry, digest
from bot.engine.tables import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# A trigger is one statement to SQLite; NEW.id is always given, so it may be looked at before the row is there.
SQLITE = (
    (
        "CREATE TRIGGER events_follow BEFORE INSERT ON events WHEN NOT EXISTS (SELECT 1 FROM chain WHERE name = 'events' "
        "AND position < NEW.id AND hash = NEW.previous) "
        "BEGIN SELECT RAISE(ABORT, 'an event must follow the newest one'); END"
    ),
    (
        "CREATE TRIGGER events_noted AFTER INSERT ON events "
        "BEGIN UPDATE chain SET position = NEW.id, hash = NEW.hash WHERE name = 'events'; END"
    ),
    "CREATE TRIGGER events_kept BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END",
    "CREATE TRIGGER events_held BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END",
)
POSTGRESQL = (
    (
        "CREATE FUNCTION events_follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NOT EXISTS (SELECT 1 FROM chain WHERE name = 'events' AND position < NEW.id AND hash = NEW.previous) "
        "THEN RAISE EXCEPTION 'an event must follow the newest one'; END IF; RETURN NEW; END $$"
    ),
    (
        "CREATE FUNCTION events_noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE chain SET position = NEW.id, hash = NEW.hash WHERE name = 'events'; RETURN NULL; END $$"
    ),
    (
        "CREATE FUNCTION events_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'events are never changed or deleted'; END $$"
    ),
    "CREATE TRIGGER events_follow BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION events_follow()",
    "CREATE TRIGGER events_noted AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION events_noted()",
    "CREATE TRIGGER events_kept BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION events_kept()",
    "CREATE TRIGGER events_whole BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION events_kept()",
)

events = sa.table(
    "events",
    sa.column("id", sa.BigInteger),
    sa.column("release", sa.BigInteger),
    *(sa.column(name, sa.String) for name in ("step", "kind", "by", "source", "previous", "hash")),
    sa.column("at", UtcTime),
    sa.column("data", sa.JSON),
)


def upgrade() -> None:
    chain = op.create_table(
        "chain",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("source", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("previous", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("hash", sa.String(length=64), nullable=True))
    position, newest = _chained(op.get_bind())
    op.bulk_insert(chain, [{"name": "events", "position": position, "hash": newest}])
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.alter_column("source", existing_type=sa.String(length=200), nullable=False)
        batch_op.alter_column("previous", existing_type=sa.String(length=64), nullable=False)
        batch_op.alter_column("hash", existing_type=sa.String(length=64), nullable=False)
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.get_bind().exec_driver_sql(statement)


def _chained(connection: sa.Connection) -> tuple[int, str]:
    """Give the events that are there their hashes; return the newest one's number and hash."""
    position, previous = 0, BEGINNING
    query = sa.select(*(events.c[name] for name in ("id", "release", "step", "kind", "at", "by", "data")))
    while rows := connection.execute(query.where(events.c.id > position).order_by(events.c.id).limit(500)).all():
        for row in rows:
            entry = Entry(row.id, row.release, row.step, row.kind, row.at, row.by, "", row.data)
            values = {"source": "", "previous": previous, "hash": digest(entry, previous)}
            connection.execute(sa.update(events).where(events.c.id == row.id).values(**values))
            position, previous = row.id, values["hash"]
    return position, previous


def downgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for name in ("follow", "noted", "kept", "held"):
            connection.exec_driver_sql(f"DROP TRIGGER events_{name}")
    else:
        for name in ("follow", "noted", "kept"):
            connection.exec_driver_sql(f"DROP FUNCTION events_{name}() CASCADE")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_column("hash")
        batch_op.drop_column("previous")
        batch_op.drop_column("source")
    op.drop_table("chain")
