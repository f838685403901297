"""TLS in front of a service: what goes in encrypted comes out plain at the port behind, and back."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from samples.self_signed import Certificate

HOST = "127.0.0.1"


@contextmanager
def encrypted(port: int, certificate: Certificate) -> Iterator[str]:
    """The URL under which the service of `port` is reached by TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    loop = asyncio.new_event_loop()

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(lambda *ends: _join(*ends, port), HOST, 0, ssl=context)

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    # By its own thread: that of a test may have a loop that runs, as Playwright's does.
    server = asyncio.run_coroutine_threadsafe(serve(), loop).result(20)
    try:
        yield f"https://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    behind_reader, behind_writer = await asyncio.open_connection(HOST, port)
    try:
        await asyncio.gather(_pass_on(reader, behind_writer), _pass_on(behind_reader, writer))
    finally:
        writer.transport.abort()
        behind_writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    # Sockets are closed in the turns of the loop that follow.
    for _ in range(3):
        await asyncio.sleep(0)
