"""What was done to the world, and how often: counted where it arrived, never in the bot's own log."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

from sandbox.httpserver import HttpServer
from sandbox.slack import BOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.world import World

_SPAWNED = re.compile(r"INFO spawned: '([\w-]+)'")
_ANNOUNCED = re.compile(r"^(?:Releasing \*METASPACE|\*METASPACE [^*]*\* is live)")
_VERSION = re.compile(r"\d+\.\d+\.\d+")


async def counted(world: World) -> Counter[str]:
    """Return every kind of effect with its number so far. Two releases of the same kind count the same.

    A stand-in that is an `HttpServer` and an attribute of the world is counted by itself.
    """
    found: Counter[str] = Counter(f"push {_kind(ref)}" for ref in world.git.pushes())
    found["version tags"] = len((await world.git.git("tag", "--list", "[0-9]*")).split())
    found += Counter(f"start {name}" for name in _SPAWNED.findall(_text(world, "supervisor/supervisord.log")))
    switches = world.git.checkout / "metaspace/graphql/logs/sm-graphql.log"
    found["health switched"] = switches.read_text(encoding="utf-8").count("health is now") if switches.exists() else 0
    found += await _messages(world)
    found += _jobs(world)
    if world.data is not None:
        found += Counter(await world.data.done_to_indices())
    for name, part in vars(world).items():
        if isinstance(part, HttpServer):
            found += Counter({f"{name} {effect}": count for effect, count in part.effects.items()})
    return +found


def difference(expected: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """Say, one sentence each, what was done another number of times than expected."""
    names = sorted({*expected, *found})
    return [
        f"{name}: {found.get(name, 0)}, expected {expected.get(name, 0)}"
        for name in names
        if expected.get(name, 0) != found.get(name, 0)
    ]


def _kind(ref: str) -> str:
    return "refs/tags/…" if ref.startswith("refs/tags/") else ref


def _text(world: World, name: str) -> str:
    file = world.root / name
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


def _jobs(world: World) -> Counter[str]:
    """Count jobs that were started, and those that completed, by the step that their marks name."""
    found: Counter[str] = Counter()
    for side, folder in (("control", world.git.control), ("web", world.git.server)):
        for spec in (folder / "jobs").glob("*/wrapper.json"):
            name = re.sub(r"\d+", "*", spec.parent.name)
            found[f"{side} job {name} begun"] += 1
            receipt = spec.with_name("status.json")
            done = receipt.exists() and json.loads(receipt.read_text(encoding="utf-8")).get("exit_status") == 0
            found[f"{side} job {name} completed"] += done
    return found


async def _messages(world: World) -> Counter[str]:
    """Count announcements by their first line, and messages that Slack has twice, known by the first block's id."""
    said = [one for one in await world.slack.messages() if one.get("user") == BOT]
    ids = Counter(str(one["blocks"][0].get("block_id")) for one in said if one.get("blocks"))
    found = Counter({"message posted again": sum(n - 1 for one, n in ids.items() if one.startswith("rb-") and n > 1)})
    for one in said:
        told = _ANNOUNCED.match(str(one.get("text", "")))
        if told and one.get("thread_ts") in {None, one["ts"]}:
            found["announced: " + _VERSION.sub("…", told[0])] += 1
    return found
