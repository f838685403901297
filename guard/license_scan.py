"""A second, slower look for licences: scancode-toolkit, where files and folders have said nothing that is understood.

It is an extra, which weighs several hundred megabytes and takes seconds to load: only what asks for it imports it.
Knows no first look.
"""

from __future__ import annotations

import re
import time
import warnings
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from guard.languages import language_of
from guard.license_names import PROPRIETARY
from guard.license_tags import conjunction, known_or_unknown
from guard.licenses import UNKNOWN_LICENSE, license_ids

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INSTALL: Final = "pip install 'cleanroom[scancode]'"
MIN_SCORE: Final = 90
"""Percent to which a text must agree with one that scancode knows: a wrong licence would be worse than none."""
_SECONDS: Final = 30.0
"""What one file may take."""
_MOST_BYTES: Final = 2_000_000
# Where a folder speaks of its licence. Sources are looked at one by one, for themselves alone.
_SPEAKING: Final = re.compile(r".*(?:licen[sc]e|copying|copyright|notice|legal|readme|unlicense).*", re.IGNORECASE)
# Manifests in languages of their own, which would have to be run to be read.
_MANIFESTS: Final = re.compile(
    r"setup\.py|DESCRIPTION|META\.(?:yml|json)|build\.gradle|mix\.exs|.*\.(?:gemspec|podspec|nuspec|cabal|opam|rockspec)"
)
_NOTHING_SAID: Final = re.compile(r"LicenseRef-scancode-(?:[a-z0-9.-]*unknown[a-z0-9.-]*|warranty-disclaimer)")
_PROPRIETARY: Final = re.compile(r"LicenseRef-scancode-(?:proprietary-license|commercial-license|other-closed)\b")


@dataclass(frozen=True, slots=True)
class LicenseScan:
    """What scancode finds in files, and in the folders up to `top`. Each is looked at once by each process."""

    top: Path
    _folders: dict[Path, str | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, path: Path) -> str | None:
        """The licence of the file at `path` as SPDX, by itself or by the nearest folder that speaks of one."""
        found = _scanned(path)
        folder = path.parent
        while found is None and folder.is_relative_to(self.top):
            if folder not in self._folders:
                self._folders[folder] = _of_folder(folder)
            found = self._folders[folder]
            if folder == self.top:
                break
            folder = folder.parent
        return found


def complaint() -> str | None:
    """Why nothing can be scanned here, and what to do; None if it can."""
    try:
        _scanner()
    except ImportError:
        return f"scancode-toolkit is not installed: {INSTALL}"
    except Exception as error:  # noqa: BLE001 - whatever its many dependencies raise when they do not fit together
        return f"scancode-toolkit does not start ({type(error).__name__}): install it anew with {INSTALL}"
    return None


def understood(found: str) -> str | None:
    """What scancode reports in SPDX, as Cleanroom spells it; None if that is no more than that there is something."""
    spdx = _PROPRIETARY.sub(PROPRIETARY, _NOTHING_SAID.sub(UNKNOWN_LICENSE, found))
    known = known_or_unknown(spdx)
    return None if license_ids(known) == {UNKNOWN_LICENSE} else known


def _of_folder(folder: Path) -> str | None:
    try:
        files = sorted(path for path in folder.iterdir() if _speaks(path))
    except OSError:
        return None
    said = {spdx: None for path in files if (spdx := _scanned(path))}
    return conjunction(said) if said else None


def _speaks(path: Path) -> bool:
    name = path.name
    speaks = _SPEAKING.fullmatch(name) is not None and language_of(name) is None
    return (speaks or _MANIFESTS.fullmatch(name) is not None) and path.is_file()


def _scanned(path: Path) -> str | None:
    """What scancode finds in one file. What it cannot read, or not in time, says nothing."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        answer = _scanner()(str(path), min_score=MIN_SCORE, deadline=time.time() + _SECONDS)
    except Exception:  # noqa: BLE001 - it raises as it likes, and one file must not end a run
        return None
    found = answer.get("detected_license_expression_spdx")
    return understood(found) if found else None


@cache
def _scanner() -> Callable[..., dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of what the system lacks and it does not need for this
        from scancode.api import get_licenses  # noqa: PLC0415 - see above
    scan: Callable[..., dict[str, Any]] = get_licenses
    return scan
