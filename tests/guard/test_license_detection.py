from __future__ import annotations

import pickle
import subprocess
from typing import TYPE_CHECKING

import pytest
from samples.license_texts import APACHE, BSD2, BSD3, CODE, GPL2, GPL3, LGPL3, LGPL_HEADER, MIT
from samples.trees import plant

from guard.errors import CorpusError
from guard.license_detection import detect_license
from guard.licenses import UNKNOWN_LICENSE

if TYPE_CHECKING:
    from pathlib import Path


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
