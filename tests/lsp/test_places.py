from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lsp.errors import ConfigurationError
from lsp.places import IGNORE_FILE, Place, Workspace, path_of

if TYPE_CHECKING:
    from pathlib import Path


def test_documents_stand_in_the_innermost_folder(tmp_path: Path) -> None:
    (tmp_path / "a" / "inner").mkdir(parents=True)
    outer, inner = (tmp_path / "a").as_uri(), (tmp_path / "a" / "inner").as_uri()
    workspace = Workspace([outer, inner])
    assert workspace.place(f"{outer}/src/x%20y.py") == Place("src/x y.py", str(tmp_path / "a"))
    assert workspace.place(f"{inner}/z.py") == Place("z.py", str(tmp_path / "a" / "inner"))
    assert workspace.place(f"{outer}b/z.py") == Place("z.py", None)
    workspace.change([], [inner])
    assert workspace.place(f"{inner}/z.py").path == "inner/z.py"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a/b.py", "/a/b.py"),
        ("file:///C%3A/a/b.py", "C:/a/b.py"),
        ("vscode-notebook-cell:/a/b.ipynb#W0sZmlsZQ%3D%3D", "/a/b.ipynb"),
        ("untitled:Untitled-1", ""),
        ("file://", ""),
        ("", ""),
        ("http://[", ""),
        ("no uri at all", ""),
    ],
)
def test_paths_of_uris(uri: str, path: str) -> None:
    assert path_of(uri) == path


def test_a_path_is_what_the_service_takes() -> None:
    place = Workspace().place("file:///a%0Ab" + "c" * 600 + ".py")
    assert len(place.path) == 500
    assert place.path.endswith("c.py")
    assert Workspace().place("file:///a%0Ab.py").path == "a\ufffdb.py"


def test_ignored_by_settings_and_by_the_folder(tmp_path: Path) -> None:
    workspace = Workspace([tmp_path.as_uri()])
    secret, plain = workspace.place(f"{tmp_path.as_uri()}/keys/x.py"), workspace.place(f"{tmp_path.as_uri()}/x.py")
    assert workspace.ignored(secret) is None
    file = tmp_path / IGNORE_FILE
    file.write_text("keys/\n# no\n")
    assert workspace.ignored(secret) == IGNORE_FILE
    assert workspace.ignored(plain) is None
    file.write_text("*.py\n!x.py\n")
    os.utime(file, ns=(1, 1))
    assert workspace.ignored(plain) is None
    file.unlink()
    assert workspace.ignored(secret) is None
    workspace.ignore(("**/keys/**",))
    assert workspace.ignored(secret) == "the setting ignore"
    assert workspace.ignored(Place("", None)) is None


def test_rules_that_cannot_be_read_keep_everything(tmp_path: Path) -> None:
    workspace = Workspace([tmp_path.as_uri()])
    place = workspace.place(f"{tmp_path.as_uri()}/x.py")
    (tmp_path / IGNORE_FILE).write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="nothing is sent"):
        workspace.ignored(place)
    (tmp_path / IGNORE_FILE).unlink()
    (tmp_path / IGNORE_FILE).mkdir()
    with pytest.raises(ConfigurationError, match="nothing is sent"):
        workspace.ignored(place)
    with pytest.raises(ConfigurationError, match=r"as in \.gitignore"):
        workspace.ignore(("!",))
