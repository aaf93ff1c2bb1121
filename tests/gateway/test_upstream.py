"""A connection that a service has closed in the meantime costs nobody a request."""

import asyncio

from services.contract import Grant
from services.gateway.upstream import Upstream

_GRANT = Grant(client="tests", province="20")


async def _answer_once_a_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the first request and close the connection, without a word, when a second one comes."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    await writer.drain()
    await reader.read(1)
    writer.close()


async def _ask_twice() -> list[int]:
    server = await asyncio.start_server(_answer_once_a_connection, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    upstream = Upstream("dossier", f"http://{host}:{port}", "key")
    await upstream.open()
    try:
        return [(await upstream.ask("POST", b"/v1/events", [], b"", _GRANT)).status_code for _ in range(2)]
    finally:
        await upstream.aclose()
        server.close()


def test_a_request_on_a_connection_closed_meanwhile_is_sent_again() -> None:
    assert asyncio.run(_ask_twice()) == [200, 200]
