"""`/release es` on a real Elasticsearch: what is refused, what is repaired, and that a swap moves both aliases or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.errors import Conflict, Refused
from bot.domain.index_report import Deed, Wish
from bot.domain.indices import Definition, Definitions, Side
from bot.engine.index_guards import failing
from tests.commands.es_world import ANA, BEN, Clock, Datasets, Log, Search
from tests.commands.fakes import Desk
from tests.integrations.searching import CODE, YANG, YIN, create, dataset, fill, point

if TYPE_CHECKING:
    from bot.engine.index_service import IndexService
    from integrations.elasticsearch import ElasticIndices
    from sandbox.elasticsearch import Elasticsearch

ROWS = {dataset(number)["ds_id"]: 3 for number in range(1, 4)}
NEWEST = max(ROWS)
LIVE = [("add", YIN.dataset, "dataset"), ("add", YIN.annotation, "annotation")]


@pytest.fixture
async def search(indices: ElasticIndices, elastic: Elasticsearch) -> Search:
    """Two whole pairs; no alias yet."""
    for pair in (YIN, YANG):
        await create(indices, pair, "U1 E1")
        await fill(elastic, pair)
    made = Search(indices=indices, datasets=Datasets(dict(ROWS)))
    made.reindexing.wanted = CODE
    return made


@pytest.fixture
def service(search: Search) -> IndexService:
    desk: Any = Desk()
    return search.service(desk, Log(), Clock())


async def aliases(search: Search) -> dict[str, tuple[str, ...]]:
    return dict((await search.indices.look()).pointing)


async def asked(service: IndexService, deed: Deed = Deed.SWAP) -> tuple[Wish, list[str]]:
    wish, _, found = await service.wish(deed, "prod", by=ANA)
    return wish, [f"{one.name}: {one.evidence}" for one in failing(found)]


async def test_a_swap_and_the_way_back(search: Search, service: IndexService, elastic: Elasticsearch) -> None:
    await point(elastic, *LIVE)
    wish, wrong = await asked(service)
    assert wrong == []
    await service.carry_out(wish, by=BEN, source="E1")
    assert await aliases(search) == {"dataset": (YANG.dataset,), "annotation": (YANG.annotation,)}
    assert "already" in await service.carry_out(wish, by=BEN, source="E1")
    back, wrong = await asked(service, Deed.SWAP_BACK)
    assert wrong == []
    await service.carry_out(back, by=BEN, source="E2")
    assert await aliases(search) == {"dataset": (YIN.dataset,), "annotation": (YIN.annotation,)}


async def spoiled(elastic: Elasticsearch, search: Search, how: str) -> None:
    document = f"/{YANG.dataset}/_doc/{NEWEST}"
    match how:
        case "one annotation less":
            await elastic.ask("DELETE", f"/{YANG.annotation}/_doc/{NEWEST}_0")
        case "made private meanwhile":
            await elastic.ask("PUT", f"/{YIN.dataset}/_doc/{NEWEST}", dataset(3, ds_is_public=False))
        case "edited meanwhile":
            await elastic.ask("PUT", f"/{YIN.dataset}/_doc/{NEWEST}", dataset(3, ds_name="Another"))
        case "deleted meanwhile":
            del search.datasets.rows[NEWEST]
            await elastic.ask("DELETE", f"/{YIN.dataset}/_doc/{NEWEST}")
        case "missing":
            await elastic.ask("DELETE", document)
        case "another mapping":
            wanted = {**CODE.annotation.mappings, "properties": {**_properties(), "is_mono": {"type": "boolean"}}}
            search.reindexing.wanted = Definitions(CODE.dataset, Definition(wanted, CODE.annotation.settings))


def _properties() -> dict[str, Any]:
    found: Any = CODE.annotation.mappings["properties"]
    return dict(found)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("one annotation less", f"{NEWEST} has 2, not 3"),
        ("made private meanwhile", "No dataset is more or less visible"),
        ("edited meanwhile", "1 differ"),
        ("deleted meanwhile", "1 would come back"),
        ("missing", "1 missing"),
        ("another mapping", "field is_mono is missing"),
    ],
)
async def test_a_difference_of_one_refuses_a_swap_at_the_request_and_at_its_confirmation(
    search: Search, service: IndexService, elastic: Elasticsearch, how: str, said: str
) -> None:
    await point(elastic, *LIVE)
    wish, _ = await asked(service)
    await spoiled(elastic, search, how)
    with pytest.raises(Refused, match="Not so any more"):
        await service.carry_out(wish, by=BEN, source="E1")
    assert await aliases(search) == {"dataset": (YIN.dataset,), "annotation": (YIN.annotation,)}
    _, wrong = await asked(service)
    assert any(said in one for one in wrong), wrong


@pytest.mark.parametrize(
    "pointing",
    [
        [("add", YANG.dataset, "dataset"), ("add", YIN.annotation, "annotation")],
        [*LIVE, ("add", YANG.dataset, "dataset")],
        [("add", YIN.annotation, "annotation")],
        [],
    ],
)
async def test_aliases_out_of_order_are_refused_for_all_but_a_repair(
    search: Search, service: IndexService, elastic: Elasticsearch, pointing: list[tuple[str, str, str]]
) -> None:
    if pointing:
        await point(elastic, *pointing)
    for deed in (Deed.SWAP, Deed.SWAP_BACK, Deed.DROP):
        with pytest.raises(Refused, match="nobody knows which pair is live"):
            await asked(service, deed)
    wish, standing, _ = await service.wish(Deed.REPAIR, "prod", by=ANA, side=Side.YIN)
    assert standing.fault
    assert all(one.fit for one in standing.candidates)
    await service.carry_out(wish, by=ANA, source="E1")
    assert await aliases(search) == {"dataset": (YIN.dataset,), "annotation": (YIN.annotation,)}


async def test_an_earlier_pair_is_shown_and_dropped_by_its_very_id(
    search: Search, service: IndexService, elastic: Elasticsearch, indices: ElasticIndices
) -> None:
    await point(elastic, *LIVE)
    with pytest.raises(Conflict, match=r"dataset-yang is there already, made .* by U1, with \d documents"):
        await service.create("prod", by=ANA, source="E1")
    wish, _ = await asked(service, Deed.DROP)
    await elastic.ask("DELETE", f"/{YANG.dataset}")
    await indices.create(index=YANG.dataset, definition=CODE.dataset, made_by="R7-create_inactive")
    with pytest.raises(Conflict, match="not the indices any more"):
        await service.carry_out(wish, by=BEN, source="E2")
    wish, _ = await asked(service, Deed.DROP)
    await service.carry_out(wish, by=BEN, source="E3")
    assert set((await indices.look()).indices) == set(YIN.names)
    assert await service.create("prod", by=ANA, source="E4") == YANG
    standing = await service.status("prod")
    assert [one.made_by for one in standing.candidate(Side.YANG).indices if one] == ["U02ANA E4"] * 2
