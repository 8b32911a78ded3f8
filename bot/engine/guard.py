"""Ports for a runner under a lease: no effect begins whose own deadline the lease does not outlive."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Protocol, cast, get_args, get_type_hints

from bot.domain.errors import Unavailable
from bot.ports import Ports, within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager


class Lease(Protocol):
    """What the guard needs of a lease (`bot.engine.records.Book`)."""

    def outliving(self, seconds: float, /) -> AbstractAsyncContextManager[None]:
        """Have it last longer than that while the block runs; raises `bot.engine.records.LeaseLost`."""


def guarded(ports: Ports, lease: Lease) -> Ports:
    """Return the same ports; what changes the world (`bot.ports.effect`) first makes sure of the lease, and keeps its deadline."""
    return cast("Ports", _Guarded(ports, lease))


class _Guarded:
    def __init__(self, ports: Ports, lease: Lease) -> None:
        self._ports, self._lease = ports, lease

    def __getattr__(self, name: str) -> Any:
        port = getattr(self._ports, name)
        return _Port(port, _protocols()[name], self._lease) if name in _protocols() and port is not None else port


class _Port:
    def __init__(self, port: object, protocol: type, lease: Lease) -> None:
        self._port, self._protocol, self._lease = port, protocol, lease

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        seconds = within(getattr(self._protocol, name, None))
        return method if seconds is None else functools.partial(_bounded, method, name, seconds, self._lease)


@functools.cache
def _protocols() -> dict[str, type]:
    hints = get_type_hints(Ports)
    return {name: next((one for one in get_args(hint) if one is not type(None)), hint) for name, hint in hints.items()}


async def _bounded(
    method: Callable[..., Awaitable[object]], what: str, seconds: float, lease: Lease, /, **parameters: object
) -> object:
    async with lease.outliving(seconds):
        try:
            async with asyncio.timeout(seconds):
                return await method(**parameters)
        except TimeoutError as error:
            raise Unavailable(
                f"{what.replace('_', ' ').capitalize()}: no end within {seconds:g} s.",
                hint="retry: what was done is looked for first",
                changed="It is not known whether it was done.",
            ) from error
