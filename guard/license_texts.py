"""Recognizing licences by their own words: whole texts, and the notices that head source files.

Knows no files and no packages. GNU licences whose text is found without a word on later versions are named by the
SPDX ids "GPL-2.0", "LGPL-3.0" and so on, which SPDX deprecates for just this vagueness: a notice, or else package
metadata, must say "-only" or "-or-later".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from guard.license_gnu import gnu_notices, is_clearer
from guard.license_names import PROPRIETARY, UNKNOWN, spdx_of_id, spdx_of_name

VAGUE_BSD: Final = "BSD"
"""A notice that says no more than that; as SPDX, BSD-3-Clause."""
COMMONS_CLAUSE: Final = "LicenseRef-commons-clause"

# Long enough for every real licence; a longer file is a collection whose parts cannot be told apart anyway.
_LONGEST: Final = 300_000


@dataclass(frozen=True, slots=True)
class _Text:
    """Words that a licence's text has, and words that would make it another licence. As `_plain` leaves them."""

    license: str
    words: tuple[str, ...]
    without: tuple[str, ...] = ()


_MIT = "permission is hereby granted free of charge to any person obtaining a copy of"
_MIT_NOTICE = "the above copyright notice and this permission notice"
_X11 = "except as contained in this notice the name"
_GOOD = "shall be used for good not evil"
_BSD = "redistribution and use in source and binary forms with or without modification are permitted provided that the"
_BSD_BINARY = "redistributions in binary form must reproduce the above copyright"
_ADVERTISING = "all advertising materials mentioning features or use of this software"
_NUCLEAR = "use in the design construction operation or maintenance of any nuclear facility"
_MILITARY = "maintenance of any military facility"
_APACHE_1 = "the end user documentation included with the redistribution"
_ISC = "distribute this software for any purpose with or without fee is hereby granted"
_NO_ENDORSEMENT = "endorse or promote products derived from"
_OTHER_BSD = (_ADVERTISING, _NUCLEAR, _MILITARY, _APACHE_1)

_TEXTS: Final = (
    _Text("MIT", (_MIT, _MIT_NOTICE), (_X11, _GOOD)),
    _Text("X11", (_MIT, _X11)),
    _Text("JSON", (_MIT, _GOOD)),
    _Text("NCSA", (_MIT, "redistributions of source code must retain", _NO_ENDORSEMENT), (_MIT_NOTICE,)),
    _Text("MIT-0", (_MIT,), (_MIT_NOTICE, _X11, _GOOD, "copyright notice")),
    _Text("BSD-4-Clause", (_BSD, _ADVERTISING), (_APACHE_1,)),
    _Text("BSD-3-Clause", (_BSD, _BSD_BINARY, _NO_ENDORSEMENT), _OTHER_BSD),
    _Text("BSD-2-Clause", (_BSD, _BSD_BINARY), (*_OTHER_BSD, _NO_ENDORSEMENT)),
    _Text("BSD-3-Clause-No-Nuclear-License", (_BSD, _NUCLEAR)),
    _Text("BSD-3-Clause-No-Military-License", (_BSD, _MILITARY)),
    _Text("Apache-1.1", (_BSD, _APACHE_1)),
    _Text("ISC", (_ISC, "provided that the above copyright notice and this permission notice appear")),
    _Text("0BSD", (_ISC,), ("provided that",)),
    _Text("Apache-2.0", ("apache license version 2.0 january 2004",)),
    _Text("MPL-1.1", ("mozilla public license version 1.1",)),
    _Text("MPL-2.0", ("mozilla public license version 2.0 1 definitions",)),
    _Text("GPL-1.0", ("gnu general public license version 1 february 1989",)),
    _Text("GPL-2.0", ("gnu general public license version 2 june 1991",)),
    _Text("GPL-3.0", ("gnu general public license version 3 29 june 2007",)),
    _Text("LGPL-2.0", ("gnu library general public license version 2 june 1991",)),
    _Text("LGPL-2.1", ("gnu lesser general public license version 2.1 february 1999",)),
    _Text("LGPL-3.0", ("gnu lesser general public license version 3 29 june 2007",)),
    _Text("AGPL-3.0", ("gnu affero general public license version 3 19 november 2007",)),
    _Text("Unlicense", ("this is free and unencumbered software released into the public domain",)),
    _Text("CC0-1.0", ("cc0 1.0 universal", "statement of purpose")),
    _Text("CC-BY-SA-4.0", ("creative commons attribution sharealike 4.0 international public license",)),
    _Text("CC-BY-4.0", ("creative commons attribution 4.0 international public license",)),
    _Text("CC-BY-NC-4.0", ("creative commons attribution noncommercial",)),
    _Text("PSF-2.0", ("this license agreement is between the python software foundation",), ("beopen com",)),
    _Text("Python-2.0", ("this license agreement is between the python software foundation", "beopen com")),
    _Text(
        "Zlib",
        (
            "in no event will the authors be held liable for any damages",
            "altered source versions must be plainly marked as such",
        ),
    ),
    _Text("BSL-1.0", ("boost software license version 1.0 august 17th 2003",)),
    _Text("EPL-1.0", ("eclipse public license v 1.0 the accompanying program is provided",)),
    _Text("EPL-2.0", ("eclipse public license v 2.0 the accompanying program is provided",)),
    _Text("EUPL-1.2", ("european union public licence v 1.2",)),
    _Text("CDDL-1.0", ("common development and distribution license cddl version 1.0 1 definitions",)),
    _Text("CDDL-1.1", ("common development and distribution license cddl version 1.1 1 definitions",)),
    _Text("Artistic-2.0", ("the artistic license 2.0", "copyright holder means the individual")),
    _Text("BlueOak-1.0.0", ("blue oak model license version 1.0.0",)),
    _Text("WTFPL", ("you just do what the fuck you want to",)),
    _Text("BUSL-1.1", ("business source license 1.1", "the licensor hereby grants you the right to copy modify")),
    _Text("Elastic-2.0", ("elastic license 2.0", "by using the software you agree to all of the terms")),
    _Text("SSPL-1.0", ("server side public license version 1 october 16 2018",)),
    _Text(COMMONS_CLAUSE, ("commons clause license condition v1.0",)),
    _Text(COMMONS_CLAUSE, ("the grant of rights under the license will not include and the license does not grant",)),
)

# Shorter words, for notices: what a header says instead of the licence's text.
_NOTICES: Final = (
    ("Apache-2.0", re.compile(r"\bapache (?:software )?license (?:version |v ?)?2\.0\b|\bapache 2\.0 licen[sc]e\b")),
    ("MPL-2.0", re.compile(r"\bterms of the mozilla public license v(?:ersion)? ?2\.0\b")),
    ("MPL-1.1", re.compile(r"\bmozilla public license (?:v|version )1\.1\b")),
    ("MIT", re.compile(r"\b(?:under (?:the )?(?:terms of (?:the )?)?|the )mit licen[sc]e\b|\bmit licensed\b")),
    ("MIT", re.compile(r"\bgoverned by an? mit(?: style)? licen[sc]e\b")),
    (VAGUE_BSD, re.compile(r"\b(?:governed by|under) (?:an? |the )?bsd(?: style)? licen[sc]e\b")),
    ("BSD-3-Clause", re.compile(r"\bunder (?:an? |the )?(?:3 clause|new|modified) bsd licen[sc]e\b")),
    ("BSD-2-Clause", re.compile(r"\bunder (?:an? |the )?(?:2 clause|simplified) bsd licen[sc]e\b")),
    ("BSL-1.0", re.compile(r"\bunder the boost software license version 1\.0\b")),
    ("EPL-2.0", re.compile(r"\beclipse public license (?:version |v ?)?2\.0\b")),
    ("EPL-1.0", re.compile(r"\beclipse public license (?:version |v ?)?1\.0\b")),
    ("CDDL-1.0", re.compile(r"\bterms of the common development and distribution license\b")),
    ("BUSL-1.1", re.compile(r"\bbusiness source license\b")),
    ("Elastic-2.0", re.compile(r"\belastic license\b")),
    ("SSPL-1.0", re.compile(r"\bserver side public license\b")),
    (PROPRIETARY, re.compile(r"\bproprietary and confidential\b|\bconfidential and proprietary\b")),
    (PROPRIETARY, re.compile(r"\bunauthorized copying of this file\b")),
)

# Texts so short that people add conditions of their own to them, and words that such conditions have.
_AMENDABLE: Final = frozenset(
    {"0BSD", "Apache-1.1", "BSD-2-Clause", "BSD-3-Clause", "BSD-4-Clause", "ISC", "MIT", "MIT-0", "X11", "Zlib"}
)
_AMENDED: Final = re.compile(
    r"\bnon ?commercial|\bcommercial (?:use|purpose|product|licen)|\bmilitary\b|\bhuman (?:rights|beings)\b"
    r"|\bmay only\b|\bsolely\b|\bexclusively\b|\bcomplete source code\b|\bcompet(?:ing|itive)\b"
    r"|\benterprise\b|\bsubscription\b"
    r"|\b(?:may|must|shall) not (?:be )?(?:modif|used? (?:for|with)|sell|sold)|\bonly (?:be )?(?:used?|for use)\b"
)
# Most headers say nothing of licences; looking for one of these words first makes them cheap.
_NOTICE_WORDS: Final = re.compile(
    r"licen[sc]e|permission|permitted|gpl\b|public\s+domain|confidential|unauthorized|liable", re.IGNORECASE
)
_EITHER: Final = re.compile(
    r"\balternatively (?:the contents of this file|this (?:software|file|program|library|product)) (?:may|can) be "
    r"(?:used|distributed|redistributed) under\b"
)
_LICENSE_LINE: Final = re.compile(
    r"^(?:@licen[sc]e[ \t]++|:?licen[sc]e:[ \t]++)([^\n]{2,100})$", re.IGNORECASE | re.MULTILINE
)


def licenses_of_text(text: str) -> tuple[str, ...]:
    """The licences whose texts `text` contains, as of a LICENSE file, in the order of the table; none if unknown.

    Several mean that all are needed; UNKNOWN among them means that somebody has added conditions of their own. Only
    what stands before the title of a GNU licence decides on later versions: the sample notice at its end is no notice.
    """
    plain = _plain(text[:_LONGEST])
    entries = [entry for entry in _TEXTS if _has(plain, entry)]
    names = [entry.license for entry in entries]
    if len(names) == 1 and names[0] in _AMENDABLE and _AMENDED.search(plain):
        names.append(UNKNOWN)
    if any(name.startswith("LGPL-") for name in names):  # it builds on the GPL, and is shipped with it
        names = [name for name in names if not name.startswith("GPL-")]
    title = min((plain.find(words) for entry in entries for words in entry.words), default=0)
    noticed = gnu_notices(plain[:title])
    clear = [next((notice for notice in noticed if is_clearer(notice, name)), name) for name in names]
    return tuple(dict.fromkeys(clear))


def license_of_notice(header: str) -> str | None:
    """What the comment that heads a source file says of its licence, an SPDX expression, or None if nothing.

    Takes whole texts, the usual references ("Licensed under the Apache License, Version 2.0") and lines such as
    "License: MIT". Several licences are joined by AND, or by OR where the notice offers an alternative. What it
    leaves open, it names by the vague ids of `guard.license_gnu` and VAGUE_BSD.
    """
    if _NOTICE_WORDS.search(header) is None:
        return None
    plain = _plain(header)
    found = [entry.license for entry in _TEXTS if _has(plain, entry)]
    found += [name for name, pattern in _NOTICES if pattern.search(plain)]
    found += gnu_notices(plain)
    if not found:
        line = _LICENSE_LINE.search(header)
        return _spelled(line[1]) if line else None
    return (" OR " if _EITHER.search(plain) else " AND ").join(dict.fromkeys(found))


def _plain(text: str) -> str:
    """`text` as lower-case words: no punctuation but "+" and the points within version numbers."""
    return " ".join(re.sub(r"\.(?!\d)|[^a-z0-9.+]", " ", text.casefold()).split())


def _has(plain: str, entry: _Text) -> bool:
    return all(words in plain for words in entry.words) and not any(words in plain for words in entry.without)


def _spelled(name: str) -> str | None:
    if re.match(r"bsd(?: licen[sc]e)?(?:[,. ]|$)", name, re.IGNORECASE):
        return VAGUE_BSD
    short = re.split(r", |\. |; | - | \(see ", name, maxsplit=1)[0].strip(" .")
    return spdx_of_id(short) or spdx_of_name(short)
