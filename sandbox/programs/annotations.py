"""What sm-graphql serves from the search indices: the deployed schema's annotations, by the deployed resolvers.

A resolver is a line of the checkout's controller: ``field: (hit) => hit._source.name``, with or without a fallback.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from graphql import build_schema, graphql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from graphql import GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema

EVERY = 2.0  # seconds between two looks at a few annotations
_FEW = 5
_RESOLVER = re.compile(
    r"^\s*(?P<field>\w+): \(hit\) => hit\._source\.(?P<name>\w+)(?P<fallback>\s*\?\?)?", re.MULTILINE
)
_QUERIES = """
extend type Query {
  allAnnotations(limit: Int = 5): [Annotation!]!
  countAnnotations: Int!
  countAllDatasets: Int!
  dataset(id: String!): Dataset
}
type Dataset { id: String! name: String! isPublic: Boolean! }
"""

log = logging.getLogger("sm-graphql")


@dataclass(frozen=True, slots=True)
class Resolver:
    """How one field comes from a document."""

    field: str
    name: str
    fallback: bool


@dataclass
class Search:
    """The indices behind the two aliases."""

    url: str
    login: aiohttp.BasicAuth | None
    dataset: str
    annotation: str
    resolvers: Sequence[Resolver]
    session: aiohttp.ClientSession | None = None

    @classmethod
    def of(cls, checkout: Path) -> Search:
        """Read the deployed configuration and resolvers."""
        text = (checkout / "metaspace/engine/conf/config.json").read_text(encoding="utf-8")
        known = json.loads(text)["elasticsearch"]
        login = aiohttp.BasicAuth(known["user"], known["password"]) if known.get("user") else None
        code = (checkout / "metaspace/graphql/src/modules/annotation/controller.ts").read_text(encoding="utf-8")
        found = [Resolver(one["field"], one["name"], bool(one["fallback"])) for one in _RESOLVER.finditer(code)]
        url = f"http://{known['host']}:{known['port']}"
        return cls(url, login, known["dataset_index"], known["annotation_index"], found)

    async def allAnnotations(self, _: GraphQLResolveInfo[Any], limit: int) -> list[dict[str, Any]]:  # noqa: N802
        """Return some annotations, any of them."""
        hits = await self._some(limit)
        return [{"id": hit["_id"], **{r.field: hit["_source"].get(r.name) for r in self.resolvers}} for hit in hits]

    async def countAnnotations(self, _: GraphQLResolveInfo[Any]) -> int:  # noqa: N802
        """Count all annotations."""
        return int((await self._ask(f"/{self.annotation}/_count", {}))["count"])

    async def countAllDatasets(self, _: GraphQLResolveInfo[Any]) -> int:  # noqa: N802
        """Count all datasets, also private ones."""
        return int((await self._ask(f"/{self.dataset}/_count", {}))["count"])

    async def dataset_of(self, _: GraphQLResolveInfo[Any], id: str) -> Mapping[str, Any] | None:  # noqa: A002
        """Return a dataset as a stranger sees it: whether one may is decided from the index alone, as in METASPACE."""
        query = {"query": {"bool": {"filter": [{"term": {"ds_id": id}}, {"term": {"ds_is_public": True}}]}}}
        hits = (await self._ask(f"/{self.dataset}/_search", query))["hits"]["hits"]
        found = [one["_source"] for one in hits]
        return {"id": id, "name": found[0]["ds_name"], "isPublic": True} if found else None

    async def watch(self, schema: GraphQLSchema) -> None:
        """Ask for a few annotations again and again, and log what goes wrong: what people's pages would meet."""
        kind = cast("GraphQLObjectType", schema.type_map["Annotation"])
        query = f"{{ allAnnotations(limit: {_FEW}) {{ {' '.join(kind.fields)} }} }}"
        while True:
            result = await graphql(schema, query, self)
            for message in sorted({error.message for error in result.errors or ()}):
                log.error("%s", message)
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # told as the query's own error
                await self._tell_fallbacks()
            await asyncio.sleep(EVERY)

    async def close(self) -> None:
        """End the connection."""
        if self.session is not None:
            await self.session.close()

    async def _tell_fallbacks(self) -> None:
        wanted = [one for one in self.resolvers if one.fallback]
        hits = await self._some(_FEW) if wanted else ()
        for one in wanted:
            without = sum(1 for hit in hits if hit["_source"].get(one.name) is None)
            if without:
                log.info(
                    "Annotation.%s falls back: %d of %d documents lack %s", one.field, without, len(hits), one.name
                )

    async def _some(self, limit: int) -> Sequence[Mapping[str, Any]]:
        query = {"size": limit, "query": {"function_score": {"random_score": {}}}}
        found: Sequence[Mapping[str, Any]] = (await self._ask(f"/{self.annotation}/_search", query))["hits"]["hits"]
        return found

    async def _ask(self, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        if self.session is None:
            self.session = aiohttp.ClientSession(auth=self.login, timeout=aiohttp.ClientTimeout(total=10))
        async with self.session.post(f"{self.url}{path}", json=query) as answer:
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found


def schema_of(base: str, checkout: Path) -> GraphQLSchema:
    """Return the stand-in's schema with the deployed annotations in it."""
    deployed = (checkout / "metaspace/graphql/schemas/annotation.graphql").read_text(encoding="utf-8")
    return build_schema(base + _QUERIES + deployed)
