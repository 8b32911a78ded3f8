"""Whole releases whose bot is killed at failpoints, and what they are compared with: an undisturbed one of the same scene."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.domain.errors import ReleaseError
from bot.domain.release import ReleaseState
from bot.engine.failpoints import PASSED, TESTING, WANTED
from sandbox.counting import counted, difference
from sandbox.options import Options
from sandbox.play import _says
from sandbox.supervisor import Pace
from sandbox.verdict import look, problems
from sandbox.verdict_data import ALIASES, jobs_ended, pointed_at
from sandbox.world import World
from tests.scenarios.player import Persistent, dashboards
from tests.scenes import ROLL_BACK, SCENES, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sandbox.verdict import Snapshot
    from tests.scenes import Scene

LEASE = 6.0  # seconds: a killed bot's releases are taken up again after it
DEADLINE = (
    900.0  # seconds for a release; who died in the middle of an effect is replaced when it must have ended (300 s)
)
AGAIN = 60.0  # seconds more for each kill


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done to the world, what is wrong, where the bots died, and what places they passed."""

    effects: Counter[str] = field(default_factory=Counter)
    wrong: Sequence[str] = ()
    killed: Sequence[str] = ()
    passed: frozenset[str] = frozenset()


async def carried_out(scene: Scene, *, database: str = "", failpoints: Sequence[str] = ()) -> Outcome:
    """Carry out one release whose bot dies at each of these places."""
    options = Options(
        scenario=scene.scenario,
        build_seconds=0,
        pace=Pace(start=0, annotate=1),
        database=database,
        settings={"engine": {"lease": LEASE}},
        play_deadline=DEADLINE + AGAIN * len(failpoints),
    )
    async with World(options) as world:
        trace = Trace(world.root / "failpoints")

        def arming() -> Mapping[str, str]:
            left = [one for one in failpoints if one not in trace.killed()]
            return {TESTING: "1", PASSED: str(trace.file), WANTED: ",".join(left)}

        await scene.before(world)
        player = Persistent(world, arming=arming)
        wrong, effects = await _told(world, scene, trace, player)
        killed, passed = trace.killed(), trace.passed()
        if stray := set(killed) - set(failpoints):
            wrong = [*wrong, f"the bot died at {', '.join(sorted(stray))}"]
        if player.deaths > len(killed):
            wrong = [*wrong, f"the bot died {player.deaths} times, and says so of {killed}"]
        if wrong and world.bot:
            wrong = [*wrong, world.bot.last_words(6)]
        return Outcome(effects, wrong, killed, passed)


async def _told(world: World, scene: Scene, trace: Trace, player: Persistent) -> tuple[list[str], Counter[str]]:
    """Let the person carry it out; return what is wrong, and what was done to the world."""
    gone: Snapshot | None = None
    player.prefer, player.start = scene.prefer, scene.start
    try:
        if scene.checklist == ROLL_BACK:
            gone = await _two_releases(world, scene)
        await world.start_bot(player.arming())
        before = await look(world)
        player.earlier = dashboards(await world.slack.messages(), ReleaseState.SUCCEEDED)
        player.taken_back = bool(scene.left_at)
        beside = asyncio.ensure_future(scene.beside(world, trace))
        try:
            failure = await (player.roll_back(scene.start) if gone else player.release())
        finally:
            beside.cancel()
    except (ReleaseError, TimeoutError) as error:
        failure = str(error) or type(error).__name__
        return [failure], await counted(world)
    if failure:
        return [failure], await counted(world)
    messages = await world.slack.messages()
    wrong = await _not_back(world, gone, before) if gone else await problems(world, before, messages)
    return wrong, await counted(world)


@dataclass
class Leaving(Persistent):
    """Carries a release on until it asks about something, and pauses it there."""

    at: str = ""

    def _next_button(self, messages: Sequence[Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]] | None:
        if self.at and any(re.search(f"asks: .*{self.at}", str(one.get("text", ""))) for one in messages):
            raise _Left
        return super()._next_button(messages)

    async def release(self) -> str:
        """Release; where it was left, it is paused in the end."""
        try:
            return await super().release()
        except _Left:
            await self.world.slack.command(self.person, "pause")
            await self._until_shown(lambda messages: _says(messages, ReleaseState.PAUSED), "the pause")
            return ""


class _Left(Exception):
    """The release has come to where it is left."""


async def _two_releases(world: World, scene: Scene) -> Snapshot:
    """Release twice, undisturbed; return the world after the first, which is what a rollback of the second goes back to."""
    await world.start_bot()
    if failure := await Persistent(world).release():
        raise ReleaseError(f"The first release did not end well: {failure}")
    first = await look(world)
    await scene.second(world)
    if failure := await Leaving(world, earlier=1, at=scene.left_at).release():
        raise ReleaseError(f"The second release did not end well: {failure}")
    await jobs_ended(world.git.server)
    await world.stop_bot()
    return first


async def _not_back(world: World, first: Snapshot, second: Snapshot) -> list[str]:
    """Say what is not as it must be after a rollback: what was live first runs again, and no branch or tag has moved."""
    after = await look(world)
    facts: dict[str, tuple[object, object]] = {
        "the server's checkout": (after.checkout, first.checkout),
        "the webapp's commit": (after.webapp.get("commit"), first.checkout),
        "release, master and tags": (
            (after.release, after.master, sorted(after.tags)),
            (second.release, second.master, sorted(second.tags)),
        ),
        "the programs' states": (set(after.states.values()), {"RUNNING"}),
        "the health switches": (after.health, second.health),
    }
    if world.data is not None:
        live = {alias: [f"{alias}-yin"] for alias in ALIASES}
        facts["the aliases"] = (await pointed_at(world.data.search), live)
    wrong = [f"{name}: {found}, expected {expected}" for name, (found, expected) in facts.items() if found != expected]
    same = [name for name, pid in after.pids.items() if pid == second.pids.get(name)]
    return wrong + [f"{name} was not restarted" for name in same]


_references: dict[str, Outcome] = {}


async def undisturbed(name: str, kept: Path | None = None) -> Outcome:
    """Return how the undisturbed release of a scene ends; ``kept`` is a file that remembers it."""
    if name not in _references and kept is not None:
        _remember(name, kept)
    if name not in _references:
        outcome = await carried_out(SCENES[name])
        if outcome.wrong:
            raise AssertionError(f"the undisturbed release of {name!r} did not end well: {outcome.wrong}")
        _references[name] = outcome
        if kept is not None:
            _keep(outcome, kept)
    return _references[name]


def _remember(name: str, kept: Path) -> None:
    if kept.exists():
        found = json.loads(kept.read_text(encoding="utf-8"))
        _references[name] = Outcome(Counter(found["effects"]), passed=frozenset(found["passed"]))


def _keep(outcome: Outcome, kept: Path) -> None:
    text = json.dumps({"effects": outcome.effects, "passed": sorted(outcome.passed)})
    fresh = kept.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(kept)


async def reference(name: str) -> Counter[str]:
    """Return what the undisturbed release of a scene does to the world."""
    return (await undisturbed(name)).effects


def failures_of(outcome: Outcome, expected: Outcome, failpoints: Sequence[str]) -> list[str]:
    """Say everything that is not as it would have been without the kills, and each place that should have been reached."""
    missed = [one for one in failpoints if one in expected.passed and one not in outcome.killed]
    return [
        *outcome.wrong,
        *difference(expected.effects, outcome.effects),
        *(f"never at {one}, where the undisturbed release passes" for one in missed),
    ]
