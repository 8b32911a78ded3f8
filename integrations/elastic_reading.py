"""What is in the indices: documents and counts by dataset, and the answers to a handful of METASPACE's questions."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Refused
from bot.domain.indices import DatasetDocument

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from bot.domain.indices import Pair
    from integrations.elastic_client import ElasticClient

PAGE = 1000  # documents, or buckets, of one answer
_KEEP = "2m"  # for which Elasticsearch keeps what a search saw, between two pages
_TERMS = 10_000  # dataset ids in one question; Elasticsearch takes 65,536 (index.max_terms_count)
_SOME = 50  # documents of a sample
_BUCKETS = 10_000


async def hits(client: ElasticClient, index: str, query: Mapping[str, Any], *, source: bool) -> AsyncIterator[Any]:
    """Give every document that a query finds, all as of one moment, whatever is written meanwhile."""
    opened = await client.read(lambda es: es.open_point_in_time(index=index, keep_alive=_KEEP))
    point, after = opened["id"], None
    try:
        while True:
            page = await client.read(
                lambda es, point=point, after=after: es.search(  # type: ignore[misc]
                    pit={"id": point, "keep_alive": _KEEP},
                    query=query,
                    size=PAGE,
                    sort=[{"_shard_doc": "asc"}],
                    search_after=after,
                    source=source,
                    track_total_hits=False,
                    allow_partial_search_results=False,
                )
            )
            point, found = page.get("pit_id", point), page["hits"]["hits"]
            for hit in found:
                yield hit
            if len(found) < PAGE:
                return
            after = found[-1]["sort"]
    finally:
        await client.read(lambda es: es.close_point_in_time(id=point))


async def dataset_documents(client: ElasticClient, index: str, without: Collection[str]) -> dict[str, DatasetDocument]:
    """Return a dataset index's documents by dataset id, which is the document's id."""
    found = {}
    async for hit in hits(client, index, {"match_all": {}}, source=True):
        public = hit["_source"].get("ds_is_public")
        found[hit["_id"]] = DatasetDocument(
            digest(stripped(hit["_source"], without)), public if isinstance(public, bool) else None
        )
    return found


async def annotation_counts(client: ElasticClient, index: str, datasets: Collection[str]) -> dict[str, int]:
    """Return the documents of each dataset; of those named, zero included, or of all that there are."""
    if not datasets:
        return await _counted(client, index, {"match_all": {}})
    found = dict.fromkeys(datasets, 0)
    for some in chunks(sorted(datasets), _TERMS):
        found |= await _counted(client, index, {"terms": {"ds_id": some}})
    return found


async def _counted(client: ElasticClient, index: str, query: Mapping[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    after: Mapping[str, Any] = {}
    while True:
        by_dataset: dict[str, Any] = {"size": PAGE, "sources": [{"ds_id": {"terms": {"field": "ds_id"}}}]}
        if after:
            by_dataset["after"] = after
        asked = {"datasets": {"composite": by_dataset}}
        page = await client.read(
            lambda es, asked=asked: es.search(
                index=index, query=query, size=0, aggregations=asked, allow_partial_search_results=False
            )  # type: ignore[misc]
        )
        buckets = page["aggregations"]["datasets"]["buckets"]
        found |= {bucket["key"]["ds_id"]: bucket["doc_count"] for bucket in buckets}
        if len(buckets) < PAGE:
            return found
        after = page["aggregations"]["datasets"]["after_key"]


async def sample(client: ElasticClient, pair: Pair, without: Collection[str]) -> dict[str, str]:
    """Ask both indices what METASPACE's pages ask them (esConnector.ts), and return a digest of each answer.

    An index that cannot answer a question, because a field is mapped so that it may not be sorted by, answers with its refusal.
    """
    public = {"term": {"ds_is_public": True}}
    by_name = [_by("ds_name"), _by("ds_id")]
    first = await _answer(client, pair.dataset, without, sort=by_name, size=1)
    word = str(first[0][1].get("ds_name", "")) if first and isinstance(first[0], list) else ""
    named = {"simple_query_string": {"query": word, "fields": ["ds_name.searchable"], "default_operator": "and"}}
    good = {"bool": {"filter": [{"range": {"fdr": {"lte": 0.1}}}, public]}}
    by_msm = [_by("msm", "desc"), _by("ds_id"), _by("formula"), _by("adduct"), _by("db_id")]
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "best annotations at FDR 10 %": (pair.annotation, {"query": good, "sort": by_msm, "size": _SOME}),
        "annotations by adduct": (pair.annotation, _by_field("adduct")),
        "annotations by dataset": (pair.annotation, _by_field("ds_id")),
        "annotations by database": (pair.annotation, _by_field("db_id")),
        "datasets by name": (pair.dataset, {"sort": by_name, "size": _SOME}),
        "datasets by status": (pair.dataset, _by_field("ds_status")),
        "datasets found by a name": (pair.dataset, {**_by_field("ds_id"), "query": named}),
        "public datasets": (pair.dataset, {**_by_field("ds_id"), "query": public}),
    }
    return {name: digest(await _answer(client, index, without, **how)) for name, (index, how) in asked.items()}


def _by(field: str, order: str = "asc") -> dict[str, Any]:
    """Sort by a field, which no document may have yet."""
    return {field: {"order": order, "unmapped_type": "keyword"}}


def _by_field(field: str) -> dict[str, Any]:
    return {"size": 0, "aggregations": {"by": {"terms": {"field": field, "size": _BUCKETS}}}}


async def _answer(client: ElasticClient, index: str, without: Collection[str], **how: Any) -> list[Any]:
    """Return what an answer says of the data: counts, or documents with what they are sorted by; no scores and no index's name.

    Of a full page, those that are sorted like its last are left out: which of their equals follow, is chance.
    """
    try:
        page = await client.read(lambda es: es.search(index=index, allow_partial_search_results=False, **how))
    except Refused:
        return ["refused"]
    if "aggregations" in page:
        return sorted([str(bucket["key"]), bucket["doc_count"]] for bucket in page["aggregations"]["by"]["buckets"])
    found = page["hits"]["hits"]
    if len(found) == how["size"] > 1:
        found = [hit for hit in found if hit["sort"] != found[-1]["sort"]]
    told = [[hit["sort"], stripped(hit["_source"], without)] for hit in found]
    return sorted(told, key=canonical)


def stripped(document: Any, without: Collection[str], prefix: str = "") -> Any:
    """Return a document without the fields named, dotted; in a list of objects each loses them."""
    if isinstance(document, list):
        return [stripped(one, without, prefix) for one in document]
    if not isinstance(document, dict) or not without:
        return document
    return {
        name: stripped(value, without, f"{prefix}{name}.")
        for name, value in document.items()
        if f"{prefix}{name}" not in without
    }


def canonical(value: Any) -> str:
    """Return the one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's one JSON text."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def chunks(items: Sequence[str], size: int) -> list[Sequence[str]]:
    """Part a list into pieces of at most ``size``."""
    return [items[start : start + size] for start in range(0, len(items), size)]
