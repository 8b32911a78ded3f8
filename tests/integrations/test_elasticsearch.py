"""What the bot sees of the indices and does to them, on a real Elasticsearch, over SSH."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bot.domain.comparing import compare, differences, dynamic_fields, fingerprint
from bot.domain.errors import Conflict, Refused, Unavailable
from bot.domain.indices import Definition, Side
from bot.domain.layout import Sound, layout, repair_actions, room_needed, swap_actions
from bot.settings_search import ElasticsearchSettings
from integrations.elasticsearch import ElasticIndices
from sandbox.elasticsearch.server import INDICES
from tests.integrations.searching import CODE, MARK, YANG, YIN, create, dataset, fill, live

if TYPE_CHECKING:
    from integrations.ssh import SshHost
    from sandbox.elasticsearch import Elasticsearch


async def test_an_earlier_pair_shows_age_maker_and_what_it_holds(
    indices: ElasticIndices, elastic: Elasticsearch
) -> None:
    nothing = await indices.look()
    assert (nothing.indices, nothing.pointing) == ({}, {"dataset": (), "annotation": ()})

    await create(indices, YIN)
    await create(indices, YANG, made_by="release 3, by somebody")
    await live(elastic, YIN)
    await fill(elastic, YIN)
    for pair in (YIN, YANG):
        await elastic.ask("POST", f"/{','.join(pair.names)}/_refresh")
    seen = await indices.look()

    old, new = seen.indices[YANG.annotation], seen.indices[YIN.annotation]
    assert (old.made_by, new.made_by) == ("release 3, by somebody", MARK)
    assert (old.documents, new.documents) == (0, 9)
    assert abs(datetime.now(UTC) - old.created_at) < timedelta(hours=1)
    assert old.uuid != new.uuid
    assert (old.health, old.open) == ("green", True)
    assert old.definition == new.definition == fingerprint(CODE.annotation), "fields of data told"
    assert old.definition != seen.indices[YANG.dataset].definition
    assert 0 < room_needed(seen) < 10**8
    with pytest.raises(Conflict, match="dataset-yang is there already"):
        await indices.create(index=YANG.dataset, definition=CODE.dataset, made_by=MARK)

    await elastic.ask("POST", f"/{YANG.dataset}/_close")
    assert not (await indices.look()).indices[YANG.dataset].open
    with pytest.raises(Refused, match="is closed"):
        swap_actions(await indices.look())


async def test_only_the_very_index_that_was_seen_is_dropped_and_never_a_live_one(
    indices: ElasticIndices, elastic: Elasticsearch
) -> None:
    for pair in (YIN, YANG):
        await create(indices, pair)
    await live(elastic, YIN)
    before = (await indices.look()).indices
    with pytest.raises(Conflict, match="alias dataset points at dataset-yin: it is live"):
        await indices.drop(index=YIN.dataset, uuid=before[YIN.dataset].uuid)
    with pytest.raises(Refused, match="dataset is an alias"):
        await indices.drop(index="dataset", uuid=before[YIN.dataset].uuid)

    await indices.drop(index=YANG.dataset, uuid=before[YANG.dataset].uuid)
    assert YANG.dataset not in (await indices.look()).indices
    with pytest.raises(Conflict, match="dataset-yang is not there"):
        await indices.drop(index=YANG.dataset, uuid=before[YANG.dataset].uuid)

    # Somebody still writes there: Elasticsearch makes the index anew, with guessed mappings.
    await elastic.ask("PUT", f"/{YANG.dataset}/_doc/1", dataset(1))
    anew = (await indices.look()).indices[YANG.dataset]
    assert anew.uuid != before[YANG.dataset].uuid
    assert anew.definition != before[YANG.dataset].definition
    assert anew.made_by == ""
    with pytest.raises(Conflict, match="another index than the one"):
        await indices.drop(index=YANG.dataset, uuid=before[YANG.dataset].uuid)
    with pytest.raises(Conflict, match="is there already"):
        await indices.create(index=YANG.dataset, definition=CODE.dataset, made_by=MARK)


async def test_nothing_is_written_to_an_index_that_is_not_there(
    indices: ElasticIndices, elastic: Elasticsearch
) -> None:
    await create(indices, YIN)
    await indices.drop(index=YIN.annotation, uuid=(await indices.look()).indices[YIN.annotation].uuid)
    asked = (
        indices.probe(index=YIN.annotation),
        indices.forget(pair=YIN, datasets=["1"]),
        indices.annotation_counts(index=YIN.annotation),
        indices.definition(index=YIN.annotation),
    )
    for one in asked:
        with pytest.raises(Conflict, match="annotation-yin is not there"):
            await one
    here = await elastic.ask("GET", f"/{','.join(INDICES)}?ignore_unavailable=true")
    assert set(here) == {YIN.dataset}


async def test_a_red_index_is_seen_and_never_counted_nor_made_live(
    indices: ElasticIndices, elastic: Elasticsearch
) -> None:
    await create(indices, YIN)
    await live(elastic, YIN)
    await indices.create(index=YANG.dataset, definition=CODE.dataset, made_by=MARK)
    nowhere = {"settings": {"index.number_of_replicas": 0, "index.routing.allocation.require.box": "none"}}
    await elastic.ask("PUT", f"/{YANG.annotation}?wait_for_active_shards=0", nowhere)
    seen = await indices.look()
    assert seen.indices[YANG.annotation].health == "red"
    with pytest.raises(Refused, match="annotation-yang is red"):
        swap_actions(seen)
    for asked in (indices.probe(index=YANG.annotation), indices.annotation_counts(index=YANG.annotation)):
        with pytest.raises(Unavailable, match="annotation-yang is red"):
            await asked


async def test_every_write_is_noticed_also_one_that_changes_no_count(
    indices: ElasticIndices, elastic: Elasticsearch
) -> None:
    await create(indices, YIN)
    await fill(elastic, YIN)
    before = await indices.probe(index=YIN.annotation)
    newest = await indices.newest_write(index=YIN.annotation, dataset=dataset(1)["ds_id"])
    assert before == await indices.probe(index=YIN.annotation), "looking is no write"
    assert before.documents == 9, "isobars are no documents"
    assert await indices.newest_write(index=YIN.annotation, dataset="none") == -1

    await elastic.ask("PUT", f"/{YIN.annotation}/_doc/{dataset(1)['ds_id']}_0", {"ds_id": dataset(1)["ds_id"]})
    after = await indices.probe(index=YIN.annotation)
    assert (after.uuid, after.documents) == (before.uuid, before.documents)
    assert after.writes == before.writes + 1
    assert await indices.newest_write(index=YIN.annotation, dataset=dataset(1)["ds_id"]) > newest


async def test_a_new_pair_is_compared_with_the_live_one_by_document_and_count(
    indices: ElasticIndices, elastic: Elasticsearch
) -> None:
    for pair in (YIN, YANG):
        await create(indices, pair)
        await fill(elastic, pair)
    one, two, three = (dataset(number)["ds_id"] for number in (1, 2, 3))
    added = dataset(1, ds_new={"of": "the new code"})
    added["annotation_counts"][0]["db"]["version"] = "2026"
    await elastic.ask("PUT", f"/{YANG.dataset}/_doc/{one}", added)
    await elastic.ask("PUT", f"/{YANG.dataset}/_doc/{two}", dataset(2, ds_is_public=False))
    await elastic.ask("DELETE", f"/{YANG.annotation}/_doc/{three}_0")
    ignored = {"ds_new", "annotation_counts.db.version"}

    counts = await indices.annotation_counts(index=YANG.annotation)
    assert counts == await indices.annotation_counts(index=YANG.annotation, datasets=[one, two, three])
    assert await indices.annotation_counts(index=YANG.annotation, datasets=["none"]) == {"none": 0}
    live_documents = await indices.dataset_documents(index=YIN.dataset, without=ignored)
    new = await indices.dataset_documents(index=YANG.dataset, without=ignored)
    found = compare(annotations=dict.fromkeys((one, two, three), 3), live=live_documents, new=new, counts=counts)
    assert found.differing == found.visibility == (two,)
    assert found.counts == {three: (3, 2)}, "a count that differs by one"
    whole = await indices.dataset_documents(index=YANG.dataset)
    assert whole[one].digest != (await indices.dataset_documents(index=YIN.dataset))[one].digest

    assert await indices.forget(pair=YANG, datasets=[two, "none"]) == 4
    assert set(await indices.dataset_documents(index=YANG.dataset)) == {one, three}
    assert await indices.annotation_counts(index=YANG.annotation) == {one: 3, three: 2}
    assert len(await indices.dataset_documents(index=YIN.dataset)) == 3


async def test_all_documents_come_however_many_pages_they_fill(
    indices: ElasticIndices, elastic: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.elastic_reading.PAGE", 3)
    monkeypatch.setattr("integrations.elasticsearch._BULK", 2)
    await create(indices, YIN)
    await fill(elastic, YIN, datasets=range(1, 8), each=1)
    ids = [dataset(number)["ds_id"] for number in range(1, 8)]
    assert sorted(await indices.dataset_documents(index=YIN.dataset)) == ids
    assert await indices.annotation_counts(index=YIN.annotation) == dict.fromkeys(ids, 1)
    assert await indices.forget(pair=YIN, datasets=ids) == 14


async def test_samples_agree_where_the_data_does_and_only_there(
    indices: ElasticIndices, elastic: Elasticsearch
) -> None:
    for pair in (YIN, YANG):
        await create(indices, pair)
    assert await indices.sample(pair=YIN) == await indices.sample(pair=YANG), "also where there is no field yet"
    await fill(elastic, YIN)
    await fill(elastic, YANG, datasets=(3, 1, 2))  # another order
    one = await indices.sample(pair=YIN)
    assert one == await indices.sample(pair=YANG)
    assert len(one) >= 6

    await elastic.ask("POST", f"/{YANG.annotation}/_update/{dataset(1)['ds_id']}_0", {"doc": {"adduct": "+Na"}})
    differ = {name for name, said in (await indices.sample(pair=YANG)).items() if one[name] != said}
    assert differ == {"annotations by adduct", "best annotations at FDR 10 %"}
    without = [await indices.sample(pair=pair, without={"adduct"}) for pair in (YIN, YANG)]
    assert len({sample["datasets by name"] for sample in without}) == 1


async def test_a_mapping_that_differs_is_told_field_by_field(indices: ElasticIndices, elastic: Elasticsearch) -> None:
    await create(indices, YIN)
    await fill(elastic, YIN, datasets=[1])
    found = await indices.definition(index=YIN.annotation)
    assert differences(CODE.annotation, found) == ()
    assert "adduct" in dynamic_fields(CODE.annotation, found)
    properties = {**CODE.annotation.mappings["properties"], "msm": {"type": "double"}}  # type: ignore[dict-item]
    newer = Definition({**CODE.annotation.mappings, "properties": properties}, CODE.annotation.settings)
    assert differences(newer, found) == ('field msm is {"type": "float"} in place of {"type": "double"}',)
    # What Elasticsearch guesses, where nobody creates the index first.
    await elastic.ask("PUT", f"/{YANG.annotation}/_doc/1", {"ds_id": "1", "msm": 0.5})
    guessed = differences(CODE.annotation, await indices.definition(index=YANG.annotation))
    assert any(one.startswith("field ds_id is ") for one in guessed)
    assert any(one.startswith("dynamic_templates is nothing") for one in guessed)


async def test_there_is_no_room_once_the_watermark_is_reached(indices: ElasticIndices, elastic: Elasticsearch) -> None:
    if elastic.given:
        pytest.skip("the settings of a cluster of somebody's are left alone")
    free = await indices.room()
    assert 0 < free.until_watermark <= free.free < free.total
    disk = "cluster.routing.allocation.disk."
    for low, high, flood, none in (("9pb", "8pb", "7pb", True), ("1b", "1b", "1b", False), ("1%", "98%", "99%", True)):
        marks = {"low": low, "high": high, "flood_stage": flood}
        settings = {f"{disk}watermark.{name}": value for name, value in marks.items()}
        await elastic.ask("PUT", "/_cluster/settings", {"persistent": {**settings, f"{disk}threshold_enabled": True}})
        room = await indices.room()
        assert (room.until_watermark == 0) == none, low
    assert (await indices.pressure()).queued >= 0


async def test_a_password_is_asked_of_nobody_and_told_to_nobody(host: SshHost, elastic: Elasticsearch) -> None:
    """A port where SSH answers in place of Elasticsearch, and one where nothing does."""
    for port in (host._settings.port, 1):
        where = ElasticsearchSettings.model_validate({"port": port, "user": "sm", "password": "s3cr3t-of-es"})
        wrong = ElasticIndices(host, where, host._clock)
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}") as caught:
            await wrong.look()
        assert "s3cr3t" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__!r}"
        assert "AllowTcpForwarding" in caught.value.hint
        await wrong.close()


async def test_a_dropped_connection_is_made_anew(host: SshHost, indices: ElasticIndices) -> None:
    await create(indices, YIN)
    connection = await host.connection()
    connection.abort()
    assert set((await indices.look()).indices) == set(YIN.names)
    (await host.connection()).abort()
    await indices.change_aliases(actions=repair_actions(await indices.look(), Side.YIN))
    assert isinstance(layout(await indices.look()), Sound)
