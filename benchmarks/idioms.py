"""Code that everybody writes: more than 500 idioms in seven languages and some configuration, which nobody owns.

They lie as plain text below `idioms/LANGUAGE/`, several a file, each after a line `=== name`. A guard that blocks one
of them says of common knowledge that it is somebody's. Knows no guard.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FOLDER = Path(__file__).parent / "idioms"
MARK = "=== "
NO_LANGUAGE = "config"
"""The folder of what is no programming language: containers, pipelines, licence notices."""


@dataclass(frozen=True, slots=True)
class Idiom:
    """One idiom. Its name is unique within its language."""

    name: str
    language: str
    text: str

    @property
    def spoken(self) -> str | None:
        """The language that an editor would name, None where it is left to be guessed."""
        return None if self.language == NO_LANGUAGE else self.language


def idioms(folder: Path = FOLDER) -> list[Idiom]:
    """All of them, in the order of the files' names.

    Raises:
        ValueError: a file does not begin with a marker line.
    """
    return [idiom for path in sorted(folder.glob("*/*.txt")) for idiom in _read(path)]


def _read(path: Path) -> Iterator[Idiom]:
    before, *parts = ("\n" + path.read_text(encoding="utf-8")).split(f"\n{MARK}")
    if before.strip():
        message = f"{path} does not begin with a line '{MARK}name': {before.strip()[:40]!r}"
        raise ValueError(message)
    for part in parts:
        name, _, text = part.partition("\n")
        yield Idiom(name.strip(), path.parent.name, text.rstrip("\n") + "\n")


def blocked(blockers: Callable[[str, str | None], Iterable[str]], some: Iterable[Idiom]) -> list[tuple[Idiom, str]]:
    """The idioms that are blocked, each with whose code it is said to be.

    `blockers` answers for a text and its language for whose sake it is blocked, nobody's if it is not.
    """
    found = []
    for idiom in some:
        owners = sorted(blockers(idiom.text, idiom.spoken))
        if owners:
            found.append((idiom, ", ".join(owners)))
    return found
