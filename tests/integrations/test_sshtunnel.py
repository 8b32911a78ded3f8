"""A tunnel leads to what only the server reaches, outlives a lost connection, and leaves the connection to the others."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import HostUnreachable, Unavailable
from bot.engine.clock import SystemClock
from bot.settings_search import ElasticsearchSettings
from integrations.elasticsearch import ElasticIndices
from integrations.sshtunnel import Tunnel
from tests.integrations.helpers import configure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from integrations.ssh import SshHost
    from sandbox.sshd import SshServer
    from tests.integrations.wire import Wire


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """Something that listens beside the server, and says back what it hears."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(100):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def heard(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello")
    said = await asyncio.wait_for(reader.read(100), 60)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return said


async def test_a_tunnel_is_opened_once_anew_after_a_loss_and_closed_alone(far: SshHost, wire: Wire, echo: int) -> None:
    tunnel = Tunnel(far, "127.0.0.1", echo)
    first = await tunnel.port()
    assert await asyncio.gather(heard(first), heard(first), heard(await tunnel.port())) == [b"hello"] * 3
    assert {await tunnel.port() for _ in range(3)} == {first}

    lost = await far.connection()
    wire.cut()
    await lost.wait_closed()
    with pytest.raises(OSError, match="Connect call failed"):
        await heard(first)
    assert await heard(await tunnel.port()) == b"hello"

    last = await tunnel.port()
    await tunnel.close()
    with pytest.raises(OSError, match="Connect call failed"):
        await heard(last)
    assert (await far.run(["echo", "still here"])).stdout == "still here\n"
    assert wire.connections == 2


async def test_a_server_that_forwards_nothing_or_is_down_is_told(
    server: SshServer, connect: Callable[..., SshHost], echo: int
) -> None:
    await configure(server, f"AllowUsers {server.user}", f"AllowUsers {server.user}\nAllowTcpForwarding no")
    host = connect(server)
    indices = ElasticIndices(host, ElasticsearchSettings(port=echo), SystemClock())
    with pytest.raises(Unavailable, match=f"127.0.0.1:{echo}") as caught:
        await indices.look()
    assert "AllowTcpForwarding" in caught.value.hint
    lost = await host.connection()
    await server.stop()
    await lost.wait_closed()
    with pytest.raises(HostUnreachable):
        await indices.look()
    await indices.close()
