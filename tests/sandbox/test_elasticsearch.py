"""The sandbox's Elasticsearch: what METASPACE's mappings need is there, and what was written outlives a kill."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Refused, Unavailable
from sandbox.elasticsearch import Elasticsearch, demand
from sandbox.elasticsearch.server import GIVEN
from sandbox.processes import Processes
from tests.elastic import elastic, elastic_server  # noqa: F401  # fixtures

if TYPE_CHECKING:
    from pathlib import Path

ANALYSIS = {
    "normalizer": {"default": {"type": "custom", "filter": ["lowercase", "asciifolding"]}},
    "analyzer": {
        "names": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding", "parts"]}
    },
    "filter": {"parts": {"type": "word_delimiter", "catenate_all": True, "preserve_original": True}},
}


@pytest.mark.asyncio(loop_scope="session")  # the server's process belongs to that loop
@pytest.mark.timeout(900)  # the first of all builds the server
async def test_analysis_is_elasticsearchs_own_and_data_outlive_a_kill(elastic: Elasticsearch) -> None:  # noqa: F811
    if elastic.given:
        pytest.skip(f"{GIVEN} names a server that is not ours to kill")
    found = await elastic.ask("GET", "/")
    assert re.fullmatch(r"8\.\d+\.\d+", found["version"]["number"])
    mappings = {
        "properties": {
            "name": {"type": "text", "analyzer": "names"},
            "kind": {"type": "keyword", "normalizer": "default"},
        }
    }
    await elastic.ask(
        "PUT", "/kept", {"settings": {"number_of_replicas": 0, "analysis": ANALYSIS}, "mappings": mappings}
    )
    said = await elastic.ask("POST", "/kept/_analyze", {"field": "name", "text": "Brain_01-Größe"})
    assert {one["token"] for one in said["tokens"]} >= {"brain", "01", "brain01", "grosse"}
    await elastic.ask("PUT", "/kept/_doc/1?refresh=true", {"name": "Brain_01", "kind": "Ünïted"})

    before = elastic.url
    await elastic.kill()
    with pytest.raises(OSError, match="Cannot connect"):
        await elastic.ask("GET", "/")
    await elastic.start()

    assert elastic.url == before
    asked = await elastic.ask("POST", "/kept/_count", {"query": {"term": {"kind": "united"}}})
    assert asked["count"] == 1


async def test_a_given_server_is_used_unless_it_has_indices_of_somebody(
    elastic: Elasticsearch,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv(GIVEN, elastic.url)
    async with Processes(tmp_path) as processes:
        async with Elasticsearch(processes, tmp_path / "es") as given:
            await given.ask("PUT", "/dataset-yang", {})
            with pytest.raises(Unavailable, match="not ours to kill"):
                await given.kill()
        assert not await elastic.ask("GET", "/dataset-yang?ignore_unavailable=true"), "it left what it made"
        await elastic.ask("PUT", "/annotation-yin", {})
        with pytest.raises(Refused, match="has annotation-yin already"):
            async with Elasticsearch(processes, tmp_path / "es"):
                pass
    assert await elastic.ask("GET", "/annotation-yin?ignore_unavailable=true"), "it deleted somebody's index"


def test_a_machine_without_java_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(GIVEN, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="default-jdk") as caught:
        demand()
    assert "ELASTICSEARCH_URL" in caught.value.hint
