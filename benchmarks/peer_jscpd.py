"""jscpd, asked the accuracy benchmark's questions: a folder with one owner's files and all questions of a kind.

jscpd reports a clone against the first place where it saw the code, and against no other. So it runs once for each
owner, over that owner's files first and the questions after them, and a clone between a question and one of those files
names the owner. Two ways of asking: `defaults` as it comes (50 tokens and 5 lines, equal token for token), and
`renamed`, its most sensitive: 25 tokens on however few lines, names and literals alike, gaps of three lines.

Optional: jscpd comes from npm and is no dependency of the project. Knows nothing of the guard.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from questions import Question

PACKAGE = "jscpd@5.3.3"
MODES: dict[str, tuple[str, ...]] = {
    "defaults": ("--min-tokens", "50", "--min-lines", "5"),
    "renamed": (
        *("--min-tokens", "25", "--min-lines", "1", "--max-gap-lines", "3"),
        *("--ignore-identifiers", "--ignore-literals"),
    ),
}
"""Options by the name of a way of asking."""
_COMMON = ("--mode", "mild", "--format", "python", "--reporters", "json", "--max-size", "10mb", "--workers", "1")
_PATIENCE = 600
"""Seconds for one run; one takes about one."""
INDEXED, ASKED = "0-indexed", "1-asked"
"""Folders of a run, in the order in which jscpd reads them."""


def install_command(folder: Path) -> str:
    """How to have it below `folder`. Its scripts are not run: the program is in a package of the platform's."""
    return f"npm install --prefix {folder} --no-audit --no-fund --ignore-scripts {PACKAGE}"


def parameters(mode: str) -> str:
    """What a way of asking is, in words for the report."""
    return f"jscpd ({mode}): {PACKAGE} {' '.join((*_COMMON[:2], *MODES[mode]))}, one run an owner and kind"


@dataclass(frozen=True, slots=True)
class Jscpd:
    """jscpd as a detector for batches. `files`: path and text of each owner's files."""

    program: Path
    files: Mapping[str, Sequence[tuple[str, str]]]
    mode: str

    @classmethod
    def installed(cls, folder: Path, files: Mapping[str, Sequence[tuple[str, str]]], mode: str) -> Jscpd | None:
        """It, or None if npm has not put it below `folder`."""
        program = folder / "node_modules" / ".bin" / "jscpd"
        return cls(program, files, mode) if runs(program) else None

    def answers(self, questions: Sequence[Question]) -> list[set[str]]:
        """Names of the owners for each question. A prefix stands before its text, in the same file.

        Raises:
            RuntimeError: jscpd failed, which no figure may hide.
        """
        found: list[set[str]] = [set() for _ in questions]
        with tempfile.TemporaryDirectory(prefix="cr-jscpd-") as home:
            texts = ((f"{number}.py", question.prefix + question.text) for number, question in enumerate(questions))
            write(Path(home, ASKED), texts)
            for owner, files in self.files.items():
                numbered = ((f"{number}.py", text) for number, (_, text) in enumerate(files))
                write(Path(home, owner, INDEXED), numbered)
                for number in self._run(Path(home), owner):
                    found[number].add(owner)
        return found

    def _run(self, home: Path, owner: str) -> set[int]:
        """Numbers of the questions that share a clone with a file of the owner."""
        folders = (home / owner / INDEXED, home / ASKED)
        command = [self.program, *_COMMON, *MODES[self.mode], "--absolute", "--output", home / owner, *folders]
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
        report = home / owner / "jscpd-report.json"
        if run.returncode or not report.is_file():
            message = f"jscpd failed with exit code {run.returncode}: {run.stderr.strip()[-500:]}"
            raise RuntimeError(message)
        with report.open(encoding="utf-8") as file:
            return shared(json.load(file)["duplicates"])


def shared(clones: Iterable[Mapping[str, Mapping[str, str]]]) -> set[int]:
    """Numbers of the questions in clones of jscpd's report that join one to an indexed file."""
    numbers = set()
    for clone in clones:
        paths = [Path(clone[side]["name"]) for side in ("firstFile", "secondFile")]
        rooms = {path.parent.name: path for path in paths}
        if rooms.keys() == {INDEXED, ASKED}:
            numbers.add(int(rooms[ASKED].stem))
    return numbers


def write(folder: Path, files: Iterable[tuple[str, str]]) -> None:
    """Write texts below a fresh folder."""
    folder.mkdir(parents=True)
    for name, text in files:
        (folder / name).write_text(text, encoding="utf-8")


def runs(program: Path) -> bool:
    """Whether the program is there and says its version: npm leaves a stub where a platform has no package."""
    try:
        command = [program, "--version"]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
    except OSError:
        return False
