"""From the start of the process until it is ready, and the memory that it then holds, against a bare Bolt app."""

from __future__ import annotations

import asyncio
import sys
import time

import psutil

from bench.acknowledge import server, slack
from bench.measure import Figure, ratio, show
from sandbox.options import Options
from sandbox.world import World

TIMES = 5


async def run() -> None:
    ours: dict[str, list[float]] = {"start": [], "memory": []}
    bare: dict[str, list[float]] = {"start": [], "memory": []}
    async with World(Options(bot=False)) as world, slack() as api:
        for _ in range(TIMES):
            began = time.perf_counter()
            await world.start_bot()
            ours["start"].append(time.perf_counter() - began)
            if world.bot is not None:
                ours["memory"].append(_memory(world.bot.pid))
            await world.stop_bot()
            began = time.perf_counter()
            async with server("bare", api):
                bare["start"].append(time.perf_counter() - began)
                children = psutil.Process().children()
                bare["memory"].append(
                    _memory(next(one.pid for one in children if "bench.bare" in " ".join(one.cmdline())))
                )
            await asyncio.sleep(0)
    print(f"Start until ready, and resident memory then ({sys.platform}):")
    show([Figure("ours, start", ours["start"]), Figure("a bare Bolt app, start", bare["start"])])
    show([Figure("ours, memory", ours["memory"], "MB"), Figure("a bare Bolt app, memory", bare["memory"], "MB")])
    for what in ("start", "memory"):
        ratio(f"ours to the bare app, {what}, median", Figure("", ours[what]).median, Figure("", bare[what]).median)


def _memory(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1e6
