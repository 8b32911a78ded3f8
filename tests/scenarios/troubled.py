"""Two bots on one PostgreSQL that are killed, stopped and woken at random, while people ask and releases go on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg

from bot.domain.errors import Unavailable
from sandbox.processes import until
from sandbox.slack import VIEWER
from sandbox.verdict import problems
from tests.scenarios.player import Persistent

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sandbox.processes import Child
    from sandbox.slack import Page
    from sandbox.verdict import Snapshot
    from sandbox.world import World

BOTS = (0, 1)
QUIET = 60  # looks in a row at a channel that stays as it is
LONGEST = 330.0  # seconds: who died in the middle of an effect is replaced when that must have ended
PATIENCE = 20.0  # seconds after which a person presses again what seems to have had no effect


@dataclass
class Patient(Persistent):
    """Presses again after a while: a click may have gone to a bot that was stopped."""

    since: float = field(default_factory=time.monotonic)

    async def _revive(self) -> None:
        """Others look after the bots."""
        if time.monotonic() - self.since > PATIENCE:
            self.pressed.clear()
            self.since = time.monotonic()

    async def _settled(self) -> None:
        """Wait until the channel stays as it is for a while."""
        seen: list[object] = []

        async def quiet() -> bool:
            seen.append(_spoken(await self.world.slack.messages()))
            return len(seen) > QUIET and all(one == seen[-1] for one in seen[-QUIET:])

        await until(quiet, what="the end of edits", deadline=120)


def _spoken(messages: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Leave out private answers: people go on asking."""
    return [one for one in messages if one.get("subtype") != "ephemeral"]


@dataclass
class Trouble:
    """Does one thing to one bot every few seconds. ``took_over``: seconds from losing the one that drove, to the next claim."""

    world: World
    lease: float
    chance: random.Random
    done: list[str] = field(default_factory=list)
    took_over: list[float] = field(default_factory=list)

    async def make(self) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(self.chance.uniform(2, 1.5 * self.lease))
            await self._one(self.chance.choice(BOTS))

    async def _one(self, replica: int) -> None:
        child = _child(self.world, replica)
        held = await self._held()
        drove = held is not None and held[0] == _process(child)
        watched = asyncio.ensure_future(self._taken_over(held[1] if held else 0))
        try:
            if self.chance.random() < 0.5:
                self.done.append(f"kill {replica}")
                await self.world.kill(replica)
                await start(self.world, replica)
            else:
                seconds = self.chance.uniform(0.3, 2.5) * self.lease
                self.done.append(f"stop {replica} for {seconds:.0f} s")
                os.kill(child.pid, signal.SIGSTOP)
                try:
                    await asyncio.sleep(seconds)
                finally:
                    os.kill(child.pid, signal.SIGCONT)
            if drove and (watched.done() or not child.running):
                self.took_over.append(await watched)
        finally:
            watched.cancel()

    async def _held(self) -> tuple[str, int] | None:
        """Return who drives the newest open release, and its fencing token."""
        connection = await asyncpg.connect(_dsn(self.world))
        try:
            query = "SELECT lease_owner, fence FROM releases WHERE finished_at IS NULL ORDER BY number DESC LIMIT 1"
            row = await connection.fetchrow(query)
            return (row["lease_owner"], row["fence"]) if row else None
        finally:
            await connection.close()

    async def _taken_over(self, fence: int) -> float:
        began = time.monotonic()

        async def taken() -> bool:
            held = await self._held()
            return held is None or held[1] > fence

        await until(taken, what="the one who takes over", deadline=LONGEST)
        return time.monotonic() - began


async def start(world: World, replica: int) -> None:
    """Start a bot by its number."""
    await (world.start_bot() if replica == 0 else world.start_replica(replica))


@asynccontextmanager
async def beside(*tasks: object) -> AsyncIterator[None]:
    """Run these while the block runs; one that fails fails the test."""
    running = [asyncio.ensure_future(one) for one in tasks]  # type: ignore[call-overload]  # coroutines of any result
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        for result in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


async def curious(world: World) -> None:
    """Somebody asks for the status all the while."""
    while True:
        await world.slack.command(VIEWER.id, "status")
        await asyncio.sleep(1)


async def carried_out(world: World, before: Snapshot, trouble: Trouble | None) -> list[str]:
    """Carry out one release, with trouble from its start on; return what is wrong."""

    class Troubled(Patient):
        async def _go_through(self, page: Page) -> str:
            made = (curious(world), trouble.make()) if trouble else ()
            async with beside(*made):
                return await super()._go_through(page)

    failure = await Troubled(world).release()
    return [failure] if failure else await problems(world, before, await world.slack.messages())


def _child(world: World, replica: int) -> Child:
    child = world.bot if replica == 0 else world.replicas.get(replica)
    if child is None or not child.running:
        raise Unavailable(f"Bot {replica} ended by itself: {child.last_words(20) if child else ''}")
    return child


def _process(child: Child) -> str:
    """Return the name under which a bot holds leases, from the last time that it said that it is ready."""
    lines = [json.loads(one) for one in child.log.read_text(encoding="utf-8").splitlines() if '"event": "ready"' in one]
    return str(lines[-1]["process"]) if lines else ""


def _dsn(world: World) -> str:
    return world.options.database.replace("+asyncpg", "")
