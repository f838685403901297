from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest
from samples.license_texts import CODE, GPL2, MIT
from samples.trees import plant

from guard.license_detection import detect_license
from guard.license_metadata import declared_license
from guard.licenses import UNKNOWN_LICENSE


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
