"""Which file a document is of, in which workspace folder, and whether its owner wants nothing sent of it.

Knows no text and no service.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pathspec import GitIgnoreSpec

from lsp.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

IGNORE_FILE = ".cleanroomignore"
IGNORE_CHARACTERS = 1_000_000
PATH_LIMIT = 500
"""Characters of a path that the service takes."""
_OF_FILES = frozenset({"file", "vscode-notebook-cell", "vscode-remote"})


@dataclass(frozen=True, slots=True)
class Place:
    """A document's file: its path within `folder`, or its bare name where it stands in none; empty without a file."""

    path: str
    folder: str | None


@dataclass(frozen=True, slots=True)
class _Rules:
    stamp: tuple[int, int]
    spec: GitIgnoreSpec


class Workspace:
    """The folders that an editor has open, and what is ignored in them."""

    def __init__(self, folders: Iterable[str] = ()) -> None:
        """`folders`: URIs."""
        self._folders = [path for path in map(path_of, folders) if path]
        self._globs: tuple[str, ...] = ()
        self._spec = GitIgnoreSpec.from_lines([])
        self._rules: dict[str, _Rules] = {}

    def change(self, added: Iterable[str], removed: Iterable[str]) -> None:
        """Folders were opened and closed."""
        gone = {path_of(uri) for uri in removed}
        kept = [folder for folder in self._folders if folder not in gone]
        self._folders = kept + [path for path in map(path_of, added) if path and path not in kept]

    def ignore(self, globs: tuple[str, ...]) -> None:
        """What the settings say. Raises ConfigurationError for a pattern that is none."""
        self._globs, self._spec = globs, _spec(globs, "ignore")

    def place(self, uri: str) -> Place:
        """Where a document stands."""
        path = path_of(uri)
        if not path:
            return Place("", None)
        inside = [folder for folder in self._folders if path.startswith(folder.rstrip("/") + "/")]
        if not inside:
            return Place(_plain(path.rpartition("/")[2]), None)
        folder = max(inside, key=len)
        return Place(_plain(path[len(folder.rstrip("/")) + 1 :]), folder)

    def ignored(self, place: Place) -> str | None:
        """What keeps a file from being sent, in a word, or None. Raises ConfigurationError for rules that are none.

        Rules that cannot be read keep everything: nobody knows what they were meant to keep.
        """
        if not place.path:
            return None
        if self._globs and self._spec.match_file(place.path):
            return "the setting ignore"
        if place.folder is not None and self._folder_rules(place.folder).match_file(place.path):
            return IGNORE_FILE
        return None

    def _folder_rules(self, folder: str) -> GitIgnoreSpec:
        """The rules of a folder's own file, read again when that has changed."""
        file = Path(folder) / IGNORE_FILE
        try:
            found = file.stat()
        except FileNotFoundError:
            return _NO_RULES
        except OSError as error:
            raise _unreadable(file, error) from None
        stamp = found.st_mtime_ns, found.st_size
        rules = self._rules.get(folder)
        if rules is None or rules.stamp != stamp:
            try:
                with file.open(encoding="utf-8") as open_file:
                    lines = open_file.read(IGNORE_CHARACTERS).splitlines()
            except (OSError, ValueError) as error:
                raise _unreadable(file, error) from None
            rules = self._rules[folder] = _Rules(stamp, _spec(lines, str(file)))
        return rules.spec


_NO_RULES = GitIgnoreSpec.from_lines([])


def path_of(uri: str) -> str:
    """The file that a URI names, also for a cell of a notebook; empty where it names none."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    if parts.scheme not in _OF_FILES:
        return ""
    path = unquote(parts.path)
    # file:///C:/x is a path of Windows.
    return path[1:] if path[2:3] == ":" and path[:1] == "/" else path


def _plain(path: str) -> str:
    """A path as the service takes one: of printable characters, whose last ones tell most."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in path)[-PATH_LIMIT:]


def _spec(lines: Iterable[str], source: str) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        message = f"{source}: {error}: write patterns as in .gitignore"
        raise ConfigurationError(message) from None


def _unreadable(file: Path, error: Exception) -> ConfigurationError:
    message = f"{file} cannot be read ({error}), so nothing is sent of its folder: correct or remove it"
    return ConfigurationError(message)
