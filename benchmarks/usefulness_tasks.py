"""HumanEval-Infilling: gaps in short Python functions, and what stood in them.

Bavarian et al., Efficient Training of Language Models to Fill in the Middle (2022). The data are not part of this
project: they are read from a folder that whoever runs the benchmark names. Knows no guard and no model.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = "HUMAN_EVAL_INFILLING"
"""The variable that names the folder."""
KINDS = {
    "multi_line": "HumanEval-MultiLineInfilling.jsonl.gz",
    "single_line": "HumanEval-SingleLineInfilling.jsonl.gz",
    "random_span": "HumanEval-RandomSpanInfilling.jsonl.gz",
}
"""Kinds of gaps, and the file of each."""
_FIELDS = ("task_id", "prompt", "suffix", "canonical_solution")
_REMEDY = (
    f"take {', '.join(KINDS.values())} from the folder `data` of https://github.com/openai/human-eval-infilling "
    f"(MIT), and name the folder that holds them by --data or {FOLDER}"
)


class TasksError(Exception):
    """The data are not there, or are not what they should be. Names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Task:
    """A gap: the text around it, and the one that a person wrote into it. `problem` names the whole function."""

    kind: str
    name: str
    prompt: str
    solution: str
    suffix: str

    @property
    def problem(self) -> str:
        """The number of the function in HumanEval."""
        return self.name.split("/")[2]

    @property
    def whole(self) -> str:
        """The function with the gap filled."""
        return self.prompt + self.solution + self.suffix

    @property
    def lines(self) -> int:
        """Lines of the solution that are not blank."""
        return lines_of(self.solution)


def lines_of(text: str) -> int:
    """Lines that are not blank."""
    return sum(1 for line in text.splitlines() if line.strip())


def tasks_of(folder: Path | None) -> list[Task]:
    """All tasks below `folder`, kind by kind.

    Raises:
        TasksError: no folder is named, or a file is missing or damaged.
    """
    if folder is None:
        message = f"no data are named: {_REMEDY}"
        raise TasksError(message)
    return [task for kind, file in KINDS.items() for task in _read(kind, folder / file)]


def _read(kind: str, path: Path) -> Iterator[Task]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                yield _task(kind, path, number, line)
    except FileNotFoundError as error:
        message = f"{path} does not exist: {_REMEDY}"
        raise TasksError(message) from error
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        message = f"{path} cannot be read ({error}): {_REMEDY}"
        raise TasksError(message) from error


def _task(kind: str, path: Path, number: int, line: str) -> Task:
    try:
        name, prompt, suffix, solution = (str(json.loads(line)[field]) for field in _FIELDS)
    except (ValueError, TypeError, KeyError) as error:
        message = f"line {number} of {path} is no task with {', '.join(_FIELDS)}: {_REMEDY}"
        raise TasksError(message) from error
    if name.count("/") < 2:  # noqa: PLR2004 - kind, data set, problem, and mostly the gap
        message = f"line {number} of {path}: {name!r} names no problem: {_REMEDY}"
        raise TasksError(message)
    return Task(kind, name, prompt, solution, suffix)
