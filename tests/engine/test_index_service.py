"""Deeds on search indices with the real desk, lock and log, on both databases: once, whoever asks again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from bot.domain.errors import Conflict, Held, Refused
from bot.domain.index_report import Deed, Wish
from bot.engine.desk import Desk
from bot.engine.index_log import IndexLog
from bot.engine.store import Store
from bot.engine.tables import EventRow
from tests.commands.es_world import ANA, BEN, KilledError, Search
from tests.engine.clock import FakeClock
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.engine.index_service import IndexService


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with Store(url) as opened:
        yield opened


@pytest.fixture
def search() -> Search:
    return Search()


def bot(store: Store, search: Search) -> tuple[Desk, IndexService]:
    """One replica."""
    clock = FakeClock()
    desk = Desk(store, clock=clock)
    return desk, search.service(desk, IndexLog(store, clock=clock), clock)


async def asked(service: IndexService, deed: Deed = Deed.SWAP) -> Wish:
    wish, _, found = await service.wish(deed, "prod", by=ANA)
    assert all(one.holds for one in found)
    return wish


async def kinds(store: Store) -> list[str]:
    async with store.reading() as session:
        found = await session.scalars(select(EventRow.kind).order_by(EventRow.id))
        return [one for one in found if one.startswith("indices.")]


async def test_a_killed_swap_is_found_done_by_the_other_replica_and_noted_once(store: Store, search: Search) -> None:
    _, service = bot(store, search)
    wish = await asked(service)
    search.indices.dies = True
    with pytest.raises(KilledError):
        await service.carry_out(wish, by=BEN, source="E1 C1/1")
    desk, other = bot(store, search)
    assert "already" in await other.carry_out(wish, by=BEN, source="E1 C1/1")
    assert await kinds(store) == ["indices.begun", "indices.swapped"]
    assert len(search.indices.requests) == 1
    assert await desk.lock_of("prod") is None


async def test_two_replicas_that_carry_the_same_request_out_move_the_aliases_once(store: Store, search: Search) -> None:
    desk, first = bot(store, search)
    _, second = bot(store, search)
    wish = await asked(first)
    both = await asyncio.gather(
        *(one.carry_out(wish, by=BEN, source="E1 C1/1") for one in (first, second)), return_exceptions=True
    )
    assert [one for one in both if isinstance(one, str)]
    assert all(isinstance(one, (str, Refused, Conflict)) for one in both), both
    assert len(search.indices.requests) == 1
    assert await kinds(store) == ["indices.begun", "indices.swapped"]
    assert await desk.lock_of("prod") is None


async def test_a_release_that_holds_the_lock_keeps_the_indices_as_they_are(store: Store, search: Search) -> None:
    desk, service = bot(store, search)
    wish = await asked(service)
    await desk.start(plan=worlds.plan(), checklist="", by="U1")
    for deed in (Deed.SWAP, Deed.DROP):
        with pytest.raises(Held, match="R1 holds it"):
            await service.wish(deed, "prod", by=ANA)
    with pytest.raises(Held):
        await service.carry_out(wish, by=BEN, source="E1")
    assert await kinds(store) == []
    assert search.indices.requests == []


async def test_a_drop_that_was_cut_short_goes_on_where_it_was(store: Store, search: Search) -> None:
    _, service = bot(store, search)
    wish = await asked(service, Deed.DROP)
    del search.indices.content["dataset-yang"]  # an earlier try got so far
    await service.carry_out(wish, by=BEN, source="E2")
    assert set(search.indices.content) == {"dataset-yin", "annotation-yin"}
    assert await kinds(store) == ["indices.begun", "indices.dropped"]


async def test_the_state_is_looked_at_again_right_before(store: Store, search: Search) -> None:
    _, service = bot(store, search)
    wish = await asked(service)
    search.indices.pointing = {"dataset": ("dataset-yin", "dataset-yang"), "annotation": ("annotation-yin",)}
    with pytest.raises(Refused, match="readers see both"):
        await service.carry_out(wish, by=BEN, source="E3")
    late = replace(wish, asked_at=wish.asked_at - timedelta(days=1))
    with pytest.raises(Conflict, match="minutes ago"):
        await service.carry_out(late, by=BEN, source="E4")
    assert search.indices.requests == []


async def test_an_answer_that_was_lost_is_looked_for_in_the_world(store: Store, search: Search) -> None:
    _, service = bot(store, search)
    wish = await asked(service)
    search.indices.loses_answer = True
    assert await service.carry_out(wish, by=BEN, source="E5") == "yang is live on prod."
    assert await kinds(store) == ["indices.begun", "indices.swapped"]
