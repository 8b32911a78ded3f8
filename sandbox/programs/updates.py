"""sm-update-daemon where there is a search: brings what people do to PostgreSQL's datasets into the live indices.

It writes through the aliases, with the code that was deployed when it started, and knows nothing of a second pair. What does not
succeed stays in the queue and is tried again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import asyncpg

from sandbox.programs.daemon import say, stopping
from sandbox.programs.deployed import Engine

EVERY = 0.25  # seconds between two looks into the queue
AFTER_TROUBLE = 1.0  # seconds
_NEXT = "SELECT id, action, ds_id, body FROM sandbox.work WHERE action <> 'create' OR %s ORDER BY id LIMIT 50"
_ADD = """SELECT sandbox.add_dataset(
    %s, w.body ->> 'name', (w.body ->> 'is_public')::boolean, (w.body ->> 'at')::timestamp, (w.body ->> 'number')::integer
) FROM sandbox.work w WHERE w.id = %s"""


def processes_datasets(health: Path) -> bool:
    """Tell whether new datasets may be worked on: METASPACE's switch, on unless its file says otherwise."""
    try:
        return bool(json.loads(health.read_text(encoding="utf-8")).get("canProcessDatasets", True))
    except (OSError, ValueError):
        return True


def work_once(engine: Engine) -> int:
    """Do what there is to do; return how many pieces failed."""
    rows = engine.db.select(_NEXT, (processes_datasets(engine.health),))
    failed = 0
    for number, action, ds_id, body in rows:
        try:
            _carry_out(engine, number, action, ds_id, body)
        except Exception as error:  # noqa: BLE001  # whatever METASPACE's code raises: the queue keeps it, as RabbitMQ would
            say(f"{action} of {ds_id} failed and is tried again: {type(error).__name__}: {error}")
            failed += 1
    return failed


def _carry_out(engine: Engine, number: int, action: str, ds_id: str, body: dict[str, Any]) -> None:
    match action:
        case "create":
            engine.db.alter(_ADD, (ds_id, number))
            engine.exporter.reindex_ds(ds_id)
        case "edit":
            engine.exporter.update_ds(ds_id, body["fields"])
        case _:
            engine.exporter.delete_ds(ds_id)
    engine.db.alter("DELETE FROM sandbox.work WHERE id = %s", (number,))
    say(f"{action} of {ds_id} is in the indices")


def main() -> None:
    """Run until asked to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", required=True, type=Path)
    options = parser.parse_args()
    stop = stopping()
    engine = Engine(options.checkout)
    say("sm-update-daemon started")
    pause = EVERY
    while not stop.wait(pause):
        try:
            pause = AFTER_TROUBLE if work_once(engine) else EVERY
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            say(f"the database does not answer: {error}")
            pause = AFTER_TROUBLE
    say("sm-update-daemon ends")


if __name__ == "__main__":
    main()
