"""Every request from Slack once: stored and committed, then acknowledged, then worked on, after a restart too."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Protocol

import structlog

from bot.domain.errors import ReleaseError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.slack.envelope import Envelope

_log = structlog.get_logger()
STORE_DEADLINE = 2.0  # seconds; Slack waits 3 for the acknowledgement
_TRIES = 3  # a request that ended the process that often is not tried again
_AT_ONCE = 32


class IntakeStore(Protocol):
    """Where requests are kept. Every method commits."""

    async def take(self, envelope: Envelope) -> bool:
        """Store it; False when one of that id is there already."""

    async def claim(self) -> Sequence[tuple[Envelope, int]]:
        """Return the requests that nobody finished nor works on, now this process's, with how often they were tried."""

    async def finish(self, envelope_id: str) -> None:
        """Note that it was answered."""

    async def hold(self) -> None:
        """Go on holding what this process works on: other processes leave it alone."""


class Intake:
    """Takes requests, and works on them in tasks that `run` owns."""

    def __init__(
        self,
        store: IntakeStore,
        *,
        work: Callable[[Envelope], Awaitable[None]],
        complain: Callable[[Envelope, str], Awaitable[None]],
        deadline: float = STORE_DEADLINE,
        sweep: float = 30.0,
    ) -> None:
        """``complain`` tells the person in private. ``sweep``: seconds between two looks for requests left by others."""
        self._store, self._work, self._complain = store, work, complain
        self._deadline, self._sweep = deadline, sweep
        self._waiting: asyncio.Queue[tuple[Envelope, Callable[[Envelope], Awaitable[None]]]] = asyncio.Queue()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._doubtful: set[str] = set()  # not acknowledged, and perhaps stored all the same

    async def take(self, envelope: Envelope) -> None:
        """Return once it is stored, or known from before: only then may it be acknowledged.

        Raises `Unavailable`, after telling the person, when the database does not answer within the deadline.
        """
        try:
            async with asyncio.timeout(self._deadline):
                new = await self._store.take(envelope)
        except (TimeoutError, Unavailable) as error:
            self._doubtful.add(envelope.id)
            self._waiting.put_nowait((envelope, self._not_stored))
            raise Unavailable("The database does not answer; the request was not taken.", hint="Try again.") from error
        if new or envelope.id in self._doubtful:
            self._doubtful.discard(envelope.id)
            self._waiting.put_nowait((envelope, self._carry_out))

    async def run(self) -> None:
        """Work on what is taken, until cancelled. What was being worked on then is worked on again after the start."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweeping(group))
            while True:
                envelope, job = await self._waiting.get()
                group.create_task(self._bounded(envelope, job))

    async def _sweeping(self, group: asyncio.TaskGroup) -> None:
        while True:
            try:
                await self._store.hold()
                left = await self._store.claim()
            except Unavailable as error:
                _log.warning("intake_not_read", why=str(error))
                left = []
            for envelope, tries in left:
                _log.info("request_picked_up", id=envelope.id, tries=tries)
                job = self._carry_out if tries <= _TRIES else self._give_up
                group.create_task(self._bounded(envelope, job))
            await asyncio.sleep(self._sweep)

    async def _bounded(self, envelope: Envelope, job: Callable[[Envelope], Awaitable[None]]) -> None:
        async with self._room:
            try:
                await job(envelope)
            except ReleaseError as error:
                _log.error("request_not_answered", id=envelope.id, why=str(error))

    async def _carry_out(self, envelope: Envelope) -> None:
        """The error boundary of all that people ask: a sentence for them, a traceback for the log alone."""
        try:
            await self._work(envelope)
        except ReleaseError as error:
            _log.info("request_refused", id=envelope.id, kind=type(error).__name__, why=str(error))
            await self._tell(envelope, sentence(error))
        except Exception:  # noqa: BLE001  # the one place where a bug of ours becomes a sentence
            number = uuid.uuid4().hex[:8]
            _log.exception("request_failed", id=envelope.id, number=number)
            await self._tell(envelope, f"Sorry, that went wrong inside me (error {number}); my log knows more.")
        await self._store.finish(envelope.id)

    async def _give_up(self, envelope: Envelope) -> None:
        await self._tell(envelope, "I could not carry out your last request; please ask again. `/release status`")
        await self._store.finish(envelope.id)

    async def _not_stored(self, envelope: Envelope) -> None:
        await self._tell(envelope, "My database does not answer, so I did not take your request. Please try again.")

    async def _tell(self, envelope: Envelope, text: str) -> None:
        try:
            await self._complain(envelope, text)
        except ReleaseError as error:
            _log.error("person_not_told", id=envelope.id, user=envelope.user, why=str(error))


def sentence(error: ReleaseError) -> str:
    """Return what a person reads of an error: what happened, what was changed, what to try next."""
    parts = (error.message, error.changed, f"→ {error.hint}" if error.hint else "")
    return "\n".join(part for part in parts if part)
