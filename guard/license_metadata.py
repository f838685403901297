"""What a package's own metadata declares as its licence. Knows no trees and no licence texts' files.

A declaration that nobody can read gives UNKNOWN_LICENSE; a package that declares nothing gives None.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any, Final

from guard.errors import LicenseError
from guard.license_tags import conjunction, known_or_unknown
from guard.license_texts import license_of_notice, licenses_of_text
from guard.licenses import UNKNOWN_LICENSE, normalize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# A field this long is the licence itself and not its name.
_LONGEST_NAME: Final = 200
# "OSI Approved" alone and the like say that there is a licence, not which.
_NO_NAME: Final = re.compile(r"License :: (?:OSI Approved|DFSG approved|Freely Distributable)", re.IGNORECASE)
_SEE_FILE: Final = re.compile(
    r"file:|(?:see|refer to)\b.*\b(?:licen[sc]e|copying)|licen[sc]e(?:\.\w+)?$|unknown$", re.IGNORECASE
)


def declared_license(name: str, content: str) -> str | None:
    """The licence that the manifest called `name` declares in `content`, as SPDX.

    Knows pyproject.toml, setup.cfg, METADATA and PKG-INFO, package.json, composer.json, Cargo.toml and pom.xml.
    Several trove classifiers hold together (what else they mean is left open: PEP 639, "Rationale"); lists in
    package.json, composer.json and pom.xml offer a choice, as their documentation says.
    """
    reader = MANIFESTS.get(name)
    if reader is None:
        return None
    try:
        return reader(content)
    except (ValueError, TypeError, AttributeError, RecursionError, configparser.Error):
        return None  # not the manifest that its name promises


def _named(name: object) -> str | None:
    """The licence called `name`, or whose whole text `name` is; None if it names none."""
    if not isinstance(name, str) or not name.strip() or _SEE_FILE.match(name.strip()):
        return None
    if len(name) > _LONGEST_NAME:
        texts = licenses_of_text(name)
        return conjunction(texts) if texts else _noticed(name)
    try:
        return normalize(name)
    except LicenseError:
        return _noticed(name)


def _noticed(text: str) -> str:
    return known_or_unknown(license_of_notice(text) or UNKNOWN_LICENSE)


def _choice(names: Iterable[object]) -> str | None:
    known = [spdx for name in names if (spdx := _named(name))]
    return known_or_unknown(" OR ".join(f"({spdx})" for spdx in dict.fromkeys(known))) if known else None


def _classified(classifiers: object) -> str | None:
    if not isinstance(classifiers, list):
        return None
    trove = [line.strip() for line in classifiers if isinstance(line, str) and line.strip().startswith("License ::")]
    named = [spdx for line in trove if not _NO_NAME.fullmatch(line) and (spdx := _named(line))]
    return conjunction(named) if named else None


def _first(*licenses: str | None) -> str | None:
    """The first that is known; UNKNOWN_LICENSE if all that is declared is unreadable; None if nothing is."""
    declared = [spdx for spdx in licenses if spdx]
    return next((spdx for spdx in declared if spdx != UNKNOWN_LICENSE), declared[0] if declared else None)


def _pyproject(content: str) -> str | None:
    document = tomllib.loads(content)
    project = document.get("project", {})
    tool = document.get("tool", {})
    stated = project.get("license")
    text = stated.get("text") if isinstance(stated, dict) else stated
    return _first(
        _named(text),
        _classified(project.get("classifiers")),
        _named(tool.get("poetry", {}).get("license")),
        _named(tool.get("flit", {}).get("metadata", {}).get("license")),
    )


def _setup_cfg(content: str) -> str | None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(content)
    classifiers = parser.get("metadata", "classifiers", fallback="").splitlines()
    return _first(_named(parser.get("metadata", "license", fallback="")), _classified(classifiers))


def _core_metadata(content: str) -> str | None:
    headers = HeaderParser().parsestr(content)
    return _first(
        _named(headers.get("License-Expression")),
        _named(headers.get("License")),
        _classified(headers.get_all("Classifier", [])),
    )


def _package_json(content: str) -> str | None:
    document = json.loads(content)
    stated = document.get("license") or document.get("licenses")
    items = stated if isinstance(stated, list) else [stated]
    return _choice(item.get("type") if isinstance(item, dict) else item for item in items)


def _cargo(content: str) -> str | None:
    document: dict[str, Any] = tomllib.loads(content)
    return _first(
        _named(document.get("package", {}).get("license")),
        _named(document.get("workspace", {}).get("package", {}).get("license")),
    )


def _pom(content: str) -> str | None:
    block = content.partition("<licenses>")[2].partition("</licenses>")[0]
    return _choice(re.findall(r"<name>([^<]{1,400}+)</name>", block))


MANIFESTS: Final[dict[str, Callable[[str], str | None]]] = {
    "pyproject.toml": _pyproject,
    "METADATA": _core_metadata,
    "PKG-INFO": _core_metadata,
    "setup.cfg": _setup_cfg,
    "package.json": _package_json,
    "composer.json": _package_json,
    "Cargo.toml": _cargo,
    "pom.xml": _pom,
}
"""Readers by file name, the most telling first."""
