"""Which GNU licence a notice grants, and whether later versions may be chosen. Knows no other licence.

A version that is named without a word on later ones is vague: it goes by the deprecated SPDX ids "GPL-2.0",
"LGPL-2.1" and so on, until metadata says "-only" or "-or-later".
"""

from __future__ import annotations

import re
from typing import Final

from guard.license_names import spdx_of_id

# All of these read words without punctuation, as `guard.license_texts` leaves them.
_FAMILY: Final = re.compile(
    r"\b(?:gnu )?(?:(lesser|library|affero) )?general public licen[sc]e\b|\b([al])?gpl(?=v?[\d ]|$)"
)
_FAMILIES: Final = {"lesser": "LGPL", "library": "LGPL", "l": "LGPL", "affero": "AGPL", "a": "AGPL", None: "GPL"}
_GRANT: Final = re.compile(r"\b(?:under|terms|licen[sc]ed?|released|distributed|covered|subject)\b")
_VERSION: Final = re.compile(r"(?: ?(?:licen[sc]e )?(?:version |v ?)?)([123](?:\.[01])?)(?![.\d]*\d)")
_VERSION_FURTHER_ON: Final = re.compile(r"\bversion ([123](?:\.[01])?)(?![.\d]*\d)")
_LATER: Final = re.compile(
    r"\A\+|\bany (?:later|newer) version\b"
    r"|\A ?(?:of the licen[sc]e )?(?:or|and) (?:any )?(?:later|newer|above|greater)\b"
)
_ONLY: Final = re.compile(r"\A ?(?:of the licen[sc]e )?only\b|\bpublished by the free software foundation\b")
_BEFORE: Final = 80
_AFTER: Final = 220
_FIRST: Final = {"GPL": "GPL-1.0-or-later", "LGPL": "LGPL-2.0-or-later", "AGPL": "AGPL-3.0-or-later"}


def gnu_notices(plain: str) -> tuple[str, ...]:
    """The GNU licences that the words `plain` grant, one for each of GPL, LGPL and AGPL.

    The clearest mention of each family counts: "GPL-2.0-or-later" before "GPL-2.0" before "GPL-1.0-or-later", which
    stands for a grant that names no version (GPL-2.0 section 9).
    """
    found: dict[str, str] = {}
    end, after = len(plain), None  # what is said of a family ends where another family is named
    for match in reversed(list(_FAMILY.finditer(plain))):
        family = _family(match)
        if after is not None and family != _family(after):
            end = after.start()
        after = match
        if not _GRANT.search(plain, max(0, match.start() - _BEFORE), match.start()):
            continue
        grant = _granted(family, plain[match.end() : min(match.end() + _AFTER, end)])
        if _clarity(grant) >= _clarity(found.get(family)):
            found[family] = grant
    return tuple(sorted(found.values()))


def is_vague(license_id: str) -> bool:
    """Whether `license_id` names a GNU licence without saying if later versions, or which versions, may be chosen."""
    return _clarity(license_id) < _CLEAR


def is_clearer(license_id: str, vague: str) -> bool:
    """Whether `license_id` says the same as `vague`, and more."""
    if vague in _FIRST.values():
        return license_id.startswith(f"{vague.partition('-')[0]}-") and _clarity(license_id) > _clarity(vague)
    return license_id in {f"{vague}-only", f"{vague}-or-later"}


_CLEAR: Final = 3


def _clarity(license_id: str | None) -> int:
    if license_id is None:
        return 0
    if license_id in _FIRST.values():
        return 1
    return 2 if re.fullmatch(r"[AL]?GPL-\d\.\d", license_id) else _CLEAR


def _family(match: re.Match[str]) -> str:
    return _FAMILIES[match[1] or match[2]]


def _granted(family: str, rest: str) -> str:
    version = _VERSION.match(rest) or _VERSION_FURTHER_ON.search(rest)
    if version is None:
        return _FIRST[family]
    name = f"{family}-{version[1] if '.' in version[1] else version[1] + '.0'}"
    if spdx_of_id(name) is None:
        return _FIRST[family]
    after = rest[version.end() :]
    if _LATER.search(after):
        return f"{name}-or-later"
    published = _ONLY.search(after) or "published by the free software foundation" in rest[: version.start()]
    return f"{name}-only" if published else name
