"""Asks METASPACE's own code which indices it would create. Runs in METASPACE's Python, given on its standard input; sends nothing.

It prints one line of JSON: for each of the two indices, the mappings and settings that the code gives to Elasticsearch's client.
Before 1.9.8 one method made one definition for both.
"""

from __future__ import annotations

import json
import socket
import sys


class Recorder:
    """Stands in the place of Elasticsearch's client, and keeps what it is to create."""

    def __init__(self, *_given: object, **_named: object) -> None:
        self.made: dict[str, dict[str, object]] = {}
        self.indices = self

    def exists(self, *_given: object, **_named: object) -> bool:
        """Nothing is there."""
        return False

    def create(self, index: str, body: dict[str, object] | None = None, **named: object) -> dict[str, object]:
        """Keep it."""
        given = {**(body or {}), **named}
        self.made[index] = {part: given.get(part) or {} for part in ("mappings", "settings")}
        return {"acknowledged": True}


def offline(*_given: object, **_named: object) -> object:
    """Let nobody connect to anything."""
    raise OSError("nothing is sent from here")


def main() -> None:
    """Print what the code in this folder would create."""
    sys.path.insert(0, "")
    socket.socket.connect = offline  # type: ignore[method-assign,assignment]
    from sm.engine import es_export  # type: ignore[import-not-found]

    recorder = Recorder()
    for name, stand_in in (("init_es_conn", lambda *_: recorder), ("IndicesClient", lambda *_: recorder)):
        if hasattr(es_export, name):
            setattr(es_export, name, stand_in)
    names = {"index": "sm", "dataset_index": "dataset", "annotation_index": "annotation"}
    manager = es_export.ESIndexManager({"host": "nowhere", "port": 1, **names})
    for kind in ("dataset", "annotation"):
        make = getattr(manager, f"create_{kind}_index", None) or manager.create_index
        make(f"{kind}-yin")
    made = {kind: recorder.made[f"{kind}-yin"] for kind in ("dataset", "annotation")}
    sys.stdout.write(f"\n{json.dumps(made)}\n")


if __name__ == "__main__":
    main()
