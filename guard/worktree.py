"""The paths of a source tree, less what it ignores: as git lists them, or by a walk that honours `.gitignore`.

Knows no languages and opens no file but `.gitignore`.
"""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from pathspec import GitIgnoreSpec

from guard.errors import CorpusError
from guard.skips import TOOL_FOLDERS, VENDORED_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A repository's own configuration may name a program to run as its file-system monitor: a tree that is only being
# read must not be able to run anything.
_GIT: Final = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false")
# `git check-ignore`: 0 says ignored, 1 says not ignored, 128 says no repository (or one that is not ours to read).
_NOT_IGNORED: Final = 1

# `.gitignore` files on the way from the root to a folder: each with the folder it stands in ("" or "a/b/").
_Rules: TypeAlias = tuple[tuple[str, GitIgnoreSpec], ...]


def list_paths(root: Path) -> Iterator[str]:
    """Every file under the folder `root`, as a path relative to it with "/" between the parts.

    In a git work tree: what git tracks and what it neither tracks nor ignores, submodules and nested repositories
    included. Elsewhere, or where git is missing or the work tree ignores `root` itself: a walk that honours nested
    `.gitignore` files and leaves out the folders of tools. A path that ends in "/" is a folder that was not entered
    because it is vendored or cannot be read. Names that are not UTF-8 carry surrogate escapes.

    Raises:
        CorpusError: `root` cannot be listed.
    """
    listed = _git_paths(root)
    return _walk(root) if listed is None else iter(listed)


def enclosing_repository(root: Path) -> Path | None:
    """The top folder of the git work tree that tracks files under the folder `root`, or None."""
    if _git(root, "ls-files", "--error-unmatch", "--", ".") is None:
        return None
    top = _git(root, "rev-parse", "--show-toplevel")
    return Path(os.fsdecode(top.rstrip(b"\n"))) if top else None


def _run_git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes] | None:
    # Inside a git hook GIT_DIR and its kin point at another repository than the one `folder` lies in.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            [*_GIT, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError:
        return None


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git prints, or None where it is missing or fails."""
    finished = _run_git(folder, *arguments)
    return None if finished is None or finished.returncode != 0 else finished.stdout


def _git_paths(root: Path) -> list[str] | None:
    # A folder that its work tree ignores (a download, an environment) is listed as empty by git: walk it instead.
    asked = _run_git(root, "check-ignore", "--quiet", ".")
    if asked is None or asked.returncode != _NOT_IGNORED:
        return None
    output = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if output is None:
        return None
    paths: set[str] = set()
    for raw in output.split(b"\0"):
        if raw:
            paths.update(_expanded(root, os.fsdecode(raw).rstrip("/")))
    return sorted(paths)


def _expanded(root: Path, path: str) -> Iterable[str]:
    """`path` itself, or the files of the submodule or nested repository that it names."""
    absolute = root / path
    try:
        if not stat.S_ISDIR(absolute.lstat().st_mode):
            return (path,)
    except OSError:
        return ()  # tracked, but deleted from the work tree
    if not (absolute / ".git").exists():
        return ()  # a submodule that was never checked out
    return (f"{path}/{inner}" for inner in list_paths(absolute))


def _walk(root: Path) -> Iterator[str]:
    try:
        os.scandir(root).close()
    except OSError as error:
        message = f"{root} cannot be listed ({error.strerror}): check its permissions"
        raise CorpusError(message) from error
    return _walked(root)


def _walked(root: Path) -> Iterator[str]:
    # An explicit stack: folders may nest deeper than Python recurses.
    pending: list[tuple[str, _Rules]] = [("", ())]
    while pending:
        folder, rules = pending.pop()
        try:
            with os.scandir(root / folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError:
            yield folder
            continue
        own = _ignore_file(root / folder)
        inner = (*rules, (folder, own)) if own else rules
        folders: list[str] = []
        for entry in entries:
            path = f"{folder}{entry.name}"
            if not entry.is_dir(follow_symlinks=False):
                if not _ignored(path, inner):
                    yield path
            elif _is_tool_folder(entry) or _ignored(f"{path}/", inner):
                continue
            elif entry.name.lower() in VENDORED_FOLDERS:
                yield f"{path}/"
            else:
                folders.append(f"{path}/")
        pending.extend((path, inner) for path in reversed(folders))


def _is_tool_folder(entry: os.DirEntry[str]) -> bool:
    # pyvenv.cfg and conda-meta mark an environment under any name (PEP 405).
    marks = (Path(entry.path, mark) for mark in ("pyvenv.cfg", "conda-meta"))
    try:
        return entry.name in TOOL_FOLDERS or any(mark.exists() for mark in marks)
    except OSError:
        return False  # what cannot be looked into is reported as such when it is entered


def _ignore_file(folder: Path) -> GitIgnoreSpec | None:
    try:
        lines = (folder / ".gitignore").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    return GitIgnoreSpec.from_lines(line for line in lines if _is_pattern(line))


def _is_pattern(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False  # git passes over what it cannot read, too
    return True


def _ignored(path: str, rules: _Rules) -> bool:
    """Whether the rules ignore `path`: the nearest `.gitignore` that has an opinion decides (gitignore(5))."""
    for base, spec in reversed(rules):
        verdict = spec.check_file(path[len(base) :]).include
        if verdict is not None:
            return verdict
    return False
