"""The server of `overload.py`: all of the service's parts, before an engine that writes canned text at a fixed pace.

    CLEANROOM_HOME=... python overload_server.py PLACES

Prints its URL when it listens.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from unloaded import Unloaded

from guard.ingest import ingest
from guard.tree import Tree
from guard.types import Owner
from service.cli.opening import index_address, limits_of, opened_accounts, opened_guard, opened_ledger
from service.engines.protocol import Chunk
from service.parts import Services
from service.server import claim_port, serve
from service.settings import load_settings
from service.telemetry import configure_logging

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.engines.protocol import EnginePrompt, Sampling

TEXT = "        total += entry.amount * rates.get(entry.currency, 1.0)\n    return total\n"
CHUNKS = 16
SECONDS = 0.8


class PacedEngine(Unloaded):
    """Writes TEXT in SECONDS, for any number of callers at once: what it is not asked to do, it does not slow down."""

    name = model = "paced"

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        """The text, at the pace."""
        del prompt, sampling
        piece = -(-len(TEXT) // CHUNKS)
        for start in range(0, len(TEXT), piece):
            await asyncio.sleep(SECONDS / CHUNKS)
            yield Chunk(TEXT[start : start + piece], tokens=1)
        yield Chunk("", finish_reason="length")


def main() -> None:
    """Serve until told to stop."""
    serve_before(PacedEngine(int(sys.argv[1])))


def serve_before(engine: PacedEngine) -> None:
    """Print the URL and serve until told to stop; the index holds one file."""
    settings = load_settings(port=0)
    configure_logging("error")
    with tempfile.TemporaryDirectory(prefix="cr-bench-") as folder:
        tree = Path(folder) / "tree"
        tree.mkdir()
        (tree / "code.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
        ingest(index_address(settings), Tree(tree, Owner.organization("dogwood")), jobs=1)
    with (
        claim_port(settings.host, 0) as listener,
        opened_guard(settings) as guard,
        opened_accounts(settings) as accounts,
        opened_ledger(settings) as ledger,
    ):
        services = Services(settings, accounts, engine, guard, ledger, limits=limits_of(settings))
        print(f"http://{settings.host}:{listener.getsockname()[1]}", flush=True)
        serve(services, listener)


if __name__ == "__main__":
    main()
