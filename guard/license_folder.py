"""What one folder says of the licence of the files in it: LICENSE texts, manifests, installed distributions, REUSE.

Knows no other folder and no file's own header.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from guard.languages import language_of
from guard.license_gnu import is_clearer, is_vague
from guard.license_metadata import MANIFESTS, declared_license
from guard.license_tags import Annotation, conjunction, known_or_unknown, read_annotations
from guard.license_texts import VAGUE_BSD, license_of_notice, licenses_of_text
from guard.licenses import UNKNOWN_LICENSE, license_ids

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MOST_BYTES: Final = 2_000_000
_LICENSE_FILE: Final = re.compile(
    r"(?:un)?licen[sc]es?(?:[-_. ].*)?|copying(?:[-_. ].*)?|copyright(?:\.txt)?|.*[-_.]licen[sc]e(?:\.(?:txt|md|rst))?",
    re.IGNORECASE,
)
_OTHERS_FILE: Final = re.compile(r"third|3rd|bundled|vendor|depend|notice", re.IGNORECASE)
_DATA_SUFFIXES: Final = (".json", ".yml", ".yaml", ".xml", ".toml", ".html", ".spdx", ".csv", ".pdf", ".license")
_DISTRIBUTION_SUFFIXES: Final = (".dist-info", ".egg-info")


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed or unpacked distribution beside its packages; `files` are its paths, empty if it lists none."""

    license: str
    files: frozenset[str]


@dataclass(frozen=True, slots=True)
class LicenseFolder:
    """What one folder says. `license` is that of everything in it, None if it is silent."""

    license: str | None
    distributions: tuple[Distribution, ...]
    annotations: tuple[Annotation, ...]

    def license_of(self, path: str) -> str | None:
        """What the folder says of the file at `path`, relative to it ("" for the folder as a whole)."""
        if self.license is not None:
            return self.license
        listing = [one.license for one in self.distributions if path in one.files]
        if listing:
            return conjunction(listing)
        if len(self.distributions) == 1:  # one unpacked wheel: what its RECORD leaves out came with it all the same
            return self.distributions[0].license
        top = path.partition("/")[0]
        near = [one.license for one in self.distributions if any(file.partition("/")[0] == top for file in one.files)]
        return conjunction(near) if near else None


def read_folder(folder: Path) -> LicenseFolder:
    """Read what `folder` says. What cannot be read says nothing."""
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        names = []
    texts = _texts(folder, names)
    stated = next((spdx for name in MANIFESTS if name in names and (spdx := _declared(folder / name))), None)
    spoken = combined(texts, stated)
    reuse = _read(folder / "REUSE.toml") if "REUSE.toml" in names else None
    if spoken is None and "LICENSES" in names:  # REUSE keeps each licence in use as LICENSES/ID.txt
        spoken = _reuse_folder(folder / "LICENSES")
    return LicenseFolder(
        spoken,
        tuple(_distribution(folder / name) for name in names if name.endswith(_DISTRIBUTION_SUFFIXES)),
        read_annotations(reuse) if reuse else (),
    )


def combined(texts: tuple[str, ...], stated: str | None) -> str | None:
    """The licence that the LICENSE texts and the metadata of one package make together, None if both are silent.

    Metadata that names all of the texts' licences is the more precise of the two: it has "-or-later", choices and
    exceptions. So is a conjunction that names one of them: its author has told the package's own code from the parts
    that are bundled with it, whose texts LICENSE files tend to collect. Where metadata is only a vaguer word for the
    texts ("BSD", "GPL"), they count. Where the two differ, both hold: what either denies is denied.
    """
    if not texts or texts == (UNKNOWN_LICENSE,):
        return stated or (UNKNOWN_LICENSE if texts else None)
    if stated is None or stated == UNKNOWN_LICENSE:
        return conjunction(texts)
    named = license_ids(stated)
    known = [_names(named, text) for text in texts]
    if all(known) or (" AND " in stated and any(known)):
        return stated
    if all(any(_family(text) == _family(name) for text in texts) for name in named):
        return conjunction(texts)
    return conjunction([*texts, stated])


def refined(notice: str, tree: str | None) -> str:
    """What a file's header says, with what it leaves open ("GPL-2.0", "BSD") filled in from the tree's licence."""
    known = sorted(license_ids(tree)) if tree else []
    parts = [_refined(part, known) for part in re.split(r" (?:AND|OR) ", notice)]
    return known_or_unknown(" OR ".join(parts)) if " OR " in notice else conjunction(parts)


def _refined(license_id: str, known: Iterable[str]) -> str:
    if license_id == VAGUE_BSD:
        clearer = [name for name in known if _family(name) == "BSD"]
    else:
        clearer = [name for name in known if is_vague(license_id) and is_clearer(name, license_id)]
    return clearer[0] if len(clearer) == 1 else license_id


def _names(named: frozenset[str], text: str) -> bool:
    plain = {name.partition(" WITH ")[0] for name in named}
    if is_vague(text):
        return any(is_clearer(name, text) or _reaches(name, text) for name in plain)
    return text in plain


def _reaches(name: str, text: str) -> bool:
    """Whether `name` is an earlier "-or-later" of the version whose text is shipped; a bare "GPL" is too vague."""
    version = name.removesuffix("-or-later")
    return name != version and not is_vague(name) and _family(name) == _family(text) and version <= text


def _family(license_id: str) -> str:
    family = license_id.partition("-")[0]
    if family in {"PSF", "Python"}:  # Python-2.0 is the stack of licences that ends in PSF-2.0
        return "Python"
    return family if family in {"BSD", "GPL", "LGPL", "AGPL"} else license_id


def _texts(folder: Path, names: Iterable[str]) -> tuple[str, ...]:
    """The licences of the LICENSE files among `names`; UNKNOWN_LICENSE alone if there are some, but not known ones."""
    candidates = [name for name in names if _is_license_file(name) and (folder / name).is_file()]
    found: dict[str, None] = {}
    for name in candidates:
        text = _read(folder / name)
        if text is not None:
            found.update(dict.fromkeys(licenses_of_text(text) or _noticed(text)))
    if any(name.startswith("LGPL-") for name in found):  # COPYING beside COPYING.LESSER
        found = {name: None for name in found if not name.startswith("GPL-")}
    return tuple(found) or ((UNKNOWN_LICENSE,) if candidates else ())


def _noticed(text: str) -> tuple[str, ...]:
    notice = license_of_notice(text)
    return (notice,) if notice else ()


def _is_license_file(name: str) -> bool:
    return (
        _LICENSE_FILE.fullmatch(name) is not None
        and _OTHERS_FILE.search(name) is None
        and not name.lower().endswith(_DATA_SUFFIXES)
        and language_of(name) is None
    )


def _reuse_folder(folder: Path) -> str | None:
    try:
        names = sorted(path.stem for path in folder.iterdir() if path.suffix in {".txt", ".md"})
    except OSError:
        return None
    return conjunction(names) if names else None


def _distribution(folder: Path) -> Distribution:
    """What an installed distribution says (PEP 376, PEP 639: the licence texts are in it or in its `licenses/`)."""
    stated = _declared(folder / "METADATA") or _declared(folder / "PKG-INFO")
    texts: dict[str, None] = {}
    for place in (folder, folder / "licenses", folder / "license_files"):
        if place.is_dir():
            texts.update(dict.fromkeys(_texts(place, sorted(path.name for path in place.iterdir()))))
    return Distribution(combined(tuple(texts), stated) or UNKNOWN_LICENSE, _recorded(_read(folder / "RECORD") or ""))


def _recorded(record: str) -> frozenset[str]:
    """The files that a RECORD names; none if it cannot be read."""
    try:
        return frozenset(row[0] for row in csv.reader(record.splitlines()) if row)
    except csv.Error:
        return frozenset()


def _declared(path: Path) -> str | None:
    content = _read(path)
    return None if content is None else declared_license(path.name, content)


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
