"""What a real model writes into the gaps, drawn once and kept: a run that was stopped goes on where it stood.

Knows no guard. A file a model, a line a generation: `{"task": name, "text": what was written}`.
"""

from __future__ import annotations

import json
import re
from contextlib import aclosing
from typing import TYPE_CHECKING

from service.engines.protocol import Sampling
from service.prompt import build_prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from usefulness_tasks import Task

    from service.engines.protocol import Engine

TOKENS = 96
STOPS = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint(")
"""Where a function has ended, as HumanEval has it (Chen et al., Evaluating Large Language Models Trained on Code,
2021, section 2)."""


async def drawn(
    engine: Engine, tasks: Sequence[Task], folder: Path, *, progress: Callable[[], None] = lambda: None
) -> dict[str, str]:
    """The greedy generation for each task by its name; what `folder` has already is not drawn again.

    The engine has been started. `progress` is called once a task. Raises what engines raise; what was drawn is kept.
    """
    path = _file(folder, engine)
    known = kept(path)
    with path.open("a", encoding="utf-8") as file:
        for task in tasks:
            if task.name not in known:
                known[task.name] = await _generation(engine, task)
                file.write(json.dumps({"task": task.name, "text": known[task.name]}) + "\n")
                file.flush()
            progress()
    return {task.name: known[task.name] for task in tasks}


def _file(folder: Path, engine: Engine) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{engine.name}-{re.sub(r'[^A-Za-z0-9.-]+', '_', engine.model)}-{TOKENS}.jsonl"


def kept(path: Path) -> dict[str, str]:
    """The generations in a file by task, none if there is none. A line that was cut off is taken out."""
    if not path.exists():
        return {}
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        path.write_bytes(whole)
    lines = [json.loads(line) for line in whole.decode("utf-8").splitlines()]
    return {line["task"]: line["text"] for line in lines}


async def _generation(engine: Engine, task: Task) -> str:
    prompt = await build_prompt(engine, task.prompt, task.suffix, TOKENS)
    async with aclosing(engine.generate(prompt, Sampling(max_tokens=TOKENS, stop=STOPS))) as chunks:
        return "".join([chunk.text async for chunk in chunks])
