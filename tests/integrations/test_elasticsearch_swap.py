"""What readers see while pairs are swapped, and what becomes of aliases that name no pair."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from bot import permit
from bot.domain.errors import Conflict, Refused
from bot.domain.indices import AliasAction, Side
from bot.domain.layout import Broken, Fault, Sound, layout, repair_actions, swap_actions
from bot.engine.records import LeaseLost
from tests.integrations.searching import CODE, YANG, YIN, create, dataset, fill, live, metaspaces_swap, point

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from integrations.elasticsearch import ElasticIndices
    from sandbox.elasticsearch import Elasticsearch


@pytest.fixture
async def two_pairs(indices: ElasticIndices, elastic: Elasticsearch) -> None:
    """Both pairs, a dataset in each, yin live."""
    for pair in (YIN, YANG):
        await create(indices, pair)
        await fill(elastic, pair, datasets=[1], each=1)
        await elastic.ask("POST", f"/{','.join(pair.names)}/_refresh")
    await live(elastic, YIN)


@asynccontextmanager
async def reading(elastic: Elasticsearch) -> AsyncIterator[dict[str, int]]:
    """What a reader in another process has seen meanwhile, filled in at the end."""
    argv = [sys.executable, "-m", "tests.integrations.searchreader", elastic.host, str(elastic.port)]
    pipe = asyncio.subprocess.PIPE
    reader = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe)
    assert reader.stdin is not None
    assert reader.stdout is not None
    counts: dict[str, int] = {}
    try:
        assert await reader.stdout.readline() == b"reading\n"
        yield counts
    finally:
        reader.stdin.close()
        said = await reader.stdout.read()
        await reader.wait()
    counts |= json.loads(said)


@pytest.mark.timeout(600)  # a hundred swaps, each written to disk
@pytest.mark.usefixtures("two_pairs")
async def test_a_reader_never_sees_a_swap_of_ours_half_done_but_sees_metaspaces(
    indices: ElasticIndices, elastic: Elasticsearch
) -> None:
    there = swap_actions(await indices.look())
    back = tuple(AliasAction(add=not one.add, alias=one.alias, index=one.index) for one in there)
    async with reading(elastic) as ours:
        for _ in range(50):
            await indices.change_aliases(actions=there)
            await indices.change_aliases(actions=back)
    async with reading(elastic) as theirs:
        for _ in range(5):
            await metaspaces_swap(elastic, YIN, YANG)
            await metaspaces_swap(elastic, YANG, YIN)
    assert set(ours) == {"whole"}
    assert theirs.keys() - {"whole"}, theirs


@pytest.mark.usefixtures("two_pairs")
async def test_aliases_that_name_no_pair_are_told_and_repaired_at_once(
    indices: ElasticIndices, elastic: Elasticsearch
) -> None:
    await elastic.ask("PUT", "/sm-old", {})
    cases = [
        (Fault.HALF_SWAPPED, [("remove", YIN.dataset, "dataset"), ("add", YANG.dataset, "dataset")]),
        (Fault.DOUBLED, [("add", YANG.annotation, "annotation")]),
        (Fault.MISSING, [("remove", YIN.dataset, "dataset")]),
        (Fault.FOREIGN, [("add", "sm-old", "dataset")]),
    ]
    for fault, changes in cases:
        await point(elastic, *changes)
        found = layout(await indices.look())
        assert isinstance(found, Broken), fault
        assert found.faults == (fault,)
        assert {one.side for one in found.candidates} == set(Side)
        with pytest.raises(Refused):
            swap_actions(await indices.look())
        repair = next(one for one in found.candidates if one.side is Side.YIN)
        assert repair.holds == "dataset-yin 1 documents, annotation-yin 1 documents"
        await indices.change_aliases(actions=repair.actions)
        healed = layout(await indices.look())
        assert isinstance(healed, Sound), fault
        assert healed.live is Side.YIN
    await elastic.ask("DELETE", "/sm-old")


@pytest.mark.usefixtures("two_pairs")
async def test_one_bad_action_keeps_all_of_them_back(indices: ElasticIndices, elastic: Elasticsearch) -> None:
    before = await indices.look()
    swap = swap_actions(before)
    await point(elastic, ("remove", YIN.annotation, "annotation"), ("add", YANG.annotation, "annotation"))
    half = await indices.look()
    with pytest.raises(Refused, match="annotation") as caught:
        await indices.change_aliases(actions=swap)
    assert "no alias was moved" in caught.value.changed
    assert (await indices.look()).pointing == half.pointing

    await elastic.ask("DELETE", f"/{YANG.dataset}")
    with pytest.raises(Conflict, match="dataset-yang is not there"):
        await indices.change_aliases(actions=swap)
    with pytest.raises(Refused, match="dataset-yang is not there"):
        repair_actions(await indices.look(), Side.YANG)
    assert not await elastic.ask("GET", "/dataset-yang?ignore_unavailable=true"), "an index was made by the way"


async def test_an_index_that_took_an_aliass_name_is_named(indices: ElasticIndices, elastic: Elasticsearch) -> None:
    await create(indices, YIN)
    await point(elastic, ("add", YIN.annotation, "annotation"))
    await elastic.ask("PUT", "/dataset/_doc/1", {"ds_id": "1"})  # as the update daemon does while the alias is away
    found = layout(await indices.look())
    assert isinstance(found, Broken)
    assert found.faults == (Fault.SQUATTED,)
    assert found.candidates == ()
    await elastic.ask("DELETE", "/dataset")


@pytest.mark.usefixtures("two_pairs")
async def test_who_lost_the_lease_changes_nothing_any_more(indices: ElasticIndices) -> None:
    before = await indices.look()

    def lost(_: float = 0.0) -> None:
        raise LeaseLost("gone")

    with permit.under(lost):
        for effect in (
            indices.change_aliases(actions=swap_actions(before)),
            indices.drop(index=YANG.dataset, uuid=before.indices[YANG.dataset].uuid),
            indices.forget(pair=YANG, datasets=[dataset(1)["ds_id"]]),
            indices.create(index="annotation-new", definition=CODE.annotation, made_by="nobody"),
        ):
            with pytest.raises(LeaseLost):
                await effect
    assert await indices.look() == before
