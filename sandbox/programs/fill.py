"""Makes the live pair of indices and fills it at once with what the deployed code would write dataset by dataset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elasticsearch.helpers import bulk

from sandbox.programs.deployed import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator


def documents(engine: Engine) -> Iterator[dict[str, Any]]:
    """Yield every document of both indices, as bulk actions."""
    exporter, databases = engine.exporter, engine.databases()
    for (ds_id,) in engine.db.select("SELECT id FROM dataset ORDER BY id"):
        ds_doc = exporter.select_ds(ds_id)
        for moldb_id in ds_doc["ds_config"]["database_ids"]:
            moldb = databases[moldb_id]
            found = exporter.annotation_docs(
                ds_id, moldb, {**ds_doc, "annotation_counts": [*ds_doc["annotation_counts"]]}
            )
            yield from (exporter.action(doc) for doc in found)
            ds_doc["annotation_counts"].append(exporter.counts(moldb, found))
        yield {"_index": exporter.dataset_index, "_id": ds_id, "_source": ds_doc}


def main() -> None:
    """Make, fill, and refresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", required=True, type=Path)
    parser.add_argument("--side", default="yin")
    options = parser.parse_args()
    engine = Engine(options.checkout)
    manager, aliases = engine.export.ESIndexManager(), (engine.exporter.dataset_index, engine.exporter.annotation_index)
    names = [f"{alias}-{options.side}" for alias in aliases]
    manager.create_dataset_index(names[0])
    manager.create_annotation_index(names[1])
    client = engine.export.init_es_conn(engine.exporter.sm_config["elasticsearch"])
    actions = [{"add": {"index": name, "alias": alias}} for name, alias in zip(names, aliases, strict=True)]
    client.indices.update_aliases(actions=actions)
    bulk(client, documents(engine), chunk_size=2000, refresh=True)


if __name__ == "__main__":
    main()
