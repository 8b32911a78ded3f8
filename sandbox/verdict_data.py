"""Whether a release left METASPACE's data as it must: PostgreSQL and the search indices against each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Unavailable
from sandbox.processes import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from sandbox.elasticsearch import Elasticsearch
    from sandbox.metaspace_data import Data
    from sandbox.postgres import Postgres
    from sandbox.scenarios import Scenario

ALIASES = ("dataset", "annotation")
_MOST = 100_000  # datasets
_JOBS_END = 900.0  # seconds after the release that its jobs may take yet
_ANNOTATIONS = """SELECT d.id, count(a.id) FROM dataset d
LEFT JOIN job j ON j.ds_id = d.id LEFT JOIN annotation a ON a.job_id = j.id GROUP BY d.id"""


async def data_problems(data: Data, chosen: Scenario, server: Path) -> AsyncIterator[str]:
    """Yield, in sentences, what is not as it must be after a scenario's release; jobs and people's work are awaited first.

    ``server`` stands for the web server's disk.
    """
    try:
        await jobs_ended(server)
        await data.people.noticed()
    except Unavailable as error:
        yield error.message
    pointing = await pointed_at(data.search)
    sides = {name.rpartition("-")[2] for names in pointing.values() for name in names}
    if len(sides) != 1 or any(len(names) != 1 for names in pointing.values()):
        yield f"the aliases point at {pointing}"
        return
    async for problem in _documents(data):
        yield problem
    async for problem in _after(data, chosen, sides.pop(), server):
        yield problem
    left = sorted(one.name for one in (server / "reindexing/releases").glob("*"))
    if left:
        yield f"the server has a workplace yet: {', '.join(left)}"


async def jobs_ended(server: Path) -> None:
    """Wait until no job runs on the web server any more: an index that one fills is not whole before."""

    async def over() -> bool:
        return all(one.with_name("status.json").exists() for one in (server / "jobs").glob("*/wrapper.json"))

    await until(over, what="the web server's jobs", deadline=_JOBS_END)


async def pointed_at(search: Elasticsearch) -> Mapping[str, list[str]]:
    """Return the indices behind each alias."""
    found: Mapping[str, Any] = await search.ask("GET", "/_alias")
    return {alias: sorted(name for name, one in found.items() if alias in one["aliases"]) for alias in ALIASES}


async def lacking(search: Elasticsearch, field: str, *, index: str = "annotation") -> int:
    """Return how many annotations, by default of the live pair, lack a field. Refreshes first."""
    await search.ask("POST", f"/{index}/_refresh")
    query = {"query": {"bool": {"must_not": {"exists": {"field": field}}}}}
    return int((await search.ask("POST", f"/{index}/_count", query))["count"])


async def annotation_counts(search: Elasticsearch, index: str) -> Mapping[str, int]:
    """Return the annotation documents of each dataset that has any. Refreshes first."""
    await search.ask("POST", f"/{index}/_refresh")
    query = {"size": 0, "aggs": {"of": {"terms": {"field": "ds_id", "size": _MOST}}}}
    buckets = (await search.ask("POST", f"/{index}/_search", query))["aggregations"]["of"]["buckets"]
    return {one["key"]: one["doc_count"] for one in buckets}


async def annotations_due(postgres: Postgres) -> Mapping[str, int]:
    """Return how many annotations PostgreSQL has of every dataset."""
    rows = await postgres.run("-d", "sm", "-F", "\t", "-c", _ANNOTATIONS)
    return {ds_id: int(number) for ds_id, number in (line.split("\t") for line in rows.splitlines())}


async def _documents(data: Data) -> AsyncIterator[str]:
    """Every dataset has its document and those of its annotations, and nothing else has any; what is private is said to be."""
    wanted = await annotations_due(data.postgres)
    await data.search.ask("POST", "/dataset/_refresh")
    query = {"size": _MOST, "_source": ["ds_is_public"]}
    hits = (await data.search.ask("POST", "/dataset/_search", query))["hits"]["hits"]
    shown = {hit["_id"]: bool(hit["_source"]["ds_is_public"]) for hit in hits}
    for what, ids in (("not in the live index", wanted.keys() - shown), ("back from the dead", shown.keys() - wanted)):
        if ids:
            yield f"{len(ids)} datasets are {what}, one is {min(ids)}"
    public = set(await data.people.ids(public=True))
    if wrong := sorted(ds_id for ds_id, is_public in shown.items() if is_public != (ds_id in public)):
        yield f"{len(wrong)} datasets have another visibility in the index than in PostgreSQL, one is {wrong[0]}"
    found = await annotation_counts(data.search, "annotation")
    if other := sorted(one for one in {*wanted, *found} if wanted.get(one, 0) != found.get(one, 0)):
        yield f"{len(other)} datasets have another number of annotations in the live index than in PostgreSQL, one is {other[0]}"


async def _after(data: Data, chosen: Scenario, side: str, server: Path) -> AsyncIterator[str]:
    """What the scenario's new field asks for: indices of its own, filled before; or a job that fills the old ones."""
    indices = sorted(await data.search.ask("GET", "/_alias"))
    expected = sorted(f"{alias}-{side}" for alias in ALIASES)
    if indices != expected:
        yield f"there are the indices {', '.join(indices)}, expected {', '.join(expected)}"
    if chosen.needed and (without := await lacking(data.search, chosen.field)):
        yield f"{without} annotations of the live index lack {chosen.field}"
    if chosen.needed and side == "yin":
        yield "the pair that was live before is live yet"
    if chosen.field and not chosen.needed and not _jobs(server):
        yield "no job to fill the new field was started on the web server"


def _jobs(server: Path) -> list[str]:
    """Return the web server's jobs that run, or ended well."""
    found = []
    for spec in (server / "jobs").glob("*/wrapper.json"):
        receipt = spec.with_name("status.json")
        if not receipt.exists() or json.loads(receipt.read_text(encoding="utf-8")).get("exit_status") == 0:
            found.append(spec.parent.name)
    return found
