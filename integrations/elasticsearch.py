"""METASPACE's search indices over an SSH tunnel. Every write is to a concrete index that was just seen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.domain.comparing import META, fingerprint
from bot.domain.errors import Conflict, Refused, StepFailed, Unavailable
from bot.domain.indices import Aliases, Definition, Index, Probe, Seen, Side
from integrations import elastic_disk, elastic_reading
from integrations.elastic_client import ElasticClient

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bot.domain.indices import AliasAction, DatasetDocument, Pair, Pressure, Room
    from bot.ports import Clock
    from bot.settings_search import ElasticsearchSettings
    from integrations.ssh import SshHost

OURS = "releasebot"
"""Where our marks are in an index's ``_meta``."""

_HINT = "/release es status"
_BULK = 2000  # deletions of one request
_SHARDS = "30s"  # for which a new index may take to start


class ElasticIndices:
    """Implements `bot.search_ports.SearchIndices`; raises `Unavailable`, `Refused` and `Conflict` (`elastic_client`)."""

    def __init__(self, ssh: SshHost, settings: ElasticsearchSettings, clock: Clock) -> None:
        self._aliases = Aliases(settings.dataset_alias, settings.annotation_alias)
        self._client = ElasticClient(ssh, settings)
        self._clock = clock

    async def close(self) -> None:
        """Close the client and its tunnel; the SSH connection stays."""
        await self._client.close()

    async def look(self) -> Seen:
        """Read both aliases and all indices out of one state of the cluster; then health, counts and sizes."""
        try:
            return await self._look()
        except Conflict:  # one of them was deleted between two questions
            return await self._look()

    async def _look(self) -> Seen:
        aliases = (self._aliases.dataset, self._aliases.annotation)
        names = [*aliases, *(name for side in Side for name in self._aliases.pair(side).names)]
        found = await self._client.read(
            lambda es: es.indices.get(
                index=names, ignore_unavailable=True, allow_no_indices=True, expand_wildcards=["open", "closed"]
            )
        )
        health = await self._client.read(lambda es: es.cluster.health(level="indices", expand_wildcards="all"))
        indices = {name: await self._index(name, body, health["indices"].get(name, {})) for name, body in found.items()}
        pointing = {
            alias: tuple(sorted(name for name, body in found.items() if alias in body.get("aliases", {})))
            for alias in aliases
        }
        return Seen(self._aliases, indices, pointing)

    async def room(self) -> Room:
        """Return the disk of the data node with the least room."""
        stats = await self._client.read(lambda es: es.nodes.stats(metric="fs"))
        settings = await self._client.read(
            lambda es: es.cluster.get_settings(include_defaults=True, flat_settings=True)
        )
        return elastic_disk.room(stats, settings)

    async def pressure(self) -> Pressure:
        """Return how busy it is, over all nodes."""
        return elastic_disk.pressure(await self._client.read(lambda es: es.nodes.stats(metric="thread_pool")))

    async def definition(self, *, index: str) -> Definition:
        """Return an index's mappings and settings as Elasticsearch has them."""
        return _definition(await self._concrete(index))

    async def probe(self, *, index: str) -> Probe:
        """Refresh an index and return what it holds and has taken."""
        await self._refresh(index)
        stats = await self._client.read(lambda es: es.indices.stats(index=index, level="shards"))
        counted = await self._client.read(lambda es: es.count(index=index))
        _whole(index, counted)
        one = stats["indices"][index]
        primaries = [shard for copies in one["shards"].values() for shard in copies if shard["routing"]["primary"]]
        return Probe(one["uuid"], counted["count"], sum(shard["seq_no"]["max_seq_no"] + 1 for shard in primaries))

    async def newest_write(self, *, index: str, dataset: str) -> int:
        """Return the highest sequence number among the documents of one dataset; -1 when there are none."""
        await self._refresh(index)
        found = await self._client.read(
            lambda es: es.search(
                index=index,
                query={"term": {"ds_id": dataset}},
                size=1,
                sort=[{"_seq_no": "desc"}],
                seq_no_primary_term=True,
                source=False,
                allow_partial_search_results=False,
            )
        )
        return max((hit["_seq_no"] for hit in found["hits"]["hits"]), default=-1)

    async def dataset_documents(self, *, index: str, without: Collection[str] = ()) -> Mapping[str, DatasetDocument]:
        """Return every dataset document by dataset id, each digest without the fields named."""
        await self._refresh(index)
        return await elastic_reading.dataset_documents(self._client, index, frozenset(without))

    async def annotation_counts(self, *, index: str, datasets: Collection[str] = ()) -> Mapping[str, int]:
        """Return the annotation documents of each dataset."""
        await self._refresh(index)
        return await elastic_reading.annotation_counts(self._client, index, datasets)

    async def sample(self, *, pair: Pair, without: Collection[str] = ()) -> Mapping[str, str]:
        """Ask a fixed handful of queries; return each query's name and a digest of its answer."""
        for index in pair.names:
            await self._refresh(index)
        return await elastic_reading.sample(self._client, pair, frozenset(without))

    async def create(self, *, index: str, definition: Definition, made_by: str) -> None:
        """Create one index with our marks. Raises `Conflict` when it is there, `Unavailable` when it does not start."""
        if await self._client.read(lambda es: es.indices.exists(index=index, expand_wildcards="all")):
            raise _there(index)
        marks = {"made_by": made_by, "made_at": self._clock.now().isoformat()}
        meta = {**_dict(definition.mappings.get(META)), OURS: marks}
        made = await self._client.write(
            lambda es: es.indices.create(
                index=index,
                mappings={**definition.mappings, META: meta},
                settings=dict(definition.settings),
                timeout=_SHARDS,
            )
        )
        if not made["shards_acknowledged"]:
            raise Unavailable(
                f"{index} was created, but its shards have not started after {_SHARDS}.",
                hint="GET _cluster/allocation/explain says why",
                changed=f"{index} is there, empty.",
            )

    async def drop(self, *, index: str, uuid: str) -> None:
        """Delete the very index of that uuid, right after seeing that it is that one and that no alias points at it."""
        body = await self._concrete(index)
        if (found := body["settings"]["index"]["uuid"]) != uuid:
            raise Conflict(
                f"{index} is another index than the one that was to be dropped ({found}, not {uuid}): somebody made it anew.",
                hint=_HINT,
                changed="Nothing.",
            )
        if body["aliases"]:
            pointing = ", ".join(sorted(body["aliases"]))
            raise Conflict(f"The alias {pointing} points at {index}: it is live.", hint=_HINT, changed="Nothing.")
        await self._client.write(lambda es: es.indices.delete(index=index))

    async def change_aliases(self, *, actions: Sequence[AliasAction]) -> None:
        """Apply all actions in one request, then read back; raises `Refused` when Elasticsearch applied none."""
        if not actions:
            return
        named = sorted({action.index for action in actions})
        await self._concrete(*named)
        body = [_action(action) for action in actions]
        try:
            await self._client.write(lambda es: es.indices.update_aliases(actions=body))
        except Conflict as error:  # its word for a removal that finds no alias is 404
            raise Refused(error.message, hint=_HINT, changed="Nothing: no alias was moved.") from error
        seen = await self._client.read(lambda es: es.indices.get(index=named))
        wrong = [
            f"{action.alias} {'does not point' if action.add else 'still points'} at {action.index}"
            for action in actions
            if (action.alias in seen[action.index]["aliases"]) != action.add
        ]
        if wrong:
            raise StepFailed(
                f"The aliases were changed, but somebody changed them again: {'; '.join(wrong)}.",
                hint=_HINT,
                changed="The aliases.",
            )

    async def forget(self, *, pair: Pair, datasets: Collection[str]) -> int:
        """Delete these datasets' documents from both indices of a pair, by id; return how many documents went."""
        gone = 0
        for index in pair.names:
            await self._refresh(index)
            for some in elastic_reading.chunks(sorted(set(datasets)), _BULK):
                query = {"terms": {"ds_id": list(some)}}
                ids = [hit["_id"] async for hit in elastic_reading.hits(self._client, index, query, source=False)]
                for batch in elastic_reading.chunks(ids, _BULK):
                    gone += await self._delete(index, batch)
            await self._refresh(index)
        return gone

    async def _delete(self, index: str, ids: Sequence[str]) -> int:
        await self._concrete(index)
        operations = [{"delete": {"_index": index, "_id": one}} for one in ids]
        done = await self._client.write(lambda es: es.bulk(operations=operations))
        answers = [item["delete"] for item in done["items"]]
        if failed := [answer for answer in answers if answer.get("error")]:
            raise Unavailable(
                f"{len(failed)} of {len(ids)} documents could not be deleted from {index}.",
                hint="try again: what is gone is gone",
                changed=f"{len(ids) - len(failed)} documents were deleted.",
            )
        return sum(answer["result"] == "deleted" for answer in answers)

    async def _index(self, name: str, body: Mapping[str, Any], health: Mapping[str, Any]) -> Index:
        settings = body["settings"]["index"]
        opened = settings.get("verified_before_close") != "true"
        status = health.get("status", "red")
        readable = opened and status != "red"
        counted = await self._client.read(lambda es: es.count(index=name)) if readable else {"count": 0}
        stats = await self._client.read(lambda es: es.indices.stats(index=name, metric="store")) if readable else {}
        marks = _dict(_dict(body["mappings"].get(META)).get(OURS))
        return Index(
            name=name,
            uuid=settings["uuid"],
            health=status,
            documents=counted["count"],
            size=stats["_all"]["total"]["store"]["size_in_bytes"] if readable else 0,
            created_at=datetime.fromtimestamp(int(settings["creation_date"]) / 1000, UTC),
            definition=fingerprint(_definition(body)),
            made_by=str(marks.get("made_by", "")),
            open=opened,
        )

    async def _concrete(self, *names: str) -> Mapping[str, Any]:
        """Return what Elasticsearch says of the first; raises `Conflict` when one is not there, `Refused` for an alias."""
        found = await self._client.read(lambda es: es.indices.get(index=names, ignore_unavailable=True))
        for name in names:
            if any(name in body.get("aliases", {}) for body in found.values()):
                raise Refused(f"{name} is an alias, not an index.", hint=_HINT, changed="Nothing.")
            if name not in found:
                raise Conflict(f"{name} is not there.", hint=_HINT, changed="Nothing.")
        body: Mapping[str, Any] = found[names[0]]
        return body

    async def _refresh(self, index: str) -> None:
        """Make searchable what was written. One that is red would keep us waiting for a minute: it is told at once."""
        await self._concrete(index)
        health = await self._client.read(lambda es: es.cluster.health(index=index))
        if health["status"] == "red":
            said = f"{index} is red: not all of it can be read."
            raise Unavailable(said, hint="GET _cluster/allocation/explain says why", changed="Nothing.")
        _whole(index, await self._client.read(lambda es: es.indices.refresh(index=index)))


def _whole(index: str, answer: Mapping[str, Any]) -> None:
    """Raise `Unavailable` where not every shard answered: counts of a part of an index prove nothing."""
    shards = answer["_shards"]
    if shards["failed"] or not shards["successful"]:
        raise Unavailable(
            f"{index} does not answer whole: {shards['successful']} of {shards['total']} shards.",
            hint="GET _cluster/allocation/explain says why",
            changed="Nothing.",
        )


def _definition(body: Mapping[str, Any]) -> Definition:
    return Definition(body["mappings"], body["settings"])


def _action(action: AliasAction) -> dict[str, Any]:
    where = {"index": action.index, "alias": action.alias}
    return {"add": where} if action.add else {"remove": {**where, "must_exist": True}}


def _there(index: str) -> Conflict:
    return Conflict(f"{index} is there already.", hint=_HINT, changed="Nothing.")


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
