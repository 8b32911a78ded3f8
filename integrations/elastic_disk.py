"""How much may be written before Elasticsearch's low disk watermark, and how busy it is, out of its own statistics. Pure.

A watermark as a percentage or ratio is of what is used, as an amount of what must stay free; a headroom bounds the former
("Disk-based shard allocation settings" in Elasticsearch's manual).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Unavailable
from bot.domain.indices import Pressure, Room

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "cluster.routing.allocation.disk."
_UNITS = {unit: 1024**power for power, unit in enumerate(("b", "kb", "mb", "gb", "tb", "pb"))}
_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?b)", re.IGNORECASE)


def room(stats: Mapping[str, Any], settings: Mapping[str, Any]) -> Room:
    """Return the disk of the data node with the least room before the low watermark.

    ``stats``: the answer of ``_nodes/stats/fs``; ``settings``: of ``_cluster/settings``, flat, with defaults.
    """
    every = {**settings.get("defaults", {}), **settings.get("persistent", {}), **settings.get("transient", {})}
    disks = [
        (node["fs"]["total"]["total_in_bytes"], node["fs"]["total"]["available_in_bytes"])
        for node in stats["nodes"].values()
        if any(role.startswith("data") for role in node.get("roles", ["data"]))
    ]
    if not disks:
        raise Unavailable("Elasticsearch tells of no data node.", hint="GET _nodes/stats/fs", changed="Nothing.")
    rooms = [Room(total, free, max(0, free - kept_free(total, every))) for total, free in disks]
    return min(rooms, key=lambda one: (one.until_watermark, one.free))


def kept_free(total: int, settings: Mapping[str, Any]) -> int:
    """Return the bytes of a disk that the low watermark keeps free; none where the watermarks are off."""
    if str(settings.get(f"{PREFIX}threshold_enabled", "true")) != "true":
        return 0
    low = str(settings.get(f"{PREFIX}watermark.low", "85%"))
    amount = _bytes(low)
    if amount is not None:
        return amount
    used = float(low.removesuffix("%")) / 100 if low.endswith("%") else float(low)
    if not 0 <= used <= 1:
        raise Unavailable(
            f"Elasticsearch's low watermark says {low}.", hint=f"{PREFIX}watermark.low", changed="Nothing."
        )
    free = round(total * (1 - used))
    headroom = _bytes(str(settings.get(f"{PREFIX}watermark.low.max_headroom", "-1")))
    return free if headroom is None else min(free, headroom)


def pressure(stats: Mapping[str, Any]) -> Pressure:
    """Return the writes that wait, and those that were refused since each node's start (``_nodes/stats/thread_pool``)."""
    pools = [node["thread_pool"]["write"] for node in stats["nodes"].values()]
    return Pressure(sum(pool["queue"] for pool in pools), sum(pool["rejected"] for pool in pools))


def _bytes(text: str) -> int | None:
    found = _BYTES.fullmatch(text)
    return round(float(found[1]) * _UNITS[found[2].lower()]) if found else None
