"""sm-graphql: serves the built webapp, and ``/graphql`` with METASPACE's rules for the health switches.

The rules are those of metaspace/graphql/src/modules/system/controller.ts and modules/auth/controller.ts: the mutation replaces
the whole state and returns null; only an admin's JWT (HS256) may call it, an API key never; ``health.json`` exists only while
the state differs from the default.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
from aiohttp import web
from graphql import GraphQLError, build_schema, graphql

from sandbox.programs.annotations import Search, schema_of
from sandbox.programs.datasets import Datasets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from graphql import GraphQLResolveInfo, GraphQLSchema

BASE = """
type SystemHealth { canMutate: Boolean! canProcessDatasets: Boolean! message: String }
input UpdateSystemHealthInput { canMutate: Boolean! canProcessDatasets: Boolean! message: String }
input DatasetFilter { ids: String name: String status: String }
type Query {
  systemHealth: SystemHealth!
  countDatasets(filter: DatasetFilter = {}, simpleQuery: String): Int!
}
type Mutation { updateSystemHealth(health: UpdateSystemHealthInput!): Boolean }
"""
DEFAULT = {"canMutate": True, "canProcessDatasets": True, "message": None}

log = logging.getLogger("sm-graphql")


@dataclass
class Health:
    """The switches, kept over restarts."""

    file: Path

    def read(self) -> Mapping[str, Any]:
        """Return the state; the default when the file is missing or unreadable."""
        try:
            return {**DEFAULT, **json.loads(self.file.read_text(encoding="utf-8"))}
        except (OSError, ValueError):
            return DEFAULT

    def replace(self, state: Mapping[str, Any]) -> None:
        """Forget the old state altogether."""
        fresh = {**DEFAULT, **state}
        if fresh == DEFAULT:
            self.file.unlink(missing_ok=True)
        else:
            self.file.write_text(json.dumps(fresh), encoding="utf-8")


@dataclass(frozen=True)
class Caller:
    """Who asks: the user of a valid JWT, or an API key, or nobody."""

    role: str = "anonymous"
    api_key: bool = False

    @classmethod
    def of(cls, authorization: str, secret: str) -> Caller:
        """Read the Authorization header. A bad or expired token makes nobody of its bearer."""
        kind, _, credentials = authorization.partition(" ")
        if kind.lower() == "api-key":
            return cls(role="admin", api_key=True)
        if kind.lower() != "bearer":
            return cls()
        try:
            user = jwt.decode(credentials, secret, algorithms=["HS256"]).get("user") or {}
        except jwt.InvalidTokenError as error:
            log.info("refused a token: %s", error)
            return cls()
        return cls(role=str(user.get("role", "anonymous"))) if user.get("id") else cls()


@dataclass(frozen=True)
class Root:
    """Resolvers of the schema's queries and mutations."""

    health: Health
    datasets: Datasets
    search: Search | None = None

    def systemHealth(self, _: GraphQLResolveInfo[Any]) -> Mapping[str, Any]:  # noqa: N802  # the schema's name
        """Return the switches."""
        return self.health.read()

    def countDatasets(self, _: GraphQLResolveInfo[Any], **arguments: Any) -> int:  # noqa: N802
        """Count the datasets of a status (several joined by ``|``)."""
        status = arguments.get("filter", {}).get("status") or ""
        return self.datasets.count(*(part for part in status.split("|") if part))

    def __getattr__(self, name: str) -> Any:
        """Return the resolver of what comes from the search indices."""
        if self.search is None or name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.search, {"dataset": "dataset_of"}.get(name, name))

    def updateSystemHealth(self, info: GraphQLResolveInfo[Any], health: Mapping[str, Any]) -> None:  # noqa: N802
        """Replace the switches, for an admin."""
        caller: Caller = info.context
        if caller.api_key:
            words = {"type": "unauthorized", "message": "This mutation cannot be called by API Key"}
            raise GraphQLError(json.dumps(words))
        if caller.role != "admin":
            raise GraphQLError("Not authorized")
        self.health.replace(health)
        log.info("health is now %s", dict(health))


def application(checkout: Path, www: Path, datasets: Path, *, search: bool = False) -> web.Application:
    """Return the site. The JWT secret is what the deployed configuration says when the program starts.

    With ``search`` it serves annotations too, and looks at some of them all the time.
    """
    home = checkout / "metaspace/graphql"
    configuration = json.loads((home / "config/production.json").read_text(encoding="utf-8"))
    secret = str(configuration["jwt"]["secret"])
    found = Search.of(checkout) if search else None
    schema = schema_of(BASE, checkout) if search else build_schema(BASE)
    root = Root(Health(home / "health.json"), Datasets(datasets), found)

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        caller = Caller.of(request.headers.get("Authorization", ""), secret)
        result = await graphql(
            schema, body["query"], root, caller, body.get("variables") or {}, body.get("operationName")
        )
        return web.json_response(result.formatted, status=400 if result.data is None and result.errors else 200)

    async def page(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"] or "index.html"
        file = _below(www, name)
        if file is None:
            raise web.HTTPNotFound
        return web.FileResponse(file, headers={"Cache-Control": "no-store"})

    made = web.Application()
    if found is not None:
        made.cleanup_ctx.append(partial(_watched, found, schema))
    made.router.add_post("/graphql", answer)
    made.router.add_get("/{name:.*}", page)
    return made


async def _watched(search: Search, schema: GraphQLSchema, _: web.Application) -> AsyncIterator[None]:
    watch = asyncio.create_task(search.watch(schema))
    yield
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch
    await search.close()


def _below(folder: Path, name: str) -> Path | None:
    """Return the file of that name, unless there is none or the name leads out of the folder."""
    file = (folder / name).resolve()
    return file if file.is_relative_to(folder.resolve()) and file.is_file() else None


def main() -> None:
    """Serve until asked to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--checkout", "--www", "--datasets"):
        parser.add_argument(name, required=True, type=Path)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--search", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s - %(levelname)s - %(message)s")
    made = application(options.checkout, options.www, options.datasets, search=options.search)
    log.info("sm-graphql listens on %d", options.port)
    web.run_app(made, host="127.0.0.1", port=options.port, print=None, shutdown_timeout=0.5, access_log=None)


if __name__ == "__main__":
    main()
