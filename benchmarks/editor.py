"""From the last key to ghost text, in VS Code (code-server in Chromium), Neovim 0.12 and plain Node.

A line is typed, a key every 40 ms; the model writes the rest of it in a known time. Counted is, from the last key until
the text stands there (benchmarks/editor_typing.py says when that is in each editor):

  bare       with a language server that answers at once and does nothing else: the editor's own floor
  beyond     with Cleanroom, less the time that the engine slept for: "beyond the model's own time"
  waited     of that what is waited on purpose for a pause in typing. Neovim waits 200 ms itself, in which the 100 ms
             that the language server waits at least are over; elsewhere it is the server's 100 ms, from when it learns
             of the key. It is set to 100 ms here: left alone it learns 1.5 gaps between keys, 100 to 1000 ms, which a
             table of its own shows
  itself     beyond less waited: editor, protocol, language server, HTTP, gateway, guard, drawing. The bars are its

In plain Node it is also told how much of it lies before the engine and behind it. `cancelled`: from $/cancelRequest, or
from the next key, until the engine has stopped to write. All processes share one machine, and the times are theirs.

    PYTHONPATH=tests python benchmarks/editor.py [--json] [--scale small|full] [--editors FOLDER]
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from editor_server import LONG, TAIL
from editor_typing import EDITORS, PATIENCE, START, Started, in_node
from editors.conftest import ROOT, SERVER
from editors.plain import Client
from options import options_of
from overload import serving
from report import Report, progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from typing import IO, Any

    from editor_typing import Shown, Typing
    from rich.progress import Progress

ENGINE = Path(__file__).with_name("editor_server.py")
FLOOR = [sys.executable, str(Path(__file__).with_name("editor_floor.py"))]
WARM_UP = 3
SERVER_WAIT = 0.1
WAITS = {"node": SERVER_WAIT, "neovim": 0.2, "vscode": SERVER_WAIT}
LIMITS_MS = {"neovim": 50.0, "vscode": 120.0}
CANCEL_MS = 50.0
GAPS = (0.06, 0.15, 0.3)
"""Seconds between keys, for what the server learns of them."""
BREATH = 1.1
"""Seconds without a key after which the server takes the next one as the beginning of new typing."""


@dataclass(frozen=True, slots=True)
class Size:
    """Lines that are typed in each editor, requests that are cancelled in each way, lines at each of GAPS."""

    lines: int
    cancelled: int
    paced: int


SIZES = {"small": Size(30, 15, 4), "full": Size(300, 200, 20)}


@dataclass(slots=True)
class Generation:
    """What the engine did: moments of the monotonic clock, and the time that it took by order."""

    prompt: str
    began: float
    ended: float = 0.0
    slept: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)


class Engine:
    """Reads what the engine tells of its generations."""

    def __init__(self, told: IO[str]) -> None:
        self._generations: dict[int, Generation] = {}
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(told,), daemon=True)
        self._reader.start()

    def behind(self, end: str) -> Generation:
        """The generation for the prompt that ends so, once it has begun."""
        with self._news:
            found = self._news.wait_for(
                lambda: [one for one in self._generations.values() if one.prompt.endswith(end[-TAIL:])], PATIENCE
            )
        assert found, f"nothing was generated behind {end!r}"
        return found[-1]

    def _read(self, told: IO[str]) -> None:
        for line in told:
            said: dict[str, Any] = json.loads(line)
            with self._news:
                if "began" in said:
                    self._generations[said["number"]] = Generation(said["prompt"], said["began"])
                else:
                    one = self._generations[said["number"]]
                    one.ended, one.slept = said["ended"], said["slept"]
                    one.done.set()
                self._news.notify_all()


@dataclass(frozen=True, slots=True)
class Bench:
    """What everything here needs. `started` is Cleanroom's language server with a wait that is set."""

    tools: Path
    folder: Path
    started: Started
    engine: Engine
    bar: Progress

    def home(self, name: str) -> Path:
        """An empty folder."""
        folder = self.folder / name
        folder.mkdir()
        return folder


def main() -> None:
    """Measure, print, and end with the JSON line."""
    options = options_of(__doc__, SIZES, more=_editors)
    size: Size = SIZES[options.scale]
    report, load = Report("editor"), os.getloadavg()[0]
    with bench(require_tools(options.editors)) as ready:
        task = ready.bar.add_task("editors", total=len(EDITORS) + 2)
        rows = []
        for name in EDITORS:
            ready.bar.update(task, description=name)
            rows.append(measured(ready, name, size.lines, report))
            ready.bar.update(task, advance=1)
        paces = [(f"{gap * 1000:.0f}", *learned(ready, gap, size.paced, report)) for gap in GAPS]
        ready.bar.update(task, advance=1)
        cancellations(ready, size.cancelled, report)
    columns = ["ms", "bare p50", "p95", "beyond p50", "p95", "waited", "itself p50", "p95"]
    report.table("From the last key to ghost text", columns, rows)
    report.table("The server's own wait as it learns it", ["ms between keys", "waited p50", "beyond p50"], paces)
    for name, limit in LIMITS_MS.items():
        report.at_most(f"{name}_itself_p95_ms", limit)
    report.at_most("cancelled_slowest_ms", CANCEL_MS)
    report.notes += [
        f"processors: {os.cpu_count()}, load before: {load:.1f}; what else runs is in every time, most of all in p95",
        "node: {node_to_engine_p50_ms:.1f} ms from the wait's end to the engine, {node_from_engine_p50_ms:.1f} ms from "
        "its end to the answer (p50)".format(**report.figures),
    ]
    report.show(json_only=options.json)


def _editors(parser: argparse.ArgumentParser) -> None:
    default = os.environ.get("CLEANROOM_TEST_EDITORS", ROOT / ".editors")
    parser.add_argument("--editors", type=Path, default=default, help="what `make editors` filled (%(default)s)")


def require_tools(folder: Path) -> Path:
    """The folder with the editors."""
    missing = [name for name in ("node", "neovim", "vscode") if not (folder / name).exists()]
    if missing:
        sys.exit(f"{folder} has no {', '.join(missing)}: run `make editors`, or name its folder by --editors")
    return folder.resolve()


@contextmanager
def bench(tools: Path) -> Iterator[Bench]:
    """A service before the engine that tells, in a folder that is gone afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cr-editor-")))
        service = stack.enter_context(serving(folder, ENGINE))
        assert service.process.stdout is not None
        wait = round(SERVER_WAIT * 1000)
        settings: dict[str, object] = {"url": service.url, "debounceMin": wait, "debounceMax": wait}
        started = Started(SERVER, settings, service.keys["birch"])
        yield Bench(tools, folder, started, Engine(service.process.stdout), stack.enter_context(progress()))


def measured(bench: Bench, name: str, lines: int, report: Report) -> list[str]:
    """A row of the table: `lines` typed before each of the two servers."""
    with EDITORS[name](bench.tools, bench.home(f"{name}-floor"), Started(FLOOR, {})) as typing:
        floor = milliseconds([one.ghost - one.key for _, one in typed(typing, lines, f"{name}_floor")])
    with EDITORS[name](bench.tools, bench.home(name), bench.started) as typing:
        every = typed(typing, lines, name)
    generations = [bench.engine.behind(text) for text, _ in every]
    times = [shown.ghost - shown.key - one.slept for (_, shown), one in zip(every, generations, strict=True)]
    beyond, wait = milliseconds(times), WAITS[name]
    itself = milliseconds([one - wait for one in times])
    for figure, (p50, p95) in {"bare": floor, "beyond": beyond, "itself": itself}.items():
        report.figures |= {f"{name}_{figure}_p50_ms": p50, f"{name}_{figure}_p95_ms": p95}
    if name == "node":
        before = [one.began - shown.key - wait for (_, shown), one in zip(every, generations, strict=True)]
        behind = [shown.ghost - one.ended for (_, shown), one in zip(every, generations, strict=True)]
        report.figures["node_to_engine_p50_ms"] = milliseconds(before)[0]
        report.figures["node_from_engine_p50_ms"] = milliseconds(behind)[0]
    cells = [*floor, *beyond, wait * 1000, *itself]
    return [name, *(f"{cell:.1f}" for cell in cells)]


def typed(typing: Typing, lines: int, name: str, gap: float | None = None) -> list[tuple[str, Shown]]:
    """Each line that was typed, and when. The first lines warm up."""
    every = []
    for number in range(lines + WARM_UP):
        text = f"{name}_{number} = "
        every.append((text, typing(text) if gap is None else typing(text, gap)))
        if gap is not None:
            time.sleep(BREATH)
    return every[WARM_UP:]


def learned(bench: Bench, gap: float, lines: int, report: Report) -> tuple[str, str]:
    """What the server waits for whoever types at this pace, and the time beyond the model's then: medians."""
    settings = {name: value for name, value in bench.started.settings.items() if not name.startswith("debounce")}
    name = f"{gap * 1000:.0f}"
    with in_node(bench.tools, bench.home(f"pace-{name}"), replace(bench.started, settings=settings)) as typing:
        every = typed(typing, lines, f"p{name}", gap)
    generations = [bench.engine.behind(text) for text, _ in every]
    pairs = list(zip(every, generations, strict=True))
    beyond = milliseconds([shown.ghost - shown.key - one.slept for (_, shown), one in pairs])[0]
    waited = beyond - report.figures["node_itself_p50_ms"]
    report.figures |= {f"learned_{name}_waited_ms": waited, f"learned_{name}_beyond_ms": beyond}
    return f"{waited:.0f}", f"{beyond:.0f}"


def cancellations(bench: Bench, times: int, report: Report) -> None:
    """Milliseconds from a request's end, by the client's word or by a key, to the engine's, which would never end."""
    folder = bench.home("cancelled")
    late: dict[str, list[float]] = {"by_request": [], "by_key": []}
    with Client(bench.tools, bench.started.environment(folder)) as client:
        client.start(bench.started.command, bench.started.settings)
        client.reported(kind="Normal")
        client.open(folder / "main.py", START)
        for number in range(times):
            for kind, ends in late.items():
                text = f"{LONG}_{kind}_{number} = "
                client.type("\n" + text)
                answer = client.ask()
                one = bench.engine.behind(text)
                # In the middle of a piece, wherever that may be.
                time.sleep(0.05 + number % 5 * 0.004)
                at = client.cancel() if kind == "by_request" else client.type("1")
                assert one.done.wait(PATIENCE), "the engine goes on"
                answer.result(PATIENCE)
                ends.append(1000 * (one.ended - at))
    for kind, ends in late.items():
        report.figures[f"cancelled_{kind}_p50_ms"] = statistics.median(ends)
    report.figures["cancelled_slowest_ms"] = max(max(ends) for ends in late.values())


def milliseconds(seconds: Sequence[float]) -> tuple[float, float]:
    """Median and 95th percentile."""
    every = sorted(1000 * one for one in seconds)
    return statistics.median(every), every[int(0.95 * len(every))]


if __name__ == "__main__":
    main()
