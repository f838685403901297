"""What stands between the nodes of a federation and its link, and keeps what passes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING

from training.deployment import CA, SERVER, SERVER_KEY

if TYPE_CHECKING:
    from pathlib import Path


class Recorder:
    """Stands between nodes and link with the link's own certificate, and keeps what passes in the clear."""

    def __init__(self, certificates: Path, link: int) -> None:
        self.up, self.down = bytearray(), bytearray()
        self._link = link
        self._serve = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._serve.load_cert_chain(certificates / SERVER, certificates / SERVER_KEY)
        self._ask = ssl.create_default_context(cafile=str(certificates / CA))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(accepted,), daemon=True).start()

    def _carry(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError), self._serve.wrap_socket(accepted, server_side=True) as node:
            upstream = socket.create_connection(("127.0.0.1", self._link))
            with self._ask.wrap_socket(upstream, server_hostname="127.0.0.1") as link:
                down = threading.Thread(target=self._pump, args=(link, node, self.down), daemon=True)
                down.start()
                self._pump(node, link, self.up)
                down.join()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket, into: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                into += data
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()
