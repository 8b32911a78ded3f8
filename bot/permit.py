"""May what is about to go out still go out? Whoever works under a lease is asked again right before it is sent.

A process that was stopped (SIGSTOP, a machine that slept) goes on in the middle of what it did, perhaps long after somebody
else took over. The engine says who is to be asked (`under`); whatever sends something asks (`demand`). Where nobody is to be
asked there is no lease, and nothing is kept back. Threads and tasks inherit the question from who starts them.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Permit(Protocol):
    """Raises when the lease does not last for as many seconds as the effect may take; looks at a clock and at nothing else."""

    def __call__(self, outliving: float = 0.0, /) -> None: ...  # noqa: D102  # said above


_asked: ContextVar[Permit | None] = ContextVar("permit", default=None)


def demand(*, outliving: float = 0.0) -> None:
    """Raise what the one to be asked raises, unless it may be sent now. ``outliving``: seconds that the effect may take."""
    permit = _asked.get()
    if permit is not None:
        permit(outliving)


@contextmanager
def under(permit: Permit) -> Iterator[None]:
    """Let everything inside, with the tasks and threads that it starts, ask this one."""
    token = _asked.set(permit)
    try:
        yield
    finally:
        _asked.reset(token)
