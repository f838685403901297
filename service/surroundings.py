"""What a caller tells of the file that is written, beside the text itself, and how paths are written as comments.

Knows no model and no engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from guard.languages import language_of
from service.errors import InvalidRequestError

# What opens a comment to the end of the line, by language; "//" in the other languages, "#" where none is known.
_COMMENTS: Final = {
    language: opening
    for opening, languages in {
        "#": "cmake dockerfile elixir julia make nim perl powershell python r ruby shell terraform",
        "--": "haskell lua sql vhdl",
        ";;": "clojure",
        "%": "erlang",
        "!": "fortran",
    }.items()
    for language in languages.split()
}


@dataclass(frozen=True, slots=True)
class ContextFile:
    """Another file of the repository, or a piece of one."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Name of the repository, path of the file that is written, and other files, those that matter most last.

    Raises InvalidRequestError for other files without a path of this one: formats of several files name each.
    """

    path: str = ""
    repository: str = ""
    files: tuple[ContextFile, ...] = ()

    def __post_init__(self) -> None:
        """Check what is given."""
        if self.files and not self.path:
            message = "context.files are given, but not context.path: name the file that prompt and suffix are of, too"
            raise InvalidRequestError(message, param="context.path")


def path_comment(path: str) -> str:
    """The path as a comment in the language of its file, as one line without its end."""
    language = language_of(path)
    return f"{_COMMENTS.get(language, '//') if language else '#'} {path}"
