"""Licences that files are tagged with: SPDX-License-Identifier lines, and REUSE's sidecars and annotations.

Knows neither licence texts nor packages. REUSE specification 3.3: https://reuse.software/spec-3.3/
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from guard.errors import LicenseError
from guard.licenses import UNKNOWN_LICENSE, normalize

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD_CHARACTERS: Final = 16_384
# Before the tag only what opens a comment may stand: a string in code that holds a tag is no tag.
_TAG: Final = re.compile(
    r"^(?:rem\b|dnl\b)?[^\w\n=]{0,40}SPDX-License-Identifier:[ \t]*+([^\n]{1,400})$", re.IGNORECASE | re.MULTILINE
)
_COMMENT_END: Final = re.compile(r"\*/|-->|\*\)|-\}|\"\"\"|'''|#\}|\]\]|%>")


class Precedence(StrEnum):
    """How an annotation stands to what the file itself says (REUSE 3.3, "Order of precedence")."""

    CLOSEST = "closest"
    AGGREGATE = "aggregate"
    OVERRIDE = "override"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One `[[annotations]]` table of a REUSE.toml: the paths it covers, and their licence."""

    paths: tuple[re.Pattern[str], ...]
    license: str
    precedence: Precedence

    def covers(self, path: str) -> bool:
        """Whether it speaks of `path`, relative to the folder of the REUSE.toml."""
        return any(pattern.fullmatch(path) for pattern in self.paths)


def conjunction(expressions: Iterable[str]) -> str:
    """The licence under which all of `expressions` hold; UNKNOWN_LICENSE stands in for one that is no SPDX."""
    known = [known_or_unknown(expression) for expression in expressions]
    # A conjunction of conjunctions is flat, so that no licence is said twice.
    flat = [part for spdx in known for part in ([spdx] if " OR " in spdx else spdx.split(" AND "))]
    parts = list(dict.fromkeys(flat))
    return parts[0] if len(parts) == 1 else known_or_unknown(" AND ".join(f"({part})" for part in parts))


def known_or_unknown(expression: str) -> str:
    """`expression` normalized, or UNKNOWN_LICENSE if it is no SPDX expression."""
    try:
        return normalize(expression)
    except LicenseError:
        return UNKNOWN_LICENSE


def tagged_license(head: str) -> str | None:
    """The SPDX-License-Identifier of a file that starts with `head`, or None.

    Several tags hold together. A tag that is no SPDX expression gives UNKNOWN_LICENSE: somebody has spoken, and
    falling back to the tree's licence would be a guess.
    """
    tags = [_COMMENT_END.split(match[1], maxsplit=1)[0].strip() for match in _TAG.finditer(head[:_HEAD_CHARACTERS])]
    return conjunction(tags) if tags else None


def read_annotations(toml: str) -> tuple[Annotation, ...]:
    """The annotations of a REUSE.toml, those that decide first: within a file the last match wins.

    A file that is no TOML, or one nested without end, has none; annotations without a licence or a path are left out.
    """
    try:
        tables = tomllib.loads(toml).get("annotations", [])
    except (tomllib.TOMLDecodeError, RecursionError):
        return ()
    if not isinstance(tables, list):
        return ()
    return tuple(annotation for table in reversed(tables) if (annotation := _annotation(table)))


def _annotation(table: object) -> Annotation | None:
    if not isinstance(table, dict):
        return None
    paths, licenses = _strings(table.get("path")), _strings(table.get("SPDX-License-Identifier"))
    if not paths or not licenses:
        return None
    named = table.get("precedence", "closest")
    precedence = Precedence(named) if isinstance(named, str) and named in set(Precedence) else Precedence.CLOSEST
    return Annotation(tuple(_glob(path) for path in paths), conjunction(licenses), precedence)


def _strings(value: object) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [item for item in listed if isinstance(item, str)]


def _glob(path: str) -> re.Pattern[str]:
    r"""REUSE's globs: "*" stays within a folder, "**" does not, and a backslash takes either literally."""
    tokens = re.findall(r"\\.|\*\*+|\*|[^\\*]+|\\", path)
    meanings = {"*": "[^/]*"}
    return re.compile(
        "".join(
            meanings.get(token) or (".*" if token.startswith("**") else re.escape(token.removeprefix("\\")))
            for token in tokens
        )
    )
