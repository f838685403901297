from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.license_texts import APACHE, BSD2, BSD3, CODE, GPL2, GPL3, LGPL3, LGPL_HEADER, MIT

from guard.license_detection import detect_license
from guard.license_tags import tagged_license
from guard.license_texts import license_of_notice, licenses_of_text
from guard.licenses import UNKNOWN_LICENSE, normalize

LGPL21 = "GNU LESSER GENERAL PUBLIC LICENSE\n Version 2.1, February 1999\n"
ISC = """Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby
granted, provided that the above copyright notice and this permission notice appear in all copies.
"""
ZLIB = """This software is provided 'as-is', without any express or implied warranty. In no event will the authors be
held liable for any damages arising from the use of this software. Permission is granted to anyone to use this
software for any purpose, including commercial applications, subject to the following restrictions: 1. The origin of
this software must not be misrepresented. 2. Altered source versions must be plainly marked as such.
"""
PSF = '1. This LICENSE AGREEMENT is between the Python Software Foundation\n("PSF"), and the Individual\n'
TRI_HEADER = """/* ***** BEGIN LICENSE BLOCK *****
 * Version: MPL 1.1/GPL 2.0/LGPL 2.1
 *
 * The contents of this file are subject to the Mozilla Public License Version
 * 1.1 (the "License"); you may not use this file except in compliance with it.
 *
 * Alternatively, the contents of this file may be used under the terms of
 * either the GNU General Public License Version 2 or later (the "GPL"), or
 * the GNU Lesser General Public License Version 2.1 or later (the "LGPL").
 */
"""


@pytest.mark.parametrize(
    ("text", "licenses"),
    [
        (MIT, ("MIT",)),
        (BSD2, ("BSD-2-Clause",)),
        (BSD3, ("BSD-3-Clause",)),
        (ISC, ("ISC",)),
        (ZLIB, ("Zlib",)),
        (APACHE, ("Apache-2.0",)),
        ("Mozilla Public License Version 2.0\n====\n\n1. Definitions\n", ("MPL-2.0",)),
        (GPL2, ("GPL-2.0",)),
        ("Thing is licensed under the GNU GPL, version 2 or later.\n\n" + GPL2, ("GPL-2.0-or-later",)),
        ("Thing is licensed under the GNU GPL, version 2 only.\n\n" + GPL2, ("GPL-2.0-only",)),
        (GPL3, ("GPL-3.0",)),
        (LGPL21, ("LGPL-2.1",)),
        (LGPL3 + GPL3, ("LGPL-3.0",)),
        ("GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3, 19 November 2007\n", ("AGPL-3.0",)),
        ("This is free and unencumbered software released into the public domain.\n", ("Unlicense",)),
        ("Creative Commons\nCC0 1.0 Universal\n\nStatement of Purpose\n", ("CC0-1.0",)),
        (PSF, ("PSF-2.0",)),
        (PSF + "BEOPEN.COM LICENSE AGREEMENT FOR PYTHON 2.0\n", ("Python-2.0",)),
        ("Boost Software License - Version 1.0 - August 17th, 2003\n", ("BSL-1.0",)),
        ("Eclipse Public License - v 2.0\n\nTHE ACCOMPANYING PROGRAM IS PROVIDED UNDER", ("EPL-2.0",)),
        (MIT + BSD3, ("MIT", "BSD-3-Clause")),
        ('"Commons Clause" License Condition v1.0\n\n' + APACHE, ("Apache-2.0", "LicenseRef-commons-clause")),
        (MIT + "The Software shall be used for Good, not Evil.\n", ("JSON",)),
        (MIT + "The Software may only be used with our hardware.\n", ("MIT", UNKNOWN_LICENSE)),
        (BSD3 + "For non-commercial purposes.\n", ("BSD-3-Clause", UNKNOWN_LICENSE)),
        ("All yours.\n", ()),
        ("", ()),
    ],
)
def test_licences_are_known_by_their_texts(text: str, licenses: tuple[str, ...]) -> None:
    assert licenses_of_text(text) == licenses


@pytest.mark.parametrize(
    ("header", "spdx"),
    [
        (LGPL_HEADER.replace("# ", ""), "LGPL-2.1-or-later"),
        ("Licensed under the GPL: https://www.gnu.org/licenses/old-licenses/gpl-2.0.html", "GPL-2.0"),
        ("Licensed under the GPLv3+.", "GPL-3.0-or-later"),
        ("Released under the GNU GPL", "GPL-1.0-or-later"),
        (
            "under the terms of the GNU General Public License version 2 as published by the Free Software Foundation.",
            "GPL-2.0-only",
        ),
        ("under the GNU Affero General Public License, version 3 or any later version", "AGPL-3.0-or-later"),
        ('Licensed under the Apache License, Version 2.0 (the "License").', "Apache-2.0"),
        ("Licensed under the MIT License. See License.txt in the project root.", "MIT"),
        (
            "This Source Code Form is subject to the terms of the Mozilla Public\nLicense, v. 2.0. If a copy of",
            "MPL-2.0",
        ),
        ("Use of this source code is governed by a BSD-style license that can be found in LICENSE.", "BSD"),
        (":license: BSD, see LICENSE for details.", "BSD"),
        ("@license MIT", "MIT"),
        ("Proprietary and confidential.", "LicenseRef-proprietary"),
        (MIT, "MIT"),
        (TRI_HEADER, "MPL-1.1 OR GPL-2.0-or-later OR LGPL-2.1-or-later"),
        ("Licensed under the MIT License and, in parts, under the GNU GPL v2 only.", "MIT AND GPL-2.0-only"),
        ("Parses the GNU General Public License, version 3, into sections.", None),
        ("License along with this program", None),
        ("Computes areas.", None),
        ("", None),
    ],
)
def test_notices_are_read_as_people_write_them(header: str, spdx: str | None) -> None:
    assert license_of_notice(header) == spdx


@pytest.mark.parametrize(
    ("head", "spdx"),
    [
        ("# SPDX-License-Identifier: MIT\n", "MIT"),
        ("#!/bin/sh\n#\n# SPDX-License-Identifier:GPL-2.0+\nset -e\n", "GPL-2.0-or-later"),
        ("/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */\nint x;\n", "GPL-2.0-only OR MIT"),
        ("<!-- SPDX-License-Identifier: ISC -->\n", "ISC"),
        ('"""Areas.\n\nSPDX-License-Identifier: MPL-2.0\n"""\n', "MPL-2.0"),
        ("// SPDX-License-Identifier: MIT\n// SPDX-License-Identifier: CC0-1.0\n", "MIT AND CC0-1.0"),
        ("// SPDX-License-Identifier: Made-Up-1.0\n", UNKNOWN_LICENSE),
        ('TAG = "SPDX-License-Identifier: MIT"\n', None),
        ("x = 1\n" * 5000 + "# SPDX-License-Identifier: MIT\n", None),
        (CODE, None),
    ],
)
def test_spdx_tags_count_in_comments_near_the_top(head: str, spdx: str | None) -> None:
    assert tagged_license(head) == spdx


@given(st.text(max_size=300), st.sampled_from(["# ", "/* ", "SPDX-License-Identifier: ", "Licensed under the GPL "]))
def test_whatever_stands_in_a_file_gives_a_licence_expression(
    tmp_path_factory: pytest.TempPathFactory, text: str, start: str
) -> None:
    tree = detect_license(tmp_path_factory.getbasetemp())
    spdx = tree.of("a.py", start + text)
    assert normalize(spdx) == spdx
