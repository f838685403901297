"""Walking real source trees: which files are source, and their text. Knows no index, no licence and no owner.

Listing is cheap (names and sizes only) so that one process can list a tree and several can load it, a file at a time.
"""

from __future__ import annotations

import codecs
import io
import os
import stat
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from guard.errors import CorpusError
from guard.languages import language_of
from guard.skips import Skipped, SkipReason, in_tool_folder, judge_name, judge_text, vendored_folder
from guard.worktree import list_paths

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_BYTES",
    "ListedFile",
    "SkipReason",
    "Skipped",
    "SourceFile",
    "list_files",
    "load",
    "read_source",
    "walk",
]

MAX_BYTES: Final = 512 * 1024
"""The default limit on the size of one file, in bytes: longer ones are data more often than code."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A source file by its name. `path` is relative to the root, with "/"; `size` is in bytes."""

    path: str
    language: str
    size: int


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source file that is worth indexing, with its text.

    `path` is relative to the root, with "/" (for a root that is a file, its name); `size` is in bytes.
    """

    path: str
    absolute: Path
    language: str
    size: int
    text: str


def list_files(root: Path, *, max_bytes: int = MAX_BYTES) -> Iterator[ListedFile | Skipped]:
    """List the source files under `root`, a folder or one file, in a stable order, without opening them.

    What the tree ignores is not mentioned; whatever else is no source file comes as `Skipped` with its reason, a
    vendored folder once as a whole. A single file is taken whatever ignores it.

    Raises:
        CorpusError: `root` does not exist, is neither file nor folder, or cannot be listed.
    """
    mode = _mode(root)
    if stat.S_ISREG(mode):
        return iter([_listed(root.parent.resolve(), root.name, max_bytes, follow=True)])
    if not stat.S_ISDIR(mode):
        message = f"{root} is neither a file nor a folder: name a source tree or one source file"
        raise CorpusError(message)
    return _listing(root, list_paths(root), max_bytes)


def load(root: Path, path: str, *, max_bytes: int = MAX_BYTES) -> SourceFile | Skipped:
    """Read and judge the file at `path`, which `list_files(root)` gave. Safe to call in any process.

    A file that has gone, or turned into something else since it was listed, is `Skipped`.

    Raises:
        CorpusError: `path` leads out of `root`.
    """
    absolute = _located(root, path)
    language = language_of(path)
    if language is None:
        return Skipped(path, SkipReason.NOT_SOURCE)
    content = _content(absolute, max_bytes)
    if isinstance(content, SkipReason):
        return Skipped(path, content)
    text = _decode(content, language)
    if isinstance(text, SkipReason):
        return Skipped(path, text)
    reason = judge_text(text, language)
    return Skipped(path, reason) if reason else SourceFile(path, absolute, language, len(content), text)


def walk(root: Path, *, max_bytes: int = MAX_BYTES) -> Iterator[SourceFile | Skipped]:
    """List and load in one go, holding one file's text at a time.

    Raises:
        CorpusError: as `list_files`.
    """
    listed = list_files(root, max_bytes=max_bytes)
    return (item if isinstance(item, Skipped) else load(root, item.path, max_bytes=max_bytes) for item in listed)


def read_source(path: Path, *, max_bytes: int = MAX_BYTES) -> str:
    """The text of one file that somebody named, whatever it is called and whoever wrote it.

    Raises:
        CorpusError: the file is missing, over-large, binary or of an unknown encoding.
    """
    _mode(path)
    content = _content(path.resolve(), max_bytes)
    text = content if isinstance(content, SkipReason) else _decode(content, language_of(path.name) or "")
    if isinstance(text, SkipReason):
        message = f"{path} cannot be used ({text}): give a text file in UTF-8 of at most {max_bytes} bytes"
        raise CorpusError(message)
    return text


def _mode(root: Path) -> int:
    try:
        return root.stat().st_mode
    except OSError as error:
        message = f"{root} cannot be read ({error.strerror}): name an existing folder or source file"
        raise CorpusError(message) from error


def _listing(root: Path, paths: Iterator[str], max_bytes: int) -> Iterator[ListedFile | Skipped]:
    reported: set[str] = set()
    for path in paths:
        if in_tool_folder(path):
            continue
        vendored = vendored_folder(path)
        if vendored is not None:
            if vendored not in reported:
                reported.add(vendored)
                yield Skipped(vendored, SkipReason.VENDORED)
        elif path.endswith("/"):
            yield Skipped(path, SkipReason.UNREADABLE)
        else:
            yield _listed(root, path, max_bytes)


def _listed(root: Path, path: str, max_bytes: int, *, follow: bool = False) -> ListedFile | Skipped:
    if not _is_text(path):
        return Skipped(os.fsencode(path).decode("utf-8", "backslashreplace"), SkipReason.UNDECODABLE)
    language = language_of(path)
    if language is None:
        return Skipped(path, SkipReason.NOT_SOURCE)
    reason = judge_name(path)
    if reason is not None:
        return Skipped(path, reason)
    try:
        status = os.stat(root / path, follow_symlinks=follow)  # noqa: PTH116 - Path.stat costs twice as much here
    except OSError:
        return Skipped(path, SkipReason.UNREADABLE)
    reason = _judge_status(status, max_bytes)
    return Skipped(path, reason) if reason else ListedFile(path, language, status.st_size)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _judge_status(status: os.stat_result, max_bytes: int) -> SkipReason | None:
    if stat.S_ISLNK(status.st_mode):
        return SkipReason.SYMLINK
    if not stat.S_ISREG(status.st_mode):
        return SkipReason.UNREADABLE
    if status.st_size == 0:
        return SkipReason.EMPTY
    return SkipReason.OVERSIZE if status.st_size > max_bytes else None


def _located(root: Path, path: str) -> Path:
    """Where `path` lies, once it is sure that neither ".." nor a linked folder leads out of the tree."""
    if root.is_file() and path == root.name:
        return root.resolve()  # the one file that was named, be it a link or not
    base = os.path.realpath(root)
    absolute = Path(base, path)
    parent = os.path.realpath(absolute.parent)
    if os.path.commonpath([base, parent]) != base or absolute.name in {"", ".."}:
        message = f"{path!r} leads out of {root}: only files of the tree can be loaded"
        raise CorpusError(message)
    return absolute


def _content(absolute: Path, max_bytes: int) -> bytes | SkipReason:
    # O_NONBLOCK: a pipe or a device that took the file's place must not hold the reader up.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if absolute.is_symlink():
            return SkipReason.SYMLINK
        with open(os.open(absolute, flags), "rb") as file:  # noqa: PTH123 - Path.open takes no flags
            reason = _judge_status(os.fstat(file.fileno()), max_bytes)
            content = b"" if reason else file.read(max_bytes + 1)
    except OSError:
        return SkipReason.UNREADABLE
    if reason is None and len(content) > max_bytes:
        return SkipReason.OVERSIZE  # it grew since
    return reason or content


def _decode(content: bytes, language: str) -> str | SkipReason:
    encoding = "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in content:
        return SkipReason.BINARY
    try:
        if language == "python" and encoding == "utf-8-sig":
            encoding = tokenize.detect_encoding(io.BytesIO(content).readline)[0]  # PEP 263
        return content.decode(encoding)
    except (SyntaxError, LookupError, ValueError):
        return SkipReason.UNDECODABLE
