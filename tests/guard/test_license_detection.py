from __future__ import annotations

import json
import pickle
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import CorpusError
from guard.license_detection import detect_license
from guard.license_metadata import declared_license
from guard.license_tags import tagged_license
from guard.license_texts import license_of_notice, licenses_of_text
from guard.licenses import UNKNOWN_LICENSE, normalize

CODE = "def area(width: int, height: int) -> int:\n    return width * height\n"

MIT = """MIT License

Copyright (c) 2024 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.
"""
BSD2 = """Copyright 2010 Somebody

Redistribution and use in source and binary forms, with or without
modification, are permitted provided that the following conditions are met:

1.  Redistributions of source code must retain the above copyright notice,
    this list of conditions and the following disclaimer.
2.  Redistributions in binary form must reproduce the above copyright notice,
    this list of conditions and the following disclaimer in the documentation.
"""
BSD3 = (
    BSD2
    + """3.  Neither the name of the copyright holder nor the names of its contributors may be used to endorse
    or promote products derived from this software without specific prior written permission.
"""
)
GPL2 = """                    GNU GENERAL PUBLIC LICENSE
                       Version 2, June 1991

 Everyone is permitted to copy and distribute verbatim copies
 of this license document, but changing it is not allowed.

                     END OF TERMS AND CONDITIONS

    This program is free software; you can redistribute it and/or modify
    it under the terms of the GNU General Public License as published by
    the Free Software Foundation; either version 2 of the License, or
    (at your option) any later version.
"""
GPL3 = "GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007\n"
LGPL21 = "GNU LESSER GENERAL PUBLIC LICENSE\n Version 2.1, February 1999\n"
LGPL3 = "GNU LESSER GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007\n"
APACHE = "Apache License\nVersion 2.0, January 2004\nhttp://www.apache.org/licenses/\n"
ISC = """Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby
granted, provided that the above copyright notice and this permission notice appear in all copies.
"""
ZLIB = """This software is provided 'as-is', without any express or implied warranty. In no event will the authors be
held liable for any damages arising from the use of this software. Permission is granted to anyone to use this
software for any purpose, including commercial applications, subject to the following restrictions: 1. The origin of
this software must not be misrepresented. 2. Altered source versions must be plainly marked as such.
"""
PSF = '1. This LICENSE AGREEMENT is between the Python Software Foundation\n("PSF"), and the Individual\n'
LGPL_HEADER = """# This file is part of thing.
#
# Thing is free software; you can redistribute it and/or modify it under the
# terms of the GNU Lesser General Public License as published by the Free
# Software Foundation; either version 2.1 of the License, or (at your option)
# any later version.
#
# You should have received a copy of the GNU Lesser General Public License
# along with Thing; if not, write to the Free Software Foundation, Inc.,
# 51 Franklin Street, Fifth Floor, Boston, MA  02110-1301 USA.
"""
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


def plant(root: Path, files: dict[str, str]) -> Path:
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return root


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


def core_metadata(*lines: str) -> str:
    return "\n".join(["Metadata-Version: 2.4", "Name: thing", *lines, "", "A thing.", "License: GPLv3"])


@pytest.mark.parametrize(
    ("name", "content", "spdx"),
    [
        ("pyproject.toml", '[project]\nlicense = "MIT OR Apache-2.0"\n', "MIT OR Apache-2.0"),
        ("pyproject.toml", '[project]\nlicense = {text = "BSD 3-Clause"}\n', "BSD-3-Clause"),
        ("pyproject.toml", '[project]\nlicense = {file = "LICENSE"}\n', None),
        (
            "pyproject.toml",
            '[project]\nclassifiers = ["License :: OSI Approved", "License :: OSI Approved :: MIT License"]\n',
            "MIT",
        ),
        ("pyproject.toml", '[tool.poetry]\nlicense = "LGPL-3.0+"\n', "LGPL-3.0-or-later"),
        ("pyproject.toml", '[project]\nlicense = "Frobnicated"\n', UNKNOWN_LICENSE),
        ("pyproject.toml", "[project\n", None),
        ("pyproject.toml", "project = 1\n", None),
        ("METADATA", core_metadata("License-Expression: GPL-2.0-or-later", "License: MIT"), "GPL-2.0-or-later"),
        ("METADATA", core_metadata("License: Apache 2.0"), "Apache-2.0"),
        (
            "METADATA",
            core_metadata("License: UNKNOWN", "Classifier: License :: OSI Approved :: ISC License (ISCL)"),
            "ISC",
        ),
        ("METADATA", core_metadata("License: " + MIT.replace("\n", "\n        ")), "MIT"),
        (
            "PKG-INFO",
            core_metadata(
                "Classifier: License :: OSI Approved :: MIT License",
                "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
            ),
            "MIT AND GPL-3.0-only",
        ),
        ("METADATA", core_metadata(), None),
        ("setup.cfg", "[metadata]\nlicense = BSD\nversion = %(nothing)s\n", "BSD-3-Clause"),
        ("setup.cfg", "[metadata]\nclassifiers =\n  License :: OSI Approved :: MIT License\n", "MIT"),
        ("setup.cfg", "[flake8]\nmax-line-length = 100\n", None),
        ("package.json", json.dumps({"license": "(MIT OR Apache-2.0)"}), "MIT OR Apache-2.0"),
        ("package.json", json.dumps({"license": {"type": "MIT", "url": "x"}}), "MIT"),
        ("package.json", json.dumps({"licenses": [{"type": "MIT"}, {"type": "GPL-2.0"}]}), "MIT OR GPL-2.0-only"),
        ("package.json", json.dumps({"license": "UNLICENSED"}), "LicenseRef-proprietary"),
        ("package.json", json.dumps({"license": "SEE LICENSE IN EULA.txt"}), None),
        ("package.json", "[]", None),
        ("package.json", "{", None),
        (
            "composer.json",
            json.dumps({"license": ["LGPL-2.1-only", "GPL-3.0-or-later"]}),
            "LGPL-2.1-only OR GPL-3.0-or-later",
        ),
        ("Cargo.toml", '[package]\nlicense = "MIT/Apache-2.0"\n', "MIT OR Apache-2.0"),
        ("Cargo.toml", "[package]\nlicense.workspace = true\n", None),
        ("Cargo.toml", '[workspace.package]\nlicense = "MPL-2.0"\n', "MPL-2.0"),
        (
            "pom.xml",
            "<name>x</name><licenses><name>Apache License, Version 2.0</name> <name> EPL-2.0 </name></licenses>",
            "Apache-2.0 OR EPL-2.0",
        ),
        ("pom.xml", "<project><name>MIT</name></project>", None),
        ("setup.py", "setup(license='MIT')", None),
    ],
)
def test_manifests_declare_licences_in_their_own_ways(name: str, content: str, spdx: str | None) -> None:
    assert declared_license(name, content) == spdx


@pytest.mark.parametrize(
    ("files", "spdx"),
    [
        ({}, UNKNOWN_LICENSE),
        ({"LICENSE": MIT}, "MIT"),
        ({"MIT-LICENSE.txt": MIT}, "MIT"),
        ({"LICENSE": "Licensed under the Apache License, Version 2.0.\n"}, "Apache-2.0"),
        ({"COPYING": GPL2}, "GPL-2.0-only"),
        ({"COPYING": GPL2, "pyproject.toml": '[project]\nlicense = "GPL-2.0-or-later"\n'}, "GPL-2.0-or-later"),
        ({"COPYING": GPL2, "package.json": '{"license": "GPL"}'}, "GPL-2.0-only"),
        ({"COPYING": GPL3, "pyproject.toml": '[project]\nlicense = "GPL-2.0-or-later"\n'}, "GPL-2.0-or-later"),
        ({"COPYING": GPL3, "COPYING.LESSER": LGPL3}, "LGPL-3.0-only"),
        ({"LICENSE": BSD2, "setup.cfg": "[metadata]\nlicense = BSD\n"}, "BSD-2-Clause"),
        ({"LICENSE-MIT": MIT, "LICENSE-APACHE": APACHE}, "Apache-2.0 AND MIT"),
        (
            {"LICENSE-MIT": MIT, "LICENSE-APACHE": APACHE, "Cargo.toml": '[package]\nlicense = "MIT OR Apache-2.0"\n'},
            "MIT OR Apache-2.0",
        ),
        (
            {"LICENSE": BSD3 + GPL3, "pyproject.toml": '[project]\nlicense = "BSD-3-Clause AND Zlib"\n'},
            "BSD-3-Clause AND Zlib",
        ),
        (
            {"LICENSE": BSD3 + GPL3, "pyproject.toml": '[project]\nlicense = "BSD-3-Clause"\n'},
            "BSD-3-Clause AND GPL-3.0-only",
        ),
        ({"LICENSE": GPL3, "package.json": '{"license": "MIT"}'}, "GPL-3.0-only AND MIT"),
        ({"LICENSE": "Ask us.\n", "package.json": '{"license": "MIT"}'}, "MIT"),
        ({"LICENSE": "Ask us.\n"}, UNKNOWN_LICENSE),
        ({"LICENSE": MIT, "package.json": '{"license": "Frobnicated"}'}, "MIT"),
        ({"NOTICE": "Contains things.\n", "LICENSE": APACHE}, "Apache-2.0"),
        ({"THIRD-PARTY-LICENSES": GPL3, "LICENSE": MIT, "license.py": GPL3, "licenses.json": GPL3}, "MIT"),
        ({"LICENSES/MIT.txt": "x", "LICENSES/CC0-1.0.txt": "x"}, "CC0-1.0 AND MIT"),
        ({"LICENSES/MIT.txt": "x", "LICENSE": APACHE}, "Apache-2.0"),
    ],
)
def test_a_tree_has_the_licence_of_its_texts_and_its_metadata(tmp_path: Path, files: dict[str, str], spdx: str) -> None:
    tree = detect_license(plant(tmp_path, files))
    assert tree.expression == spdx
    assert tree.of("src/thing/area.py", CODE) == spdx


def test_the_nearest_folder_that_speaks_decides(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "LICENSE": MIT,
            "extra/LICENSE": GPL3,
            "extra/deep/LICENSE": "Ask us.\n",
            "web/package.json": '{"license": "ISC"}',
            "web/app/package.json": '{"name": "app"}',
        },
    )
    tree = detect_license(tmp_path)
    assert tree.of("a.py", CODE) == "MIT"
    assert tree.of("extra/b/c.py", CODE) == "GPL-3.0-only"
    assert tree.of("extra/deep/d.py", CODE) == UNKNOWN_LICENSE
    assert tree.of("web/app/e.js", "f();\n") == "ISC"


def test_a_file_speaks_for_itself_and_the_tree_fills_in_what_it_leaves_open(tmp_path: Path) -> None:
    gpl = plant(tmp_path / "gpl", {"LICENSE": GPL2, "pyproject.toml": '[project]\nlicense = "GPL-2.0-or-later"\n'})
    tree = detect_license(gpl)
    link = "# Licensed under the GPL: https://www.gnu.org/licenses/old-licenses/gpl-2.0.html\n" + CODE
    assert tree.of("a.py", link) == "GPL-2.0-or-later"
    assert tree.of("a.py", "# SPDX-License-Identifier: GPL-2.0-only\n" + link) == "GPL-2.0-only"
    assert tree.of("a.py", f'"""{MIT}"""\n{CODE}') == "MIT"
    assert tree.of("a.py", f'TEXT = """{MIT}"""\n') == "GPL-2.0-or-later"
    assert tree.of("a.py", "# Released under the GNU GPL\n") == "GPL-2.0-or-later"

    bsd = detect_license(plant(tmp_path / "bsd", {"LICENSE": BSD2}))
    assert bsd.of("a.go", "// Use of this source code is governed by a BSD-style license.\n") == "BSD-2-Clause"
    assert bsd.of("a.py", LGPL_HEADER + CODE) == "LGPL-2.1-or-later"

    bare = detect_license(plant(tmp_path / "bare", {"README": "Hi.\n"}))
    assert bare.of("a.py", link) == "GPL-2.0-only"
    assert bare.of("a.go", "// Use of this source code is governed by a BSD-style license.\n") == "BSD-3-Clause"


def test_reuse_annotations_and_sidecars(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "LICENSE": MIT,
            "REUSE.toml": """
version = 1
[[annotations]]
path = ["assets/**", "top-*.py"]
SPDX-License-Identifier = "CC0-1.0"
[[annotations]]
path = "assets/gpl/*.py"
precedence = "override"
SPDX-License-Identifier = ["GPL-2.0-only", "MIT"]
[[annotations]]
path = "both.py"
precedence = "aggregate"
SPDX-License-Identifier = "Zlib"
[[annotations]]
path = "nothing.py"
""",
            "data.js.license": "SPDX-License-Identifier: Apache-2.0\n",
        },
    )
    tree = detect_license(tmp_path)
    tag = "# SPDX-License-Identifier: ISC\n"
    assert tree.of("assets/x/y.py", CODE) == "CC0-1.0"
    assert tree.of("assets/x/y.py", tag) == "ISC"
    assert tree.of("top-a.py", CODE) == "CC0-1.0"
    assert tree.of("assets/gpl/z.py", tag) == "GPL-2.0-only AND MIT"
    assert tree.of("assets/gpl/deep/z.py", CODE) == "CC0-1.0"
    assert tree.of("both.py", tag) == "Zlib AND ISC"
    assert tree.of("data.js", "f();\n") == "Apache-2.0"
    assert tree.of("nothing.py", CODE) == "MIT"


def wheel(name: str, expression: str, *files: str, text: str = "") -> dict[str, str]:
    info = f"{name}-1.0.dist-info"
    record = "".join(f"{file},sha256=x,1\n" for file in files)
    licenses = {f"{info}/licenses/LICENSE": text} if text else {}
    return {
        f"{info}/METADATA": core_metadata(f"License-Expression: {expression}"),
        f"{info}/RECORD": record,
        **licenses,
    }


def test_an_unpacked_wheel_has_its_metadata_beside_its_package(tmp_path: Path) -> None:
    plant(tmp_path, {**wheel("thing", "GPL-2.0-or-later", "thing/a.py", text=GPL2), "thing/a.py": CODE})
    tree = detect_license(tmp_path)
    assert tree.expression == "GPL-2.0-or-later"
    assert tree.of("thing/a.py", CODE) == "GPL-2.0-or-later"
    inner = detect_license(tmp_path / "thing")
    assert (inner.expression, inner.of("a.py", CODE)) == ("GPL-2.0-or-later", "GPL-2.0-or-later")


def test_in_an_environment_each_file_has_the_licence_of_its_distribution(tmp_path: Path) -> None:
    plant(tmp_path, wheel("one", "MIT", "one/a.py", "space/one.py"))
    plant(tmp_path, wheel("two", "MPL-2.0", "two/a.py", "space/two.py"))
    plant(tmp_path, {"one/a.py": CODE, "two/a.py": CODE, "stray/b.py": CODE})
    tree = detect_license(tmp_path)
    assert [tree.of(path, CODE) for path in ("one/a.py", "one/new.py", "two/a.py", "space/one.py", "space/two.py")] == [
        "MIT",
        "MIT",
        "MPL-2.0",
        "MIT",
        "MPL-2.0",
    ]
    assert tree.of("space/new.py", CODE) == "MIT AND MPL-2.0"
    assert (tree.of("stray/b.py", CODE), tree.expression) == (UNKNOWN_LICENSE, UNKNOWN_LICENSE)
    assert detect_license(tmp_path / "two").expression == "MPL-2.0"
    assert detect_license(tmp_path / "stray").expression == UNKNOWN_LICENSE


def test_above_the_root_only_its_own_repository_is_asked(tmp_path: Path) -> None:
    plant(tmp_path, {"LICENSE": MIT, ".gitignore": "downloads/\n", "src/a.py": CODE, "downloads/lib/b.py": CODE})
    assert detect_license(tmp_path / "src").expression == UNKNOWN_LICENSE
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    assert detect_license(tmp_path / "src").expression == "MIT"
    assert detect_license(tmp_path / "downloads" / "lib").expression == UNKNOWN_LICENSE


def test_one_file_is_a_tree_too_and_a_missing_one_is_named(tmp_path: Path) -> None:
    plant(tmp_path, {"LICENSE": MIT, "a.py": CODE})
    assert detect_license(tmp_path / "a.py").of("a.py", CODE) == "MIT"
    with pytest.raises(CorpusError, match=r"absent does not exist: name a source tree"):
        detect_license(tmp_path / "absent")


def test_a_tree_can_be_handed_to_another_process(tmp_path: Path) -> None:
    tree = detect_license(plant(tmp_path, {"LICENSE": MIT, "REUSE.toml": "version = 1\n"}))
    assert tree.expression == "MIT"
    assert pickle.loads(pickle.dumps(tree)) == tree  # noqa: S301 - as multiprocessing does between its own processes


@pytest.mark.parametrize(
    ("distribution", "package", "spdx"),
    [
        ("pathspec", "pathspec", "MPL-2.0"),
        ("httpx", "httpx", "BSD-3-Clause"),
        ("redis", "redis", "MIT"),
        ("license-expression", "license_expression", "Apache-2.0"),
    ],
)
def test_installed_packages(distribution: str, package: str, spdx: str) -> None:
    root = Path(str(metadata.distribution(distribution).locate_file(package)))
    assert detect_license(root).expression == spdx


@given(st.text(max_size=300), st.sampled_from(["# ", "/* ", "SPDX-License-Identifier: ", "Licensed under the GPL "]))
def test_whatever_stands_in_a_file_gives_a_licence_expression(
    tmp_path_factory: pytest.TempPathFactory, text: str, start: str
) -> None:
    tree = detect_license(tmp_path_factory.getbasetemp())
    spdx = tree.of("a.py", start + text)
    assert normalize(spdx) == spdx
