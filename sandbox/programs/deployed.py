"""The engine's code as it is deployed on the server, imported from its checkout."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Engine:
    """The modules of one checkout's engine, with its configuration read. A process imports one, once."""

    def __init__(self, checkout: Path) -> None:
        folder = checkout / "metaspace/engine"
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(folder))
        os.chdir(folder)
        self.health = checkout / "metaspace/graphql/health.json"
        self.export = import_module("sm.engine.es_export")
        self.molecular_db = import_module("sm.engine.molecular_db")
        import_module("sm.engine.util").GlobalInit().__enter__()
        self.db: Any = import_module("sm.engine.db").DB()
        self.exporter: Any = self.export.ESExporter(self.db)

    def databases(self) -> dict[int, Any]:
        """Return the molecular databases by their ids."""
        found = [row[0] for row in self.db.select("SELECT id FROM molecular_db")]
        return {one: self.molecular_db.find_by_id(one, self.db) for one in found}
