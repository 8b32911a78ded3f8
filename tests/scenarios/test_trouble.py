"""Networks and servers that misbehave: every release ends well, or stops with a true sentence and ends well after Retry."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.counting import counted, difference
from sandbox.options import Options
from sandbox.processes import until
from sandbox.supervisor import Pace
from sandbox.verdict import look, problems
from sandbox.world import World
from tests.chaos import rotating
from tests.engine.postgres import postgres
from tests.faults.proxy import HTTP, NETWORK, Proxy
from tests.killing import LEASE, reference
from tests.scenarios.player import Persistent

if TYPE_CHECKING:
    from tests.engine.postgres import Cluster

__all__ = ["postgres"]
PLACES = ("slack", "ssh", "github", "database")
SEEDS = range(4)
SPAN = 50.0  # seconds of trouble
RETRIES = 12


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("place", "seed"), rotating([(p, n) for n in SEEDS for p in (*PLACES, "everywhere")], take=1))
async def test_in_trouble_a_release_ends_well_or_says_truly_why_it_stopped(
    place: str, seed: int, postgres: Cluster
) -> None:
    expected = await reference("in_place")
    chance = random.Random(f"{os.environ.get('CHAOS_SEED', '0')} {seed}")  # noqa: S311
    settings: dict[str, Any] = {"engine": {"lease": LEASE}}
    database = postgres.fresh()
    options = Options(build_seconds=0, pace=Pace(start=0), database=database, settings=settings, play_deadline=600)
    world = World(options)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rb-px-")))
        proxies = {
            "slack": _slack(world, settings, chance),
            "github": _github(world, settings, chance),
            "database": _database(database, settings, chance, folder),
            **{name: _ssh(world, settings, chance, name) for name in ("control", "web")},
        }
        for one in proxies.values():
            await stack.enter_async_context(one)
        await stack.enter_async_context(world)
        for name in ("control", "web"):
            _pin(world, name, proxies[name].port)
        await world.start_bot()
        before = await look(world)
        troubled = [one for name, one in proxies.items() if place == "everywhere" or _is(name, place)]
        player = Persistent(world, retries=RETRIES)
        async with asyncio.TaskGroup() as group:
            making = group.create_task(_trouble(world, troubled))
            failure = await player.release()
            making.cancel()
        happened = {one.name: one.happened for one in troubled}
        print(f"{place} {seed}: {happened}; stops: {[_first(one) for one in player.stops]}")
        words = world.bot.last_words(30) if world.bot else ""
        assert failure == "", (happened, player.stops, words)
        assert not [one for one in player.stops if "bug of mine" in one], (happened, words)
        assert player.deaths == 0, words
        assert await problems(world, before, await world.slack.messages()) == [], happened
        assert difference(expected, await counted(world)) == [], (happened, player.stops, words)


async def _trouble(world: World, proxies: list[Proxy]) -> None:
    """Make trouble from the start of the release on, for a while; then leave all as it should be."""

    async def begun() -> bool:
        return any("R1" in str(one.get("text")) for one in await world.slack.messages())

    await until(begun, what="the release", deadline=200)
    try:
        async with asyncio.timeout(SPAN), asyncio.TaskGroup() as group:
            for one in proxies:
                group.create_task(one.trouble())
    except TimeoutError:
        pass
    finally:
        for one in proxies:
            one.fault = None
            one.cut()  # what hangs half open would hang on: the bot's own deadlines are not that short


def _is(name: str, place: str) -> bool:
    return name == place or (place == "ssh" and name in ("control", "web"))


def _first(words: str) -> str:
    return next((line for line in words.splitlines() if "What happened" in line), words[:80])


def _slack(world: World, settings: dict[str, Any], chance: random.Random) -> Proxy:
    proxy = Proxy("slack", world.slack.port, HTTP, chance)
    proxy.rewrite = (f":{world.slack.port}/".encode(), f":{proxy.port}/".encode())
    settings["slack"] = {"base_url": f"http://127.0.0.1:{proxy.port}/api/"}
    return proxy


def _github(world: World, settings: dict[str, Any], chance: random.Random) -> Proxy:
    proxy = Proxy("github", world.github.port, HTTP, chance)
    settings["repository"] = {"github_api": f"http://127.0.0.1:{proxy.port}"}
    return proxy


def _database(url: str, settings: dict[str, Any], chance: random.Random, folder: Path) -> Proxy:
    socket = ".s.PGSQL.5432"
    cluster = url.partition("host=")[2]
    settings["database"] = {"url": url.replace(cluster, str(folder))}
    return Proxy("database", f"{cluster}/{socket}", NETWORK, chance, path=str(folder / socket))


def _ssh(world: World, settings: dict[str, Any], chance: random.Random, name: str) -> Proxy:
    server = world.control if name == "control" else world.web
    proxy = Proxy(name, server.port, NETWORK, chance)
    environment = settings.setdefault("environments", {}).setdefault("prod", {})
    environment[name] = {"port": proxy.port}
    return proxy


def _pin(world: World, name: str, port: int) -> None:
    """Let the host's key be known at the proxy's address as well."""
    server = world.control if name == "control" else world.web
    host, kind, key = server.known_hosts.read_text(encoding="ascii").splitlines()[0].split()
    line = f"{host.rpartition(':')[0]}:{port} {kind} {key}\n"
    with server.known_hosts.open("a", encoding="ascii") as file:
        file.write(line)
