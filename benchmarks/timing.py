"""Can the time of an answer tell that something was kept back because it is another organization's code?

Two prompts get the same visible answer: for one the model stops after it, for the other it goes on into a private file
of another organization, which the guard cuts off. An attacker asks each so many times that the mean of REPEATS times
is compared, learns on half of these means which is the slower one, and guesses for the others. Measured is the area
under his curve: 0.5 is guessing, 1 is knowing. The engine writes a token in PACE seconds.

    python benchmarks/timing.py [--json] [--scale small|full]
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import uvicorn
from options import options_of
from report import Report, progress
from unloaded import Unloaded

from guard.check import Guard, warm
from guard.digest import Digester
from guard.index import Index
from guard.ledger import Ledger
from guard.secret import IndexKey
from guard.store import open_store
from guard.types import Owner
from service.accounts import Accounts, Scope
from service.app import create_app
from service.engines.protocol import Chunk
from service.parts import Services
from service.server import claim_port, configured
from service.settings import load_settings
from service.telemetry import configure_logging

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

    from service.engines.protocol import EnginePrompt, Sampling

KEY = IndexKey(hashlib.sha256(b"timing").digest())
REPEATS = 100
PACE = 0.001
TOKENS = 80
AT_ONCE = 12
VISIBLE = "def total(rows):\n    return sum(row.amount for row in rows)\n\n\n"
# The source of a module as good as any: its functions are in no index but the one made here.
PRIVATE = Path(random.__file__).read_text(encoding="utf-8").partition("    def shuffle")[2]
# Where disks are slow, what they do hides what is measured.
MEMORY = next((folder for folder in ("/dev/shm",) if Path(folder).is_dir()), None)  # noqa: S108
LEAKS, STOPS = "case = 1\n", "case = 2\n"


@dataclass(frozen=True, slots=True)
class Size:
    """Means of REPEATS times that are compared, of each kind."""

    means: int


SIZES = {"small": Size(10), "full": Size(200)}


class Paced(Unloaded):
    """Writes the visible answer and, where the prompt says so, goes on into the private file."""

    name = model = "paced"
    visible = VISIBLE

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        """Four characters at a time."""
        text = VISIBLE + "    def shuffle" + PRIVATE if prompt.text.endswith(LEAKS) else self.visible
        pieces = [text[at : at + 4] for at in range(0, len(text), 4)][: sampling.max_tokens]
        for piece in pieces:
            await asyncio.sleep(PACE)
            yield Chunk(piece, tokens=1)
        yield Chunk("", finish_reason="length" if len(pieces) == sampling.max_tokens else "stop")


def main() -> None:
    """Measure, print, and end with the JSON line."""
    options = options_of(__doc__, SIZES)
    size = SIZES[options.scale]
    configure_logging(level="error", form="console")
    report = Report("timing")
    rows = []
    with progress() as bar:
        task = bar.add_task("times", total=2)
        for name, even in (("as_it_is", False), ("even_times", True)):
            times = asyncio.run(measured(size.means, even=even))
            report.figures[f"auc_{name}_once"] = auc(*times)
            report.figures[f"auc_{name}"] = auc(*(kind.reshape(-1, REPEATS).mean(axis=1) for kind in times))
            rows.append((name, *(f"{np.median(kind) * 1000:.1f}" for kind in times)))
            bar.update(task, advance=1)
    report.table("Answers, median ms", ("", "cut", "stopped"), rows)
    report.at_most("auc_even_times", 0.55)
    report.notes.append(f"{PACE * 1000:g} ms a token, {TOKENS} asked for, {AT_ONCE} requests at once, as they come")
    report.show(json_only=options.json)


def auc(cut: NDArray[np.float64], stopped: NDArray[np.float64]) -> float:
    """Area under the curve of whoever learnt on the first half which is slower, over the second half."""
    half = len(cut) // 2
    slower = cut[:half].mean() > stopped[:half].mean()
    ranks = cut[half:, None] - stopped[None, half:]
    area = float((ranks > 0).mean() + (ranks == 0).mean() / 2)
    return area if slower else 1 - area


async def measured(means: int, *, even: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds of answers that were cut and of answers that stopped, asked for in random order."""
    with serving(even=even) as (url, key, engine):
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
            order = [LEAKS, STOPS] * (means * REPEATS)
            random.Random(1).shuffle(order)  # noqa: S311 - not for secrets
            times: dict[str, list[float]] = {LEAKS: [], STOPS: []}
            texts: dict[str, set[str]] = {LEAKS: set(), STOPS: set()}
            waiting = iter([LEAKS, STOPS] * 50 + order)

            async def ask() -> None:
                for case in waiting:
                    began = time.perf_counter()
                    reply = await client.post("/v1/completions", json={"prompt": case, "max_tokens": TOKENS})
                    assert reply.is_success, reply.text
                    times[case].append(time.perf_counter() - began)
                    texts[case].add(reply.json()["choices"][0]["text"].rstrip())

            # What is left of the one is what the other one is.
            first = await client.post("/v1/completions", json={"prompt": LEAKS, "max_tokens": TOKENS})
            engine.visible = first.json()["choices"][0]["text"]
            assert VISIBLE.startswith(engine.visible)
            await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    assert texts[LEAKS] == texts[STOPS], "both answers look the same"
    cut, stopped = (np.array(some[50:]) for some in times.values())  # the first warm up
    return cut, stopped


@contextmanager
def serving(*, even: bool) -> Iterator[tuple[str, str, Paced]]:
    """A service before the paced engine, with the private file in its index, a caller's key, and the engine."""
    engine = Paced()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cr-timing-", dir=MEMORY)))
        quotas = {"requests_per_minute": 0, "tokens_per_day": 0, "leaks_per_day": 0}
        settings = load_settings(home=home, check_timeout=5, stream_release="whole", even_times=even, **quotas)
        store = stack.enter_context(open_store(None, home, check_timeout=5))
        index, digester = Index(store, KEY, home), Digester(KEY)
        warm()
        index.create()
        owner = index.owner_id(Owner.organization("victim"))
        index.put(owner, digester.digest("random.py", "    def shuffle" + PRIVATE, "python"))
        accounts = stack.enter_context(Accounts(settings.database_url))
        ledger = stack.enter_context(Ledger(settings.database_url))
        accounts.add_organization("caller")
        _, key = accounts.create_key("caller", frozenset({Scope.COMPLETE}))
        services = Services(settings, accounts, engine, Guard(index, digester), ledger)
        listener = claim_port("127.0.0.1", 0)
        server = uvicorn.Server(configured(create_app(services), settings))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", key, engine
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main()
