"""METASPACE's data, and its scripts' faults, each shown by what the real Elasticsearch has afterwards."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from bot.domain.errors import NotAllowed, Unavailable, WrongUse
from sandbox.metaspace_data import demand_servers
from sandbox.processes import Processes, free_port, until
from sandbox.scenarios import scenario
from sandbox.verdict_data import data_problems
from tests.elastic import elastic_server
from tests.sandbox.metaspace import DATASETS, Metaspace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.elasticsearch import Elasticsearch

__all__ = ["elastic_server"]

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]
FIELD = "isotope_score"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def built(elastic_server: Elasticsearch) -> AsyncIterator[Metaspace]:
    try:
        demand_servers()
    except Unavailable as error:
        pytest.skip(f"{error.message} ({error.hint})")
    with tempfile.TemporaryDirectory(prefix="rb-data-", dir="/tmp", ignore_cleanup_errors=True) as made:
        root = Path(made)
        root.chmod(0o711)  # noqa: ASYNC240  # PostgreSQL's account has to reach its own folder in it
        await elastic_server.clear()
        async with Processes(root) as processes:
            metaspace = Metaspace(processes, root, elastic_server)
            async with metaspace.data:
                await metaspace.build()
                yield metaspace
        await elastic_server.clear()


@pytest_asyncio.fixture(loop_scope="session")
async def metaspace(built: Metaspace) -> Metaspace:
    """As at first: where a test before has changed an index, all are made anew."""
    if await built.pointing() != {"dataset": {"dataset-yin"}, "annotation": {"annotation-yin"}} or built.dirty:
        await built.refill()
    built.dirty = True
    return built


async def test_the_live_pair_holds_what_the_database_has(metaspace: Metaspace) -> None:
    ids = await metaspace.data.people.ids()
    annotations = await metaspace.data.postgres.run("-d", "sm", "-c", "SELECT count(*) FROM annotation")
    assert len(ids) == DATASETS
    assert await metaspace.counts() == [DATASETS, int(annotations), None, None]
    assert {one: len(await metaspace.documents("annotation", one)) for one in ids[:3]} == {
        one: int(await metaspace.data.postgres.run("-d", "sm", "-v", f"id={one}", script=_ANNOTATIONS))
        for one in ids[:3]
    }
    assert len(await metaspace.data.people.ids(public=False)) == DATASETS // 10
    kinds = ("dataset", "annotation")
    assert await metaspace.data.done_to_indices() == {
        f"index {kind}-yin {what}": 1 for what in ("made", "aliased") for kind in kinds
    }
    status = await metaspace.run("manage_es_index", "status")
    first, second, third, fourth = status.out.splitlines()
    assert first.startswith(f"Active index dataset -> dataset-yin: {DATASETS} docs, ")
    assert first.endswith("MiB")
    assert second == "Inactive index dataset-yang: NOT PRESENT"
    assert third.startswith(f"Active index annotation -> annotation-yin: {annotations} docs, ")
    assert fourth == "Inactive index annotation-yang: NOT PRESENT"


async def test_a_dataset_written_by_the_script_is_the_same_as_in_the_first_filling(metaspace: Metaspace) -> None:
    ids = (await metaspace.data.people.ids())[:2]
    before = [await metaspace.documents(alias, one) for alias in ("dataset", "annotation") for one in ids]
    said = await metaspace.run("update_es_index", "--ds-id", ",".join(ids))
    after = [await metaspace.documents(alias, one) for alias in ("dataset", "annotation") for one in ids]
    assert said.status == 0
    for line in ("Reindexing 2 dataset(s)", "Reindexing 1 out of 2", "Reindexing 2 out of 2"):
        assert line in said.err
    assert [_sorted(one) for one in after] == [_sorted(one) for one in before]


async def test_inactive_writes_to_the_live_pair_and_a_swap_then_empties_it(metaspace: Metaspace) -> None:
    ids = await metaspace.data.people.ids()
    live = await metaspace.counts()
    await metaspace.run("manage_es_index", "--inactive", "create")
    assert await metaspace.counts() == [*live[:2], 0, 0]
    before = await metaspace.writes("annotation-yin")
    said = await metaspace.run("update_es_index", "--inactive", "--ds-file", metaspace.ids_file(*ids[:3]))
    assert said.status == 0
    assert await metaspace.counts() == [*live[:2], 0, 0]
    assert await metaspace.writes("annotation-yin") > before
    assert await metaspace.writes("annotation-yang") == -1
    await metaspace.run("manage_es_index", "swap")
    assert await metaspace.pointing() == {"dataset": {"dataset-yang"}, "annotation": {"annotation-yang"}}
    assert (await metaspace.data.search.ask("GET", "/dataset/_count"))["count"] == 0


async def test_concrete_names_in_a_copy_of_the_configuration_keep_all_writes_in_the_inactive_pair(
    metaspace: Metaspace,
) -> None:
    ids = await metaspace.data.people.ids()
    await metaspace.run("manage_es_index", "--inactive", "create")
    live, before = await metaspace.counts(), await metaspace.writes("annotation-yin")
    arguments = ("--config", metaspace.concrete("yang"), "--ds-file", metaspace.ids_file(*ids))
    said = await metaspace.run("update_es_index", *arguments, code=metaspace.new)
    assert said.status == 0
    assert await metaspace.counts() == [*live[:2], *live[:2]]
    assert await metaspace.writes("annotation-yin") == before
    found = [one for ds_id in ids for one in await metaspace.documents("annotation-yang", ds_id)]
    assert len(found) == live[1]
    assert all(isinstance(one[FIELD], float) for one in found)
    old = [one for ds_id in ids[:3] for one in await metaspace.documents("annotation-yin", ds_id)]
    assert not any(FIELD in one for one in old)


async def test_the_verdict_names_what_a_release_left_undone_and_is_silent_when_all_is_done(
    metaspace: Metaspace,
) -> None:
    chosen, server = scenario("es_required"), metaspace.git.server

    async def verdict() -> list[str]:
        return [one async for one in data_problems(metaspace.data, chosen, server)]

    live = (await metaspace.counts())[1]
    assert await verdict() == [
        f"{live} annotations of the live index lack {FIELD}",
        "the pair that was live before is live yet",
    ]
    ids = await metaspace.data.people.ids()
    await metaspace.run("manage_es_index", "--inactive", "create")
    arguments = ("--config", metaspace.concrete("yang"), "--ds-file", metaspace.ids_file(*ids[1:]))
    await metaspace.run("update_es_index", *arguments, code=metaspace.new)
    await metaspace.run("manage_es_index", "swap")
    found = await verdict()
    assert f"1 datasets are not in the live index, one is {ids[0]}" in found
    assert any(one.startswith("there are the indices annotation-yang, annotation-yin") for one in found)
    await metaspace.run("update_es_index", "--ds-id", ids[0], code=metaspace.new)
    await metaspace.run("manage_es_index", "--inactive", "drop")
    assert await verdict() == []


async def test_a_failed_dataset_is_missing_afterwards_and_the_exit_status_is_zero(metaspace: Metaspace) -> None:
    first, second, third = (await metaspace.data.people.ids())[:3]
    metaspace.data.set_pace(failures={first: -1, second: 1})
    arguments = ("--ds-file", metaspace.ids_file(first, second, third))
    said = await metaspace.run("update_es_index", *arguments)
    assert said.status == 0
    assert f"Failed to reindex(ds_id={first}, ds_name=" in said.err
    assert "Reindexing 3 out of 3" in said.err
    assert [len(await metaspace.documents("dataset", one)) for one in (first, third)] == [0, 1]
    await metaspace.run("update_es_index", *arguments)
    assert [len(await metaspace.documents("dataset", one)) for one in (first, second, third)] == [0, 1, 1]


async def test_a_swap_that_fails_between_leaves_the_pair_half_and_a_drop_then_deletes_what_was_live(
    metaspace: Metaspace,
) -> None:
    await metaspace.run("manage_es_index", "--inactive", "create")
    await metaspace.data.search.ask("DELETE", "/annotation-yang")
    said = await metaspace.run("manage_es_index", "swap")
    assert said.status != 0
    assert await metaspace.pointing() == {"dataset": {"dataset-yang"}, "annotation": {"annotation-yin"}}
    await metaspace.run("manage_es_index", "--inactive", "drop")
    counts = await metaspace.counts()
    assert counts[0] is None, "the dataset index that was live a moment before is gone"
    assert counts[2] == 0


async def test_create_with_drop_deletes_the_live_pair(metaspace: Metaspace) -> None:
    said = await metaspace.run("manage_es_index", "create", "--drop")
    assert said.status == 0
    assert await metaspace.counts() == [0, 0, None, None]
    assert (await metaspace.data.done_to_indices())["index dataset-yin dropped"] > 0


async def test_an_offline_reindex_writes_to_the_live_pair_and_deletes_it(metaspace: Metaspace) -> None:
    said = await metaspace.run("update_es_index", "--offline-reindex", "yes")
    assert said.status == 0
    assert await metaspace.counts() == [None, None, 0, 0]
    assert await metaspace.pointing() == {"dataset": {"dataset-yang"}, "annotation": {"annotation-yang"}}


async def test_some_fields_are_updated_in_place(metaspace: Metaspace) -> None:
    ds_id = (await metaspace.data.people.ids())[0]
    change = "UPDATE dataset SET status = 'FAILED' WHERE id = :'id'"
    await metaspace.data.postgres.run("-d", "sm", "-v", f"id={ds_id}", script=change)
    said = await metaspace.run("update_es_index", "--ds-id", ds_id, "--update-fields", "status")
    assert "Updating 1 out of 1" in said.err
    for alias in ("dataset", "annotation"):
        assert {one["ds_status"] for one in await metaspace.documents(alias, ds_id)} == {"FAILED"}


async def test_the_daemon_tells_the_live_pair_alone_and_new_datasets_wait_while_processing_is_off(
    metaspace: Metaspace,
) -> None:
    people, ids = metaspace.data.people, await metaspace.data.people.ids()
    health = metaspace.git.checkout / "metaspace/graphql/health.json"
    await metaspace.run("manage_es_index", "--inactive", "create")
    daemon = await metaspace.start("updates")
    made = await people.create("Fresh", public=False)
    await people.edit(ids[0], name="Renamed")
    await people.describe(ids[0], metadata={"Sample_Information": {"Organism": "Danio rerio"}})
    await people.show(ids[1], public=False)
    await people.delete(ids[2])
    await people.noticed()
    assert (await metaspace.documents("dataset", made))[0]["ds_name"] == "Fresh"
    assert len(await metaspace.documents("annotation", made)) > 0
    for alias in ("dataset", "annotation"):
        edited = await metaspace.documents(alias, ids[0])
        assert {one["ds_name"] for one in edited} == {"Renamed"}
        assert {one["ds_meta"]["Sample_Information"]["Organism"] for one in edited} == {"Danio rerio"}
        assert {one["ds_is_public"] for one in await metaspace.documents(alias, ids[1])} == {False}
        assert await metaspace.documents(alias, ids[2]) == []
    assert (await metaspace.counts())[2:] == [0, 0]

    health.write_text(json.dumps({"canMutate": True, "canProcessDatasets": False}))
    waiting = await people.create("Later")
    await people.edit(ids[0], name="Renamed again")
    await people.noticed()
    assert await people.waiting() == [("create", waiting)]
    assert waiting not in await people.ids()
    health.write_text(json.dumps({"canMutate": False, "canProcessDatasets": True}))
    with pytest.raises(NotAllowed, match="read-only"):
        await people.edit(ids[0], name="Never")
    health.unlink()
    await people.noticed()
    assert len(await metaspace.documents("dataset", waiting)) == 1
    with pytest.raises(WrongUse, match="no dataset"):
        await people.edit("2000-01-01_00h00m00s", name="Nobody's")
    await metaspace.processes.stop(daemon)


async def test_new_code_on_old_documents_logs_null_errors_until_the_field_is_there(metaspace: Metaspace) -> None:
    home = metaspace.new / "metaspace/graphql"
    (home / "config/production.json").write_text(json.dumps({"jwt": {"secret": "x" * 40}}))
    where = ("--www", str(metaspace.new), "--datasets", str(metaspace.root / "datasets.json"), "--search")
    site = await metaspace.start("graphql", "--port", str(free_port()), *where, checkout=metaspace.new)
    missing = "ERROR - Cannot return null for non-nullable field Annotation.isotopeScore."

    async def complains() -> bool:
        return missing in site.log.read_text()

    await until(complains, what="sm-graphql's complaint", deadline=60, child=site)
    ids = metaspace.ids_file(*await metaspace.data.people.ids())
    assert (await metaspace.run("update_es_index", "--ds-file", ids, code=metaspace.new)).status == 0
    await metaspace.data.search.ask("POST", "/_refresh")
    said: list[int] = []

    async def quiet() -> bool:
        said.append(site.log.read_text().count(missing))
        return len(said) > 80 and said[-1] == said[-80]  # four seconds: two looks

    await until(quiet, what="an end of the complaints", deadline=60, child=site)
    await metaspace.processes.stop(site)


def _sorted(documents: list[dict[str, object]]) -> list[str]:
    return sorted(json.dumps(one, sort_keys=True) for one in documents)


_ANNOTATIONS = "SELECT count(*) FROM annotation a JOIN job j ON j.id = a.job_id WHERE j.ds_id = :'id'"
