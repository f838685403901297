from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from samples.code import METHOD, PYTHON
from samples.counting import CountingEngine
from samples.indexed import ACME, Indexed

from benchmarks.usefulness_drawing import drawn, kept
from benchmarks.usefulness_scores import Outcome, outcome, recited, scores
from benchmarks.usefulness_tasks import FOLDER, KINDS, Task, TasksError, lines_of, tasks_of
from guard.store import open_store
from service.engines.protocol import Chunk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.engines.protocol import EnginePrompt, Sampling

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "usefulness.py"
TASK = Task("multi_line", "Multi/HumanEval/7/L0_L1", "def f(x):\n", "    y = x\n    return y\n", "\nprint(f(1))\n")


@dataclass
class Writing(CountingEngine):
    """Writes `ok` and breaks down once it has done so `most` times; `wrote` are the prompts."""

    context_window: int = 0
    most: int = 100
    wrote: list[str] = field(default_factory=list)

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        if len(self.wrote) == self.most:
            raise KeyboardInterrupt
        assert sampling.temperature == 0
        self.wrote.append(prompt.text)
        for piece in ("    o", "k\n"):
            yield Chunk(piece, 1, None if piece.endswith("o") else "stop")


def task(number: int, **given: str) -> Task:
    values = {"prompt": f"x = {number}\n", "solution": "y = 1\n", "suffix": ""} | given
    return Task(kind="multi_line", name=f"Multi/HumanEval/{number}/L0", **values)


def write_data(folder: Path, **others: bytes) -> Path:
    """The three files of the data set, with one task each."""
    for kind, name in KINDS.items():
        line = {
            "task_id": TASK.name,
            "prompt": TASK.prompt,
            "suffix": TASK.suffix,
            "canonical_solution": TASK.solution,
            "test": "",
        }
        (folder / name).write_bytes(others.get(kind, gzip.compress(json.dumps(line).encode() + b"\n")))
    return folder


def test_tasks_are_read_kind_by_kind(tmp_path: Path) -> None:
    found = tasks_of(write_data(tmp_path))
    assert [one.kind for one in found] == list(KINDS)
    assert found[0] == TASK
    assert (TASK.problem, TASK.lines) == ("7", 2)
    assert TASK.whole.startswith("def f(x):\n    y = x\n")
    assert lines_of("a\n\n  \nb") == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no gzip", "cannot be read"),
        (gzip.compress(b"{}\n")[:12], "cannot be read"),
        (gzip.compress(b"\xff\n"), "cannot be read"),
        (gzip.compress(b"{}\n"), "line 1 of .* is no task"),
        (gzip.compress(b"[]\n"), "line 1 of .* is no task"),
        (gzip.compress(b"{\n"), "line 1 of .* is no task"),
        (gzip.compress(b'{"task_id": "a", "prompt": "", "suffix": "", "canonical_solution": ""}'), "names no problem"),
    ],
    ids=["no gzip", "cut off", "no text", "empty", "list", "no JSON", "no problem"],
)
def test_damaged_data_are_named_with_the_remedy(tmp_path: Path, data: bytes, message: str) -> None:
    write_data(tmp_path, single_line=data)
    with pytest.raises(TasksError, match=message) as refused:
        tasks_of(tmp_path)
    assert "github.com/openai/human-eval-infilling" in str(refused.value)
    assert KINDS["single_line"] in str(refused.value)


def test_missing_data_are_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (None, tmp_path):
        with pytest.raises(TasksError, match=f"--data or {FOLDER}"):
            tasks_of(folder)
    monkeypatch.delenv(FOLDER, raising=False)
    run = subprocess.run([sys.executable, str(BENCHMARK)], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("error: no data are named: take HumanEval-")


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    some = [task(number) for number in range(4)]
    broken = Writing(most=2)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(drawn(broken, some, tmp_path / "out"))
    (path,) = (tmp_path / "out").iterdir()
    with path.open("a") as file:
        file.write('{"task": "half a li')
    done: list[None] = []
    going_on = Writing()
    texts = asyncio.run(drawn(going_on, some, tmp_path / "out", progress=lambda: done.append(None)))
    assert texts == {one.name: "    ok\n" for one in some} == kept(path)
    assert [prompt.strip() for prompt in going_on.wrote] == ["x = 2", "x = 3"]
    assert len(done) == len(some)
    assert asyncio.run(drawn(Writing(most=0), some[1:3], tmp_path / "out")).keys() == {some[1].name, some[2].name}
    # What another model writes is another matter.
    assert asyncio.run(drawn(Writing(model="a/b:c"), some, tmp_path / "out")).keys() == texts.keys()
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_only_as_many_lines_count_as_the_gap_had() -> None:
    longer = Outcome(TASK, TASK.solution + "\nx = 3\n", TASK.solution, ())
    found = scores([longer, Outcome(TASK, TASK.solution, "", ("acme",))])
    assert (found.count, found.blocked) == (2, 1)
    assert found.exact == (100.0, 50.0)
    assert found.similar == (100.0, 50.0)
    assert found.changes == (50.0, 50.0)
    other = scores([Outcome(TASK, "    y = x\n    return z\n", "    y = x\n    return z\n", ())])
    assert other.exact == (0.0, 0.0)
    assert 80 < other.similar[0] == other.similar[1] < 100


def test_what_the_guard_keeps_back_does_not_count(tmp_path: Path) -> None:
    place = PYTHON.index(METHOD)
    method = Task("multi_line", "Multi/HumanEval/1/L0", PYTHON[:place], METHOD, PYTHON[place + len(METHOD) :])
    with open_store(None, tmp_path, check_timeout=5) as store:
        indexed = Indexed(store, tmp_path)
        free = outcome(indexed.guard, method, METHOD, method.prompt)
        assert (free.blocked, free.left) == (False, METHOD)
        indexed.add(ACME, "ledger.py", PYTHON)
        held = outcome(indexed.guard, method, METHOD, method.prompt)
    assert held.owners == ("acme",)
    assert METHOD.startswith(held.left)
    assert len(held.left) < len(METHOD)
    assert (recited([free], 6), recited([held], 6)) == (1, 0)
