"""The problems of HumanEval-Infilling (Bavarian et al. 2022, arXiv 2207.14255), from a file of OpenAI's repository.

Knows no model and runs no code: whether a completion passes a problem's tests (pass@1) takes a sandbox, which is not
part of Cleanroom.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.errors import PlanError

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "https://github.com/openai/human-eval-infilling"


@dataclass(frozen=True, slots=True)
class Problem:
    """A program with a gap. `function` names the HumanEval problem, of which several gaps may be asked."""

    name: str
    function: str
    prefix: str
    suffix: str
    middle: str


def read_problems(path: Path) -> list[Problem]:
    """The problems of a file `HumanEval-*Infilling.jsonl.gz`, or of the same unpacked.

    Raises PlanError for a file that cannot be read or is none.
    """
    try:
        content = path.read_bytes()
        text = gzip.decompress(content) if path.suffix == ".gz" else content
        return [_problem(line) for line in text.decode().splitlines() if line.strip()]
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror or error}): it is in the folder data of {SOURCE}"
        raise PlanError(message) from error
    except (ValueError, KeyError, TypeError, EOFError) as error:
        message = f"{path} is no file of HumanEval-Infilling: take one from the folder data of {SOURCE}"
        raise PlanError(message) from error


def _problem(line: str) -> Problem:
    fields = json.loads(line)
    parts = fields["task_id"].split("/")
    return Problem(
        fields["task_id"], "/".join(parts[1:3]), fields["prompt"], fields["suffix"], fields["canonical_solution"]
    )
