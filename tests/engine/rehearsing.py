"""Rehearsals without a world: a stage that says what a test tells it to say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bot.engine.rehearsal_book import RehearsalBook
from bot.engine.rehearsing import Rehearsals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bot.domain.errors import ReleaseError
    from bot.domain.plan import Plan
    from bot.engine.store import Store
    from bot.ports import Clock

Line = dict[str, object]


def line(kind: str, **more: object) -> Line:
    return {"is": kind, **more}


def step(key: str, state: str, said: str = "", seconds: float | None = None) -> Line:
    return {"key": key, "state": state, "said": said, "seconds": seconds}


PASSED = line("end", state="passed", note="", hint="")


@dataclass
class Stage:
    """Says its lines; then, with ``held``, goes on until it is cancelled."""

    lines: Sequence[Line] = (PASSED,)
    trouble: ReleaseError | None = None
    missing: ReleaseError | None = None
    held: bool = False
    orders: list[Mapping[str, Any]] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: int = 0
    swept: list[str] = field(default_factory=list)

    async def demand_parts(self) -> None:
        if self.missing:
            raise self.missing

    async def carry_out(
        self, order: Mapping[str, Any], *, tell: Callable[[Mapping[str, object]], Awaitable[None]]
    ) -> None:
        self.orders.append(order)
        try:
            for one in self.lines:
                await tell(one)
            self.begun.set()
            if self.trouble:
                raise self.trouble
            if self.held:
                await asyncio.Event().wait()
        finally:
            self.ended += 1

    async def sweep(self, world: str) -> None:
        self.swept.append(world)


async def order(plan: Plan, checklist: str) -> Mapping[str, Any]:
    return {"head": plan.head, "checklist": checklist}


def rehearsals_on(
    store: Store,
    outbox: Any,
    clock: Clock,
    *,
    stage: Stage | None = None,
    owner: str = "one",
    alone: bool = True,
    settings: Mapping[str, str] | None = None,
) -> Rehearsals:
    book = RehearsalBook(store, clock=clock, owner=owner, held=timedelta(seconds=60), settings=settings)
    return Rehearsals(book, stage or Stage(), outbox, clock, "C01DEV", order, alone=alone)
