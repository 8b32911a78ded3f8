"""The timer wakes chores, and what goes wrong in one stops neither it nor the others."""

from __future__ import annotations

import asyncio

from bot.domain.errors import Unavailable
from bot.scheduler import Chore, Scheduler


class Counted:
    """A chore that fails as it is told, and counts."""

    def __init__(self, *failures: Exception) -> None:
        self.turns, self.failures, self.reached = 0, list(failures), asyncio.Event()

    async def turn(self) -> int:
        self.turns += 1
        if self.failures:
            raise self.failures.pop(0)
        if self.turns >= 3:
            self.reached.set()
        return self.turns


async def test_chores_are_woken_again_and_again_whatever_one_of_them_raises() -> None:
    good, silent, broken = Counted(), Counted(Unavailable("away")), Counted(ValueError("a bug"))
    stop = asyncio.Event()
    chores = [Chore(name, 0.01, one.turn) for name, one in (("good", good), ("silent", silent), ("broken", broken))]
    running = asyncio.create_task(Scheduler(chores).run(stop))
    async with asyncio.timeout(20):
        for one in (good, silent, broken):
            await one.reached.wait()
        stop.set()
        await running
    assert min(one.turns for one in (good, silent, broken)) >= 3


async def test_a_chore_is_looked_at_at_once_and_never_twice_at_the_same_time() -> None:
    inside, most, turns, go_on, stop = 0, 0, 0, asyncio.Event(), asyncio.Event()

    async def turn() -> int:
        nonlocal inside, most, turns
        inside, turns = inside + 1, turns + 1
        most = max(most, inside)
        await asyncio.sleep(0.03)
        inside -= 1
        if turns >= 3:
            go_on.set()
        return 0

    running = asyncio.create_task(Scheduler([Chore("slow", 0.01, turn)]).run(stop))
    async with asyncio.timeout(20):
        await go_on.wait()
        stop.set()
        await running
    assert most == 1
