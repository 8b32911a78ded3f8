"""Indices of METASPACE's shape for tests: definitions, documents, and how METASPACE itself swaps (METASPACE's es_export.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.indices import Definition, Definitions, Pair

if TYPE_CHECKING:
    from collections.abc import Iterable

    from integrations.elasticsearch import ElasticIndices
    from sandbox.elasticsearch import Elasticsearch

YIN, YANG = Pair("dataset-yin", "annotation-yin"), Pair("dataset-yang", "annotation-yang")
MARK = "release 7, create_inactive"
_FILTERS = ["lowercase", "asciifolding"]
_SETTINGS = {
    "number_of_shards": 1,
    "number_of_replicas": 0,
    "analysis": {
        "normalizer": {"default": {"type": "custom", "filter": _FILTERS}},
        "analyzer": {"names": {"type": "custom", "tokenizer": "standard", "filter": [*_FILTERS, "parts"]}},
        "filter": {"parts": {"type": "word_delimiter", "catenate_all": True, "preserve_original": True}},
    },
}
_STRINGS = {"type": "keyword", "normalizer": "default", "fields": {"raw": {"type": "keyword"}}}
_DATASET = {
    "ds_id": {"type": "keyword"},
    "ds_name": {"type": "keyword", "fields": {"searchable": {"type": "text", "analyzer": "names"}}},
}
_ANNOTATION = {
    **_DATASET,
    **{name: {"type": "float"} for name in ("msm", "fdr")},
    "db_version": {"type": "keyword"},
    "isobars": {"properties": {"ion": {"type": "keyword"}}},
}


def _made(properties: dict[str, Any]) -> Definition:
    templates = [{"strings": {"match_mapping_type": "string", "mapping": _STRINGS}}]
    return Definition({"dynamic_templates": templates, "properties": properties}, {"index": _SETTINGS})


CODE = Definitions(_made(_DATASET), _made(_ANNOTATION))


def dataset(number: int, **changes: Any) -> dict[str, Any]:
    made = {
        "ds_id": f"2026-01-{number:02}_10h",
        "ds_name": f"Brain_{number:02}-Größe",
        "ds_status": "FINISHED",
        "ds_is_public": True,
        "ds_config": {"fdr": {"decoy": 20}, "version": 1},
        "annotation_counts": [{"db": {"id": 1, "name": "HMDB"}, "counts": [{"level": 10, "n": number}]}],
    }
    return {**made, **changes}


def annotations(number: int, count: int) -> list[dict[str, Any]]:
    ds = dataset(number)
    one = {"ds_id": ds["ds_id"], "ds_name": ds["ds_name"], "ds_is_public": True, "db_id": 1, "adduct": "+H"}
    return [{**one, "formula": f"C{n}H6", "msm": 0.5, "fdr": 0.05, "isobars": [{"ion": "x"}]} for n in range(count)]


async def create(indices: ElasticIndices, pair: Pair, made_by: str = MARK) -> None:
    await indices.create(index=pair.dataset, definition=CODE.dataset, made_by=made_by)
    await indices.create(index=pair.annotation, definition=CODE.annotation, made_by=made_by)


async def fill(elastic: Elasticsearch, pair: Pair, *, datasets: Iterable[int] = range(1, 4), each: int = 3) -> None:
    """Put in so many datasets, with so many annotations each."""
    for number in datasets:
        one = dataset(number)
        await elastic.ask("PUT", f"/{pair.dataset}/_doc/{one['ds_id']}", one)
        for place, annotation in enumerate(annotations(number, each)):
            await elastic.ask("PUT", f"/{pair.annotation}/_doc/{one['ds_id']}_{place}", annotation)


async def point(elastic: Elasticsearch, *actions: tuple[str, str, str]) -> None:
    """Change aliases by hand: (add or remove, index, alias)."""
    body = [{verb: {"index": index, "alias": alias}} for verb, index, alias in actions]
    await elastic.ask("POST", "/_aliases", {"actions": body})


async def live(elastic: Elasticsearch, pair: Pair) -> None:
    await point(elastic, ("add", pair.dataset, "dataset"), ("add", pair.annotation, "annotation"))


async def metaspaces_swap(elastic: Elasticsearch, old: Pair, new: Pair) -> None:
    """Four operations, one alias after the other, each added before it is removed."""
    for alias, before, after in zip(("dataset", "annotation"), old.names, new.names, strict=True):
        await point(elastic, ("add", after, alias))
        await point(elastic, ("remove", before, alias))
