"""A release that reindexes beside people who edit; before it, the same by hand as METASPACE's wiki says."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from bot.engine.index_guards import ANNOTATIONS, DATASETS
from bot.views import ids as names
from bot.views.es import FAILS
from sandbox.options import Options
from sandbox.play import Player, _has_action, _key, elements
from sandbox.processes import until
from sandbox.slack import APPROVER, BOT, RELEASER
from sandbox.supervisor import Pace
from sandbox.verdict import look, problems, text_of
from sandbox.verdict_data import annotation_counts, lacking, pointed_at
from sandbox.world import World
from tests.scenarios.indexing import Reader, by_hand, document, done, standing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("servers")]
NUMBER = 24  # datasets
SOME = 6  # datasets that are indexed before people edit
HELD = 3600.0  # seconds for a dataset: until the pace is set again
YIN = {"dataset": ["dataset-yin"], "annotation": ["annotation-yin"]}
YANG = {"dataset": ["dataset-yang"], "annotation": ["annotation-yang"]}


class Dropping(Player):
    """Lets an earlier inactive pair be dropped, too, once it has typed its name."""

    def _next_button(self, messages: Sequence[Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]] | None:
        return super()._next_button(messages) or self._drop(messages)

    def _drop(self, messages: Sequence[Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]] | None:
        if time.monotonic() < self.patience:
            return None
        for message in messages:
            for element in elements(message):
                asked = str(element.get("text", {}).get("text", "")).startswith("Drop it")
                if asked and message.get("user") == BOT and _key(element) not in self.pressed:
                    self.person = RELEASER.id
                    return str(message["ts"]), element
        return None


@dataclass(frozen=True, slots=True)
class Edits:
    """What people did while datasets were indexed."""

    hidden: str
    edited: str
    deleted: str
    created: str


async def test_what_people_change_during_a_reindex_is_never_undone_by_the_swap() -> None:
    options = Options(scenario="es_required", datasets=NUMBER, build_seconds=0, pace=Pace(start=0), play_deadline=1500)
    async with World(options) as world:
        await world.start_bot()
        before = await look(world)
        await as_the_wiki_says(world)
        reader = Reader(world.search, "", "")
        set_pace(world, 1.0)
        async with asyncio.TaskGroup() as group:
            beside = group.create_task(people_and_reader(world, reader))
            failure = await Dropping(world).release()
            assert not failure, world.bot.last_words(40) if world.bot else failure
            wrong = await problems(world, before, await world.slack.messages())
            beside.cancel()
        assert wrong == []
        print(f"the reader saw {dict(reader.seen)}")
        assert set(reader.seen) == {("yin", False, False), ("yang", False, False)}
        await every_dataset_is_there(world, reader)


async def as_the_wiki_says(world: World) -> None:
    """Fill the inactive pair by METASPACE's own ``--inactive``, and ask for a swap: refused, and from then on nothing has changed.

    The script itself writes to the live pair: that is its fault, and why nobody may swap after it.
    """
    first = await standing(world.search)
    assert set(first) == {"dataset-yin", "annotation-yin"}
    await by_hand(world, "manage_es_index", "--inactive", "create")
    ids = world.root / "ids.txt"
    ids.write_text("".join(f"{one}\n" for one in await world.people.ids()), encoding="ascii")
    await by_hand(world, "update_es_index", "--inactive", "--ds-file", str(ids))
    faulty = await standing(world.search)
    assert (faulty["dataset-yang"], faulty["annotation-yang"]) == ((0, -1), (0, -1))
    for index, (documents, newest) in first.items():
        assert faulty[index][0] == documents
        assert faulty[index][1] > newest, "all of it went to the live pair"
    await world.slack.command(APPROVER.id, "es swap")

    async def refused() -> bool:
        return any("Refused:" in text_of(one) for one in await world.slack.messages())

    await until(refused, what="the refusal", deadline=300)
    messages = await world.slack.messages()
    said = next(text_of(one) for one in messages if "Refused:" in text_of(one))
    for guard in (f"{DATASETS}: {NUMBER} missing", ANNOTATIONS):
        assert f"{FAILS} – {guard}" in said, said
    assert not _has_action(messages, names.ES_CONFIRM)
    assert await standing(world.search) == faulty
    assert await pointed_at(world.search) == YIN


async def people_and_reader(world: World, reader: Reader) -> None:
    """Let people work in the middle of the reindex, then read until the end. All they do is done to datasets that are indexed already."""
    server, people = world.git.server, world.people

    async def some_done() -> bool:
        return len(done(server)) >= SOME

    await until(some_done, what="some indexed datasets", deadline=900)
    set_pace(world, HELD)
    public = set(await people.ids(public=True))
    hidden, edited, deleted, *_ = sorted(done(server) & public)
    await people.show(hidden, public=False)
    await people.edit(edited, name="Renamed meanwhile")
    await people.delete(deleted)
    created = await people.create("Born meanwhile")
    await people.noticed()
    await world.search.ask("POST", "/_refresh")
    assert len(done(server)) < NUMBER, "it was in the middle"
    await as_only_the_live_pair_has_heard(world, Edits(hidden, edited, deleted, created))
    reader.hidden, reader.deleted = hidden, deleted
    set_pace(world, 0)
    await reader.read()


async def as_only_the_live_pair_has_heard(world: World, edits: Edits) -> None:
    """What a swap at this moment would do: show what was hidden, bring back what was deleted."""
    found = {
        (side, one): await document(world.search, f"dataset-{side}", one)
        for side in ("yin", "yang")
        for one in (edits.hidden, edits.edited, edits.deleted, edits.created)
    }
    public = {side: (found[side, edits.hidden] or {})["ds_is_public"] for side in ("yin", "yang")}
    assert public == {"yin": False, "yang": True}
    assert {side: found[side, edits.deleted] is not None for side in ("yin", "yang")} == {"yin": False, "yang": True}
    renamed = {side: (found[side, edits.edited] or {})["ds_name"] for side in ("yin", "yang")}
    assert renamed["yin"] == "Renamed meanwhile" != renamed["yang"]
    assert {side: found[side, edits.created] is not None for side in ("yin", "yang")} == {"yin": True, "yang": False}


async def every_dataset_is_there(world: World, reader: Reader) -> None:
    """`problems` has compared every dataset with PostgreSQL; here the counts, and what became of people's work, in the live pair."""
    search, ids = world.search, await world.people.ids()
    live = await standing(search)
    annotations = int(await world.postgres.run("-d", "sm", "-c", "SELECT count(*) FROM annotation"))
    assert await pointed_at(search) == YANG
    assert {name: count for name, (count, _) in live.items()} == {
        "dataset-yang": NUMBER,
        "annotation-yang": annotations,
    }
    assert await lacking(search, world.scenario.field) == 0
    assert (await document(search, "dataset", reader.hidden) or {})["ds_is_public"] is False
    assert await document(search, "dataset", reader.deleted) is None
    assert reader.deleted not in await annotation_counts(search, "annotation")
    shown = {name for one in ids for name in [(await document(search, "dataset", one) or {}).get("ds_name")]}
    assert {"Renamed meanwhile", "Born meanwhile"} <= shown


def set_pace(world: World, seconds: float) -> None:
    """Let METASPACE's script take so long for a dataset."""
    assert world.data is not None
    world.data.set_pace(seconds=seconds)
