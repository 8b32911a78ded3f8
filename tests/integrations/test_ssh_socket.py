"""The TCP connection under SSH, against real listeners."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING

import pytest

from integrations.sshsocket import connected, kept

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


async def test_a_name_leads_to_the_address_that_answers(listener: socket.socket) -> None:
    with await connected("localhost", listener.getsockname()[1]) as sock:
        assert sock.getpeername()[:2] == listener.getsockname()


async def test_no_more_than_128_kib_come_at_once(listener: socket.socket) -> None:
    with await connected("127.0.0.1", listener.getsockname()[1]) as sock:
        other, _ = listener.accept()
        sent = b"x" * 300_000
        with other:
            sending = asyncio.create_task(asyncio.to_thread(other.sendall, sent))
            sock.setblocking(True)
            pieces: list[bytes] = []
            while sum(map(len, pieces)) < len(sent):
                pieces.append(await asyncio.to_thread(sock.recv, 1 << 18))
            await sending
    assert b"".join(pieces) == sent
    assert max(map(len, pieces)) <= 1 << 17


async def test_a_closed_port_is_an_error_with_its_number(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(OSError) as caught:  # noqa: PT011  # its number is looked at
        await connected("127.0.0.1", port)
    assert caught.value.errno == errno.ECONNREFUSED


async def test_a_socket_that_nobody_took_over_is_closed(listener: socket.socket) -> None:
    sock = await connected("127.0.0.1", listener.getsockname()[1])
    with pytest.raises(ValueError, match="no key"), kept(sock):
        raise ValueError("no key")
    assert sock.fileno() == -1
