"""Finding the licence of each file of a source tree. Knows no index, no policy and no owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from guard.errors import CorpusError
from guard.header import header_comment
from guard.license_folder import LicenseFolder, read_folder, refined
from guard.license_scan import LicenseScan
from guard.license_tags import Precedence, conjunction, tagged_license
from guard.license_texts import license_of_notice
from guard.licenses import UNKNOWN_LICENSE
from guard.worktree import enclosing_repository

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.license_tags import Annotation


@dataclass(frozen=True, slots=True)
class TreeLicense:
    """The licences of the files under the folder `root`, as they and the folders above them, up to `top`, say.

    Folders are read when a file in them is asked about, and once only. `scan` is asked about what stays unknown.
    """

    root: Path
    top: Path
    scan: LicenseScan | None = None
    _folders: dict[Path, LicenseFolder] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def expression(self) -> str:
        """The licence of the tree as a whole, as SPDX; UNKNOWN_LICENSE if nothing says so."""
        return self._of_folders(self.root) or UNKNOWN_LICENSE

    def of(self, path: str, head: str) -> str:
        """The licence of the file at `path` (relative to the root, with "/") that starts with `head`, as SPDX.

        In this order: a REUSE annotation that overrides; SPDX tags in the file; its `.license` sidecar; other REUSE
        annotations; a licence text or notice in the comment that heads it; the LICENSE files and the metadata of the
        nearest folder that has either; `scan`. UNKNOWN_LICENSE if none of them says anything that is understood.
        """
        said = self._said(path, head)
        if said != UNKNOWN_LICENSE or self.scan is None:
            return said
        return self.scan.of(self.root / PurePosixPath(path)) or UNKNOWN_LICENSE

    def _said(self, path: str, head: str) -> str:
        absolute = self.root / PurePosixPath(path)
        annotation = self._annotation(absolute)
        if annotation and annotation.precedence is Precedence.OVERRIDE:
            return annotation.license
        tag = tagged_license(head) or _sidecar(absolute)
        if annotation and annotation.precedence is Precedence.AGGREGATE:
            return conjunction([annotation.license, tag] if tag else [annotation.license])
        if tag or annotation:
            return tag or (annotation.license if annotation else UNKNOWN_LICENSE)
        around = self._of_folders(absolute)
        notice = license_of_notice(header_comment(head))
        return refined(notice, around) if notice else around or UNKNOWN_LICENSE

    def _upwards(self, path: Path) -> Iterator[tuple[LicenseFolder, str]]:
        """The folders from the one that holds `path` (or is it) to the top, each with the path relative to it."""
        first = path if path == self.root else path.parent
        for folder in (each for each in (first, *first.parents) if each.is_relative_to(self.top)):
            if folder not in self._folders:
                self._folders[folder] = read_folder(folder)
            inner = path.relative_to(folder).as_posix()
            yield self._folders[folder], "" if inner == "." else inner

    def _of_folders(self, path: Path) -> str | None:
        said = (folder.license_of(inner) for folder, inner in self._upwards(path))
        return next((spdx for spdx in said if spdx), None)

    def _annotation(self, path: Path) -> Annotation | None:
        for folder, inner in self._upwards(path):
            for annotation in folder.annotations:
                if annotation.covers(inner):
                    return annotation
        return None


def detect_license(root: Path, *, scan: bool = False) -> TreeLicense:
    """Prepare to answer for the files under `root`, a folder or one file; with `scan`, by scancode too.

    Above `root`, only what it belongs to is asked: the rest of the git work tree that tracks it, or the installed
    distribution that lists it.

    Raises:
        CorpusError: `root` does not exist.
    """
    if not root.exists():
        message = f"{root} does not exist: name a source tree or a source file"
        raise CorpusError(message)
    real = root.resolve()
    folder = real if real.is_dir() else real.parent
    repository = enclosing_repository(folder)
    if repository is not None and folder.is_relative_to(repository):
        top = repository
    else:
        top = folder.parent if _is_installed(folder) else folder
    return TreeLicense(folder, top, LicenseScan(top) if scan else None)


def _is_installed(folder: Path) -> bool:
    beside = read_folder(folder.parent).distributions
    return any(file.startswith(f"{folder.name}/") for one in beside for file in one.files)


def _sidecar(path: Path) -> str | None:
    sidecar = path.with_name(f"{path.name}.license")
    try:
        return tagged_license(sidecar.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
