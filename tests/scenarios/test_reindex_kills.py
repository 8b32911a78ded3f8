"""A reindex any part of which is killed at random: bot, SSH, tmux, driver, METASPACE's script, Elasticsearch; and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.options import Options
from sandbox.processes import alive, descendants, output, until
from sandbox.supervisor import Pace
from sandbox.verdict import text_of
from sandbox.verdict_data import annotation_counts, annotations_due, lacking, pointed_at
from sandbox.world import World
from tests.chaos import rotating
from tests.scenarios.indexing import Said, done, running, standing
from tests.scenarios.player import Persistent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

pytestmark = [pytest.mark.timeout(3600), pytest.mark.usefixtures("servers")]
SEEDS = range(1, 7)
NUMBER, WORKERS, EACH = 60, 2, 0.5  # datasets, runs of METASPACE's script side by side, seconds for a dataset
FEW = 3  # kills where not all of them are wanted
LAST = 40  # datasets done, after which nothing is killed any more: so that there is something to kill
RETRIES = 40
DEADLINE = 600.0


@dataclass
class UntilIndexed(Persistent):
    """Carries a release out until all datasets are indexed, and no further."""

    def _over(self, messages: Sequence[Mapping[str, Any]]) -> bool:
        return any(f"{NUMBER} datasets are indexed (" in text_of(one) for one in messages)

    async def _settled(self) -> None:
        """Nobody waits for what comes after."""


@dataclass
class Killer:
    """Kills one part after another, each once so many datasets are done."""

    world: World
    chance: random.Random
    said: Said = field(init=False)
    kills: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.said = Said(self.world.git.server)

    async def make(self, kinds: Sequence[str]) -> None:
        """Kill each of these, at moments that chance chooses."""
        server = self.world.git.server
        for kind, moment in zip(kinds, sorted(self.chance.sample(range(LAST), len(kinds))), strict=True):

            async def come(moment: int = moment) -> bool:
                return len(done(server)) >= moment and bool(running(server))

            await until(come, what=f"{moment} datasets", deadline=DEADLINE)
            await asyncio.sleep(self.chance.uniform(0, 2 * EACH))
            await _KINDS[kind](self)
            self.kills.append(f"{kind} at {moment}")

    async def bot(self) -> None:
        """The player starts it again."""
        await until(self._bot_lives, what="the bot", deadline=DEADLINE)
        assert self.world.bot is not None
        self.world.bot.process.kill()
        await self.world.bot.process.wait()

    async def session(self) -> None:
        """The processes of sshd that hold the bot's connection: the server goes on."""
        for pid in await _found(lambda: _sessions(self.world.web.pid)):
            _kill(pid)

    async def sshd(self) -> None:
        """The server with all of its sessions; it is away for a while."""
        await self.world.web.stop()
        await asyncio.sleep(self.chance.uniform(0, 3))
        await self.world.web.start()

    async def tmux(self) -> None:
        """Whoever is attached loses the view."""
        ask = self.world.web.ssh("tmux -L releasebot display-message -p '#{pid}'")
        _kill(int(await output(ask)))

    async def driver(self) -> None:
        """What hands datasets out; METASPACE's processes die with it."""
        pid = (await _found(self._drivers))[0]
        _kill(pid)

        async def gone() -> bool:
            return not alive(pid)

        await until(gone, what="the end of the driver", deadline=DEADLINE)
        self.said.keep()

    async def worker(self) -> None:
        """One of METASPACE's own processes."""
        _kill(self.chance.choice(await _found(self._workers)))

    async def elasticsearch(self) -> None:
        """It is away for a while, and comes back with what it had acknowledged."""
        await self.world.search.kill()
        await asyncio.sleep(self.chance.uniform(0, 3))
        await self.world.search.start()

    def _drivers(self) -> list[int]:
        found = [json.loads((one / "child.json").read_text("utf-8"))["pid"] for one in running(self.world.git.server)]
        return [pid for pid in found if alive(pid)]

    def _workers(self) -> list[int]:
        family = self.world.git.server / "reindexing/.inactive.lock.family"
        known = json.loads(family.read_text("utf-8")) if family.exists() else {"children": []}
        return [one["pid"] for one in known["children"] if alive(one["pid"])]

    async def _bot_lives(self) -> bool:
        return self.world.bot is not None and self.world.bot.running and await self.world.bot_ready()


_KINDS: dict[str, Callable[[Killer], Awaitable[None]]] = {
    "bot": Killer.bot,
    "session": Killer.session,
    "sshd": Killer.sshd,
    "tmux": Killer.tmux,
    "driver": Killer.driver,
    "worker": Killer.worker,
    "elasticsearch": Killer.elasticsearch,
}


@pytest.mark.parametrize("seed", rotating(SEEDS, take=1))
async def test_killed_at_random_nothing_is_missing_or_misplaced_and_little_is_done_again(seed: int) -> None:
    everything = os.environ.get("CHAOS") == "all"
    chance = random.Random(f"{'' if everything else os.environ.get('CHAOS_SEED', '0')} {seed}")  # noqa: S311
    kinds = chance.sample(sorted(_KINDS), len(_KINDS) if everything else FEW)
    options = Options(scenario="es_required", datasets=NUMBER, pace=Pace(start=0), play_deadline=3000)
    async with World(options) as world:
        assert world.data is not None
        world.data.set_pace(seconds=EACH)
        await world.start_bot()
        live = await standing(world.search)
        killer, player = Killer(world, chance), UntilIndexed(world, retries=RETRIES)
        async with asyncio.TaskGroup() as group:
            group.create_task(killer.make(kinds))
            failure = await player.release()
        await world.stop_bot(kill=True)
        attempts = killer.said.attempts()
        tried = Counter(one.refused for one in attempts)
        again = tried[False] - NUMBER
        stops = [next((line for line in one.splitlines() if "What happened" in line), one[:80]) for one in player.stops]
        print(f"seed {seed}: {killer.kills}; begun again {again}, refused {tried[True]}; stops: {stops}")
        assert failure == "", (killer.kills, player.stops)
        assert not [one for one in player.stops if "bug of mine" in one], killer.kills
        assert await _wrong(world, live) == [], killer.kills
        assert {one.dataset for one in attempts if not one.refused} == set(await world.people.ids())
        assert again <= WORKERS * len(kinds), (killer.kills, Counter(one.dataset for one in attempts))


async def _wrong(world: World, live: Mapping[str, tuple[int, int]]) -> list[str]:
    """Say what is missing in the new pair, and what the live one has heard."""
    search, now = world.search, await standing(world.search)
    wrong = [f"{name} was written to: {one}, now {now.get(name)}" for name, one in live.items() if now.get(name) != one]
    if (pointing := await pointed_at(search)) != {"dataset": ["dataset-yin"], "annotation": ["annotation-yin"]}:
        wrong.append(f"the aliases point at {pointing}")
    wanted = await annotations_due(world.postgres)
    hits = (await search.ask("GET", f"/dataset-yang/_search?_source=false&size={2 * NUMBER}"))["hits"]["hits"]
    if different := wanted.keys() ^ {hit["_id"] for hit in hits}:
        wrong.append(f"missing in dataset-yang, or too many: {sorted(different)}")
    found = await annotation_counts(search, "annotation-yang")
    wrong += [f"{one}: {found.get(one, 0)} of {n} annotations" for one, n in wanted.items() if found.get(one, 0) != n]
    if without := await lacking(search, world.scenario.field, index="annotation-yang"):
        wrong.append(f"{without} annotations lack {world.scenario.field}")
    return wrong


async def _found(look: Callable[[], list[Any]]) -> list[Any]:
    """Return what there is to kill, once there is something."""
    found: list[Any] = []

    async def there() -> bool:
        found[:] = look()
        return bool(found)

    await until(there, what="something to kill", deadline=DEADLINE)
    return found


def _sessions(server: int) -> list[int]:
    titles = {pid: Path(f"/proc/{pid}/cmdline") for pid in descendants(server)}
    return [pid for pid, title in titles.items() if alive(pid) and title.read_bytes().startswith(b"sshd")]


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
