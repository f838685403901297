"""What people call licences (metadata, trove classifiers, prose) to SPDX. Knows no expressions and no categories."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import license_expression  # type: ignore[import-untyped] # ships no types

UNKNOWN: Final = "LicenseRef-unknown"
PROPRIETARY: Final = "LicenseRef-proprietary"
PUBLIC_DOMAIN: Final = "LicenseRef-scancode-public-domain"

# Where a name leaves the version open, the licence itself says that any will do (GPL-2.0 section 9), so "-or-later"
# of the first. "BSD" alone is read as the stricter of the two forms in use.
_NAMES: Final = {
    "AAL": ("attribution assurance",),
    "0BSD": ("zero clause bsd", "bsd zero clause"),
    "AFL-3.0": ("afl", "academic free"),
    "APSL-2.0": ("apple public source",),
    "Aladdin": ("aladdin free public",),
    "Apache-1.1": ("apache 1.1",),
    "Apache-2.0": ("apache", "apache 2", "asl 2", "asl", "al 2", "apache 2 january 2004", "alv 2", "asf 2"),
    "Artistic-1.0": ("artistic", "artistic 1"),
    "Artistic-1.0-Perl OR GPL-1.0-or-later": ("perl", "perl 5", "same terms as perl", "same as perl"),
    "Artistic-2.0": ("artistic 2",),
    "BSD-2-Clause": ("bsd 2 clause", "2 clause bsd", "simplified bsd", "bsd simplified", "freebsd", "bsd 2"),
    "BSD-3-Clause": (
        "bsd", "bsd 3 clause", "3 clause bsd", "new bsd", "bsd new", "modified bsd", "revised bsd", "bsd 3",
        "bsd 3 clause new or revised", "new or revised bsd", "bsd like", "bsd style", "bsd derived", "three clause bsd",
    ),
    "BSD-4-Clause": ("original bsd", "bsd 4 clause", "4 clause bsd"),
    "BSL-1.0": ("boost", "boost 1", "bsl 1"),
    "BUSL-1.1": ("business source", "business source 1.1", "bsl 1.1"),
    "CC-BY-4.0": ("cc by 4", "cc by", "creative commons attribution 4 international"),
    "CC-BY-SA-4.0": ("cc by sa 4", "cc by sa", "creative commons attribution sharealike 4 international"),
    "CC0-1.0": (
        "cc0", "cc0 1", "cc0 1 universal", "cc0 1 universal public domain dedication", "creative commons zero",
        "creative commons cc0", "creative commons zero 1 universal",
    ),
    "CDDL-1.0": ("cddl", "cddl 1", "common development and distribution", "common development and distribution 1"),
    "CDDL-1.1": ("cddl 1.1", "common development and distribution 1.1"),
    "CDDL-1.0 OR GPL-2.0-only WITH Classpath-exception-2.0": ("cddl/gpl 2 + ce",),
    "CPL-1.0": ("cpl", "common public", "common public 1"),
    "EPL-1.0": ("epl", "epl 1"),
    "EPL-2.0": ("epl 2",),
    "EUPL-1.0": ("eupl 1",),
    "EUPL-1.2": ("eupl", "eupl 1.2"),
    "EUPL-1.1": ("eupl 1.1",),
    "GFDL-1.1-or-later": ("gnu free documentation", "gfdl", "fdl"),
    "GPL-2.0-only WITH Classpath-exception-2.0": (
        "gpl 2 with classpath exception", "gpl 2 with gnu classpath exception", "gpl 2 w/ cpe", "gpl 2 + ce",
        "gpl 2 + classpath exception",
    ),
    "HPND": ("historical permission notice and disclaimer",),
    "IPL-1.0": ("ibm public",),
    "ISC": ("iscl", "isc iscl"),
    "Libpng": ("libpng",),
    "MIT": ("mit", "expat", "mit expat", "expat mit", "mit x11", "mit/x11", "x11/mit", "mit style", "mit like"),
    "MIT-0": ("mit no attribution", "mit no attribution 0"),
    "MPL-1.0": ("mpl 1",),
    "MPL-1.1": ("mpl 1.1",),
    "MPL-2.0": ("mpl", "mpl 2"),
    "MS-PL": ("microsoft public", "ms pl"),
    "MS-RL": ("microsoft reciprocal", "ms rl"),
    "NCSA": ("university of illinois/ncsa open source",),
    "NPL-1.1": ("netscape public",),
    "OFL-1.1": ("ofl", "ofl 1.1", "sil open font", "sil open font 1.1"),
    "OSL-3.0": ("osl", "osl 3", "open 3"),
    "PSF-2.0": ("psf", "psf 2", "psfl"),
    "PostgreSQL": ("postgresql", "postgres"),
    "Python-2.0": ("python", "python 2"),
    "QPL-1.0": ("qt public",),
    "SSPL-1.0": ("server side public", "server side public 1", "sspl"),
    "Unlicense": ("unlicense",),
    "SPL-1.0": ("sun public",),
    "UPL-1.0": ("universal permissive", "upl"),
    "VSL-1.0": ("vovida 1",),
    "W3C": ("w3c",),
    "WTFPL": ("wtfpl", "do what fuck you want to public"),
    "ZPL-2.1": ("zope public", "zope public 2.1", "zpl", "zpl 2.1"),
    "Zlib": ("zlib", "zlib/libpng", "zlib libpng"),
    PROPRIETARY: (
        "proprietary", "other/proprietary", "commercial", "unlicensed", "all rights reserved", "closed source",
        "free for non commercial use", "free to use but restricted", "free for home use", "free for educational use",
        "freeware", "private",
    ),
    PUBLIC_DOMAIN: ("public domain", "pd"),
}  # fmt: skip

# https://spdx.org/licenses/ lists these ids as deprecated in favour of an expression.
_DEPRECATED: Final = {
    "GPL-2.0-with-autoconf-exception": "GPL-2.0-only WITH Autoconf-exception-2.0",
    "GPL-2.0-with-bison-exception": "GPL-2.0-or-later WITH Bison-exception-2.2",
    "GPL-2.0-with-classpath-exception": "GPL-2.0-only WITH Classpath-exception-2.0",
    "GPL-2.0-with-font-exception": "GPL-2.0-only WITH Font-exception-2.0",
    "GPL-2.0-with-GCC-exception": "GPL-2.0-only WITH GCC-exception-2.0",
    "GPL-3.0-with-autoconf-exception": "GPL-3.0-only WITH Autoconf-exception-3.0",
    "GPL-3.0-with-GCC-exception": "GPL-3.0-only WITH GCC-exception-3.1",
    "eCos-2.0": "GPL-2.0-or-later WITH eCos-exception-2.0",
    "wxWindows": "LGPL-2.0-or-later WITH WxWindows-exception-3.1",
}

_FAMILIES: Final = (
    (re.compile(r"\b(?:gnu )?affero general public\b|\bgnu affero\b"), "agpl"),
    (re.compile(r"\b(?:gnu )?(?:library or lesser|lesser|library) general public\b"), "lgpl"),
    (re.compile(r"\b(?:gnu )?general public\b"), "gpl"),
    (re.compile(r"\bmozilla public\b"), "mpl"),
    (re.compile(r"\beclipse public\b"), "epl"),
    (re.compile(r"\beuropean union public\b"), "eupl"),
    (re.compile(r"\bpython foundation\b"), "psf"),
    (re.compile(r"\bgnu (?=a?gpl\b|lgpl\b)"), ""),
    (re.compile(r"\b(?:or|and) (?:any )?(?:later|newer|greater|above|higher)\b"), "+"),
)
# A name that joins several licences is an expression, which is not read here.
_JOINED: Final = re.compile(
    r"[()/]|\b(?:and|or|with)\b(?! (?:any )?(?:later|newer|greater|above|higher)\b)", re.IGNORECASE
)
_NOISE: Final = frozenset({"the", "a", "under", "license", "licence", "licenses", "licensed", "software", "version"})
_VERSIONED: Final = re.compile(r"\b((?:l|a)?gpl|mpl|epl|eupl|apache|bsd|asl|cddl|bsl|psf)v?\.? ?(?=\d)")
_GNU: Final = re.compile(r"(?P<name>[al]?gpl)(?: (?P<version>\d(?:\.\d)?))?(?P<later> \+)?(?P<only> only)?")
_GNU_FIRST: Final = {"gpl": "1.0", "lgpl": "2.0", "agpl": "3.0"}


def spdx_of_id(name: str) -> str | None:
    """The SPDX id (or, for a deprecated one, the expression) that `name` spells in whatever case, or None."""
    found = _ids().get(name.casefold())
    return _DEPRECATED.get(found, found) if found else None


def spdx_of_name(name: str) -> str | None:
    """The SPDX expression that people mean by `name` ("Apache 2.0", "GPLv2+", a trove classifier ...), or None."""
    trove = name.startswith("License ::")
    plain = name.rpartition("::")[2].strip()
    found = _by_key(plain)
    if found is None and plain.endswith(")"):
        before, _, within = plain[:-1].rpartition("(")
        if trove or _JOINED.search(before) is None:
            found = _agreed(_by_key(before), spdx_of_id(within) or _by_key(within))
    return found


def _agreed(name: str | None, short: str | None) -> str | None:
    """What a name and the short form in parentheses behind it say together: "Foo (MIT)" is MIT, "GPL (MIT)" nothing."""
    if name is None or short is None:
        return name or short
    return short if name.partition("-")[0] == short.partition("-")[0] else None


def close_ids(name: str) -> list[str]:
    """Up to three SPDX ids that `name` may have meant, best first."""
    from difflib import get_close_matches  # noqa: PLC0415 - needed for an error message only

    ids = {key: value for key, value in _ids().items() if not key.startswith("licenseref-")}
    matches = get_close_matches(name.casefold(), ids, n=6, cutoff=0.6)
    return list(dict.fromkeys(ids[match] for match in matches))[:3]


@cache
def _ids() -> dict[str, str]:
    symbols = license_expression.get_spdx_licensing().known_symbols
    aliases = {alias: key for key, symbol in symbols.items() for alias in symbol.aliases if " " not in alias}
    ids = {alias.casefold(): key for alias, key in aliases.items()}
    ids.update((key.casefold(), key) for key in symbols)
    return ids | {key.casefold(): key for key in _DEPRECATED}


@cache
def _names() -> dict[str, str]:
    return {name: spdx for spdx, names in _NAMES.items() for name in names}


def _by_key(name: str) -> str | None:
    key = _key(name)
    gnu = _GNU.fullmatch(key)
    return _gnu(gnu) if gnu else _names().get(key) or spdx_of_id(key.replace(" ", "-"))


def _key(name: str) -> str:
    """`name` without case, punctuation, noise words and repetition: "GNU GPL v2 or later (GPLv2+)" is "gpl 2 +"."""
    text = re.sub(r">= ?(\d[\d.]*+)", r"\1+", name.casefold())  # how R packages say "or later"
    text = re.sub(r"[^a-z0-9.+/]++", " ", text)
    text = " ".join(word for word in text.split() if word not in _NOISE)
    for pattern, family in _FAMILIES:
        text = pattern.sub(family, text)
    text = _VERSIONED.sub(r"\1 ", text.replace("+", " + "))
    text = re.sub(r"\bv\.? ?(?=\d)", "", text)
    text = re.sub(r"(?<=\d)\.0(?![\d.])", "", text)
    return " ".join(dict.fromkeys(text.replace(" versions", "").split()))


def _gnu(match: re.Match[str]) -> str | None:
    name, version = match["name"], match["version"]
    if version is None:
        return f"{name.upper()}-{_GNU_FIRST[name]}-or-later"
    full = version if "." in version else f"{version}.0"
    return spdx_of_id(f"{name}-{full}-{'or-later' if match['later'] else 'only'}")
