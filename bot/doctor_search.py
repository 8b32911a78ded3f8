"""What `releasebot doctor` tries of search indices, METASPACE's database and reindexing, where the settings name them. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import Refused
from bot.domain.index_report import size
from bot.domain.layout import Broken, layout
from integrations.elasticsearch import ElasticIndices
from integrations.metaspace_db import MetaspaceDatabase
from integrations.sshcommand import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack

    from bot.ports import Clock
    from bot.settings import EnvironmentSettings
    from bot.settings_search import ElasticsearchSettings, MetaspaceDatabaseSettings
    from integrations.ssh import SshHost

SCRIPTS = ("manage_es_index", "update_es_index")
# $1 the workspace: it is made by the first job, so what counts is the nearest folder that is there.
_WRITABLE = 'one=$1; while [ ! -e "$one" ]; do one=$(dirname "$one"); done; [ -d "$one" ] && [ -w "$one" ] && df -Pk "$one" | tail -1'
_PYTHON = "import sys, sm.engine.es_export; print('.'.join(map(str, sys.version_info[:3])))"

Attempt = tuple[str, str, "Callable[[], Awaitable[str]]"]


def search_attempts(
    name: str, settings: EnvironmentSettings, web: SshHost, clock: Clock, stack: AsyncExitStack
) -> list[Attempt]:
    """Return what there is to try in an environment; nothing where it names no Elasticsearch and no database."""
    found: list[Attempt] = []
    elasticsearch, database = settings.elasticsearch, settings.metaspace_database
    if elasticsearch is not None:
        found.append(
            ("elasticsearch", f"Elasticsearch ({name})", lambda: _elasticsearch(elasticsearch, web, clock, stack))
        )
    if database is not None:
        found.append(("metaspace_database", f"METASPACE's database ({name})", lambda: _database(database, web)))
    if elasticsearch is not None:
        found += [
            ("reindexing", f"workspace ({name})", lambda: _workspace(settings, web)),
            ("reindexing", f"METASPACE's Python ({name})", lambda: _python(settings, web)),
        ]
    return found


async def _elasticsearch(settings: ElasticsearchSettings, web: SshHost, clock: Clock, stack: AsyncExitStack) -> str:
    indices = ElasticIndices(web, settings, clock)
    stack.push_async_callback(indices.close)
    seen, room = await indices.look(), await indices.room()
    found = layout(seen)
    if isinstance(found, Broken):
        raise Refused(found.said, hint="/release es repair")
    counts = " and ".join(f"{name} with {seen.indices[name].documents:,} documents" for name in found.pair.names)
    return f"{counts} are live; {size(max(0, room.until_watermark))} left below the watermark"


async def _database(settings: MetaspaceDatabaseSettings, web: SshHost) -> str:
    ids = await MetaspaceDatabase(web, settings).dataset_ids()
    newest = f", the newest {ids[0]}" if ids else ""
    return f"{len(ids):,} datasets to index{newest}"


async def _workspace(settings: EnvironmentSettings, web: SshHost) -> str:
    """Whether work trees and orders could be written, and how much fits there."""
    workspace = settings.reindexing.workspace
    done = await web.run(["sh", "-c", _WRITABLE, "sh", workspace], check=False)
    if done.status:
        raise Refused(
            f"{workspace} on {web.name} can neither be written nor made.",
            hint=f"make it and give it to the SSH user, or set environments.X.reindexing.workspace ({web.name})",
        )
    await web.run(["flock", "--version"])
    return f"{workspace} is writable, with {size(1024 * int(done.stdout.split()[3]))} free"


async def _python(settings: EnvironmentSettings, web: SshHost) -> str:
    """Whether METASPACE's own Python finds its exporter where the scripts are run, and both scripts and configuration are there."""
    ours = settings.reindexing
    folder = f"{settings.server.checkout}/{ours.engine}"
    for file in (*(f"scripts/{one}.py" for one in SCRIPTS), ours.configuration, ours.template):
        if (await web.run(["test", "-r", f"{folder}/{file}"], check=False)).status:
            raise Refused(
                f"{folder}/{file} on {web.name} is not there, or not readable for the SSH user.",
                hint="environments.X.server.checkout, reindexing.engine, configuration and template name where it is",
            )
    try:
        said = (await web.run([*ours.python, "-c", _PYTHON], cwd=folder, timeout=120)).stdout
    except CommandFailed as error:
        why = error.stderr.strip().splitlines()
        raise Refused(
            f"METASPACE's Python on {web.name} does not import its exporter: {why[-1] if why else 'it said nothing'}",
            hint="environments.X.reindexing.python is the argument list that starts it, the conda environment included",
        ) from error
    return f"Python {said.split()[-1] if said.split() else '?'}, with both scripts and their configuration"
