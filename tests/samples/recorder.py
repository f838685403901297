"""What stands between the nodes of a federation and its link, and keeps what passes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from typing import TYPE_CHECKING

from training.deployment import CA, SERVER, SERVER_KEY

if TYPE_CHECKING:
    from pathlib import Path


class Recorder:
    """Stands between nodes and link with the link's own certificate, and keeps what passes in the clear.

    One thread does it all: two must not read and write one TLS connection at a time.
    """

    def __init__(self, certificates: Path, link: int) -> None:
        self.up, self.down = bytearray(), bytearray()
        self._link = link
        self._serve = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._serve.load_cert_chain(certificates / SERVER, certificates / SERVER_KEY)
        self._ask = ssl.create_default_context(cafile=str(certificates / CA))
        self._loop = asyncio.new_event_loop()
        self._carried: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        serving = asyncio.start_server(self._carry, "127.0.0.1", 0, ssl=self._serve)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(10)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _carry(self, node: asyncio.StreamReader, to_node: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carried.add(task)
        self._writers.add(to_node)
        with contextlib.suppress(OSError):
            link, to_link = await asyncio.open_connection("127.0.0.1", self._link, ssl=self._ask)
            self._writers.add(to_link)
            await asyncio.gather(_pump(node, to_link, self.up), _pump(link, to_node, self.down))
        to_node.close()

    def close(self) -> None:
        """Accept no more, and break off what is under way."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._carried, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the loop's next turn


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, into: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(1 << 16):
            into += data
            sink.write(data)
            await sink.drain()
    sink.close()
