"""The TCP connection under SSH."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import aiohappyeyeballs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohappyeyeballs import AddrInfoType

_SIP = 1 << 17  # bytes
_DELAY = 0.25  # seconds before the next address is tried beside the first (RFC 8305, 5)


class _Sipping(socket.socket):
    """Gives at most 128 KiB at once: asyncssh copies all that has come, twice for each packet that it takes from it."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        return super().recv(min(size, _SIP), flags)


async def connected(host: str, port: int) -> socket.socket:
    """Return a socket that is connected to the first address of a host that answers; raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=_DELAY, socket_factory=_made)


@contextlib.contextmanager
def kept(sock: socket.socket) -> Iterator[socket.socket]:
    """Close a socket that nobody took over: asyncssh may give up before it does."""
    try:
        yield sock
    except BaseException:
        sock.close()
        raise


def _made(address: AddrInfoType) -> socket.socket:
    return _Sipping(*address[:3])
