"""Rehearsals: a plan is carried out by a child process in a world of its own, and its thread in Slack follows.

What goes on is a row (`RehearsalBook`) and a message drawn from it. A bot that dies takes the child with it; whoever looks next
says in the thread that it was interrupted. Nothing is begun again by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from bot.domain.errors import ReleaseError, Unavailable
from bot.domain.rehearsal import RehearsalState, told
from bot.engine.store import StoreUnavailable
from bot.views import rehearsal as views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.plan import Plan
    from bot.domain.readmodel import Decided
    from bot.domain.rehearsal import Rehearsal, Standing
    from bot.domain.world import Posted
    from bot.engine.rehearsal_book import RehearsalBook
    from bot.ports import Clock
    from bot.views.kit import Message

BEAT = 2.0  # seconds between two looks at whether somebody wants it stopped
_PLACED = 20.0  # seconds for Slack to take the first message
_log = structlog.get_logger()

Line = Mapping[str, object]
Order = Mapping[str, Any]
Orders = Callable[["Plan", str], Awaitable[Order]]


class Rehearser(Protocol):
    """What carries rehearsals out (`integrations.rehearsal.ChildRehearser`)."""

    async def demand_parts(self) -> None:
        """Raise `Unavailable` naming what this machine lacks for a rehearsal."""

    async def carry_out(self, order: Order, *, tell: Callable[[Line], Awaitable[None]]) -> None:
        """Bring a world up and play the plan there; every line that it says is told. Cancelled, it leaves nothing running."""

    async def sweep(self, world: str) -> None:
        """End what a killed rehearsal left of its world."""


class Outbox(Protocol):
    """Where messages go (`bot.slack.outbox.Outbox`)."""

    async def put(
        self,
        key: str,
        *,
        text: str,
        blocks: Sequence[Mapping[str, Any]] | None = None,
        channel: str = "",
        thread_key: str = "",
        final: bool = False,
    ) -> None:
        """Store what the message of this key is to look like."""

    async def delivered(self, key: str, *, within: float) -> Posted:
        """Wait until Slack has the message."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """How it ended, for the book."""

    state: RehearsalState
    note: str = ""
    hint: str = ""


_SILENT = _Ended(
    RehearsalState.BROKEN, "The embedded world ended without a word.", "/release rehearse, or the bot's log"
)


@dataclass(slots=True)
class Rehearsals:
    """What commands ask for, and the tasks that follow it. ``alone``: no other process works with this database."""

    book: RehearsalBook
    rehearser: Rehearser
    outbox: Outbox
    clock: Clock
    channel: str
    orders: Orders
    alone: bool = True
    _waiting: asyncio.Queue[tuple[Rehearsal, Order]] = field(default_factory=asyncio.Queue)

    async def begin(
        self, *, plan: Plan, checklist: str, by: str, again: str, release: str = "", source: str = ""
    ) -> Rehearsal:
        """Begin to rehearse a plan; ``again`` is what to type for another time.

        Raises `Unavailable` naming what this machine lacks, `Conflict` while one runs for the environment.
        """
        await self.rehearser.demand_parts()
        order = await self.orders(plan, checklist)
        made = await self.book.begin(plan, by=by, again=again, release=release, source=source)
        await self._show(made)
        self._waiting.put_nowait((made, order))
        return made

    async def stop(self, rehearsal: str, *, by: str, source: str = "") -> Decided:
        """End one before it has ended by itself."""
        return await self.book.stop(rehearsal, by=by, source=source)

    async def standing(self, plan: Plan) -> Standing:
        """Return what the rehearsals say about a plan."""
        return await self.book.standing(plan)

    def required(self, environment: str) -> bool:
        """Tell whether releases to an environment need a rehearsal that passed."""
        return self.book.required(environment)

    async def run(self, stop: asyncio.Event) -> None:
        """Carry out what was begun, until ``stop`` is set; what is in work then is interrupted, and says so."""
        going: set[asyncio.Task[None]] = set()
        serving = asyncio.create_task(self._serve(going))
        try:
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if serving.done():
                await serving
        finally:
            serving.cancel()
            for one in going:
                one.cancel()
            await asyncio.gather(serving, *going, return_exceptions=True)

    async def look_after(self) -> int:
        """Tell of those whose bot is gone, end what is left of their worlds, and tell what Slack was not told; returns how many."""
        gone = await self.book.abandoned(alone=self.alone)
        for rehearsal, world in gone:
            if world:
                await self._swept(world)
            note = "The bot ended in the middle of it, and its world with it."
            await self.book.end(rehearsal, RehearsalState.INTERRUPTED, note=note)
        untold = await self.book.untold()
        for one in untold:
            await self._show(one)
        return len(gone) + len(untold)

    async def _serve(self, going: set[asyncio.Task[None]]) -> None:
        while True:
            rehearsal, order = await self._waiting.get()
            task = asyncio.create_task(self._guarded(rehearsal, order), name=f"rehearsal-{rehearsal.id}")
            going.add(task)
            task.add_done_callback(going.discard)

    async def _guarded(self, rehearsal: Rehearsal, order: Order) -> None:
        with structlog.contextvars.bound_contextvars(rehearsal=rehearsal.id):
            try:
                ended = await self._followed(rehearsal, order)
            except asyncio.CancelledError:
                await self._end(
                    rehearsal.id, _Ended(RehearsalState.INTERRUPTED, "The bot was stopped, and its world with it.")
                )
                raise
            except ReleaseError as error:
                ended = _Ended(RehearsalState.BROKEN, error.message, error.hint)
            except Exception as error:  # noqa: BLE001  # a bug of ours ends this rehearsal alone
                _log.exception("rehearsal_error")
                ended = _Ended(RehearsalState.BROKEN, f"A bug of mine: {type(error).__name__}; my log has the details.")
            await self._end(rehearsal.id, ended)

    async def _followed(self, rehearsal: Rehearsal, order: Order) -> _Ended:
        """Carry it out while nobody wants it stopped."""
        await self._place(rehearsal)
        hearing = _Hearing(self, rehearsal)
        playing = asyncio.ensure_future(self.rehearser.carry_out(order, tell=hearing.hear))
        watching = asyncio.ensure_future(self._watch(rehearsal.id))
        try:
            await asyncio.wait({playing, watching}, return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                await playing
                return hearing.ended
            return await watching
        finally:
            for task in (playing, watching):
                task.cancel()
            await asyncio.gather(playing, watching, return_exceptions=True)

    async def _watch(self, rehearsal: str) -> _Ended:
        """Return once somebody wants it stopped, or another bot took us for gone."""
        while True:
            await self.clock.sleep(seconds=BEAT)
            try:
                ours, stop_by = await self.book.beat(rehearsal)
            except StoreUnavailable as error:
                _log.warning("rehearsal_not_noted", why=error.message)
                continue
            if stop_by:
                return _Ended(RehearsalState.STOPPED, f"Stopped by <@{stop_by}>.")
            if not ours:
                return _Ended(RehearsalState.INTERRUPTED)

    async def _end(self, rehearsal: str, ended: _Ended) -> None:
        while True:
            try:
                made = await self.book.end(rehearsal, ended.state, note=ended.note, hint=ended.hint)
                if made:
                    await self._show(made)
            except StoreUnavailable as error:
                _log.warning("rehearsal_not_ended", why=error.message)
                await self.clock.sleep(seconds=BEAT)
            else:
                return

    async def _place(self, rehearsal: Rehearsal) -> None:
        """Note where Slack has the message; without it, the rehearsal is named and not linked."""
        try:
            posted = await self.outbox.delivered(_key(rehearsal), within=_PLACED)
            await self.book.note(rehearsal.id, permalink=posted.permalink)
        except ReleaseError as error:
            _log.warning("rehearsal_not_placed", why=error.message)

    async def _swept(self, world: str) -> None:
        try:
            await self.rehearser.sweep(world)
        except Unavailable as error:
            _log.warning("world_not_swept", world=world, why=error.message)

    async def _show(self, rehearsal: Rehearsal) -> None:
        """Put the message, and once it has ended its thread's last word."""
        over = rehearsal.state is not RehearsalState.RUNNING
        await self._put(_key(rehearsal), views.message(rehearsal), final=over)
        if over:
            await self._put(f"{_key(rehearsal)}:end", views.ending(rehearsal), under=_key(rehearsal), final=True)
            await self.book.note(rehearsal.id, told=True)

    async def _put(self, key: str, message: Message, *, under: str = "", final: bool = False) -> None:
        await self.outbox.put(
            key, text=message.text, blocks=message.blocks, channel=self.channel, thread_key=under, final=final
        )


def _key(rehearsal: Rehearsal) -> str:
    return f"rehearsal-{rehearsal.id}"


class _Hearing:
    """Takes down what the child says of one rehearsal. What makes no sense is left out."""

    def __init__(self, rehearsals: Rehearsals, rehearsal: Rehearsal) -> None:
        self._all, self._id, self._steps = rehearsals, rehearsal.id, rehearsal.steps
        self.ended = _SILENT

    async def hear(self, line: Line) -> None:
        match line.get("is"):
            case "world":
                await self._all.book.note(self._id, world=str(line.get("root", "")))
            case "steps":
                news = line.get("steps")
                self._steps = told(
                    self._steps, [one for one in news if isinstance(one, dict)] if isinstance(news, list) else []
                )
                await self._all._show(await self._all.book.progress(self._id, self._steps))  # noqa: SLF001  # its own helper
            case "end":
                state = str(line.get("state"))
                known = {RehearsalState.PASSED, RehearsalState.FAILED, RehearsalState.BROKEN}
                if state in known:
                    self.ended = _Ended(RehearsalState(state), str(line.get("note", "")), str(line.get("hint", "")))
