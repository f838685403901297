"""What other files of the same workspace folder offer: their imports and signatures, a bounded piece of each.

Knows no protocol and no service. Nothing is read from disk: only files that were opened in the editor are known.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass

FILES = 6
CHARACTERS = 600
"""Of one file."""
REMEMBERED = 40
TEXT_LIMIT = 200_000
"""Larger files are not looked through."""
_LINE_CHARACTERS = 160
_IMPORTS = 12

_IMPORT = re.compile(
    r"^[ \t]*(?:import\b|from\b.+\bimport\b|use\b|using\b|#[ \t]*include\b|require\b|(?:const|var|let)\b.+\brequire\()"
)
_MODIFIERS = (
    r"(?:(?:export|default|public|private|protected|internal|static|abstract|final|async|override|virtual|"
    r"pub(?:\([^)]*\))?|unsafe|inline|extern|data|sealed|open|partial|declare)\s+)*"
)
_WORDS = r"(?:def|class|function|fn|func|fun|struct|enum|interface|trait|impl|type|module|protocol|record|object)"
_DEFINITION = re.compile(rf"^[ \t]*{_MODIFIERS}{_WORDS}\b[^=;]*[\w)>\]]|^[ \t]*(?:public|protected)\s[^=;]*\(")
_NAME = re.compile(r"\w{3,}")


@dataclass(frozen=True, slots=True)
class Outline:
    """Imports and signatures of one file."""

    path: str
    folder: str
    text: str


class Neighbours:
    """The files that were opened or edited of late, the latest last."""

    def __init__(self) -> None:
        self._outlines: OrderedDict[str, Outline] = OrderedDict()

    def note(self, uri: str, path: str, folder: str | None, text: str) -> None:
        """A file is as `text` has it; one that stands in no folder is nobody's neighbour."""
        self._outlines.pop(uri, None)
        if folder is None or not path or len(text) > TEXT_LIMIT:
            return
        outline = outlined(text)
        if outline:
            self._outlines[uri] = Outline(path, folder, outline)
            while len(self._outlines) > REMEMBERED:
                self._outlines.popitem(last=False)

    def forget(self, uri: str) -> None:
        """A file is to be known no more."""
        self._outlines.pop(uri, None)

    def of(self, uri: str, folder: str | None, text: str, budget: int) -> list[Outline]:
        """At most `budget` characters of others in the folder, those that matter most last.

        These are whom `text` names, and then who was edited last.
        """
        if folder is None or budget <= 0:
            return []
        words = set(_NAME.findall(text[:TEXT_LIMIT]))
        others = [one for other, one in self._outlines.items() if other != uri and one.folder == folder]
        ranked = sorted(enumerate(others), key=lambda pair: (_stem(pair[1].path) in words, pair[0]), reverse=True)
        chosen: list[Outline] = []
        for _, one in ranked[:FILES]:
            budget -= len(one.text)
            if budget < 0:
                break
            chosen.insert(0, one)
        return chosen


def outlined(text: str) -> str:
    """The lines of a program that import and that define, up to CHARACTERS."""
    imports: list[str] = []
    definitions: list[str] = []
    for raw in text.splitlines():
        line = raw.rstrip()
        if not line or len(line) > _LINE_CHARACTERS:
            continue
        if _DEFINITION.search(line):
            definitions.append(line)
        elif len(imports) < _IMPORTS and _IMPORT.search(line):
            imports.append(line)
    room = CHARACTERS
    kept: list[list[str]] = []
    # Signatures before imports where there is no room for both.
    for lines in (definitions, imports):
        kept.append([])
        for line in lines:
            room -= len(line) + 1
            if room < 0:
                break
            kept[-1].append(line)
    return "".join(f"{line}\n" for lines in reversed(kept) for line in lines)


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]
