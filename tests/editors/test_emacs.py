"""A real Emacs with Eglot, set up as docs/editors.md says, against a real service."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from editors.conftest import GHOST, ROOT, SERVER, environment
from editors.emacs import META, Emacs, has_eglot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from editors.conftest import Cleanroom, Recital

COMPLETE = META + "\t"
PROGRAM = shutil.which("emacs")
pytestmark = pytest.mark.skipif(
    PROGRAM is None or not has_eglot(PROGRAM), reason="needs Emacs with Eglot: Debian's emacs-nox, elpa-eglot"
)


def documented(url: str) -> str:
    """What the page says goes into the init file, with this server and this service."""
    page = (ROOT / "docs" / "editors.md").read_text()
    (init,) = re.findall(r"```lisp\n(\(with-eval-after-load 'eglot\n.*?)```", page, re.DOTALL)
    command = " ".join(f'"{part}"' for part in SERVER)
    placed = init.replace('"cleanroom" "lsp"', command).replace("http://127.0.0.1:8080", url)
    assert placed.count(command) == placed.count(url) == 1
    return f"{placed}\n(add-hook 'python-mode-hook 'eglot-ensure)\n"


@pytest.fixture
def emacs(tmp_path: Path, cleanroom: Cleanroom, project: Path) -> Iterator[Emacs]:
    """One that has a Python file open, with the cursor at its end."""
    assert PROGRAM is not None
    home = tmp_path / "user"
    variables = {**environment(home), "CLEANROOM_API_KEY": cleanroom.key}
    with Emacs(PROGRAM, home, documented(cleanroom.url), variables) as emacs:
        emacs.visit(project / "numbers.py")
        yield emacs


def test_a_completion_is_put_in(emacs: Emacs) -> None:
    emacs.press(COMPLETE)
    emacs.until(lambda: emacs.text == f"def sequence(seed, step):\n    {GHOST}", "the completion")


def test_one_in_the_middle_of_a_word(emacs: Emacs, cleanroom: Cleanroom) -> None:
    cleanroom.upstream.text = GHOST.removeprefix("ret")
    emacs.press("ret" + COMPLETE)
    emacs.until(lambda: emacs.text == f"def sequence(seed, step):\n    {GHOST}", "the completion")


def test_private_code_of_others_does_not_come(
    emacs: Emacs, cleanroom: Cleanroom, private: Recital, project: Path
) -> None:
    def newest() -> dict[str, Any]:
        return cleanroom.home.answer("ledger", "list", "--json", "--limit", "1")[0]  # type: ignore[index,no-any-return]

    def decided() -> bool:
        entries.append(newest())
        return bool(entries[-1]["decision"]["id"] != entries[0]["decision"]["id"])

    entries = [newest()]
    (project / "other.py").write_text(private.signature)
    emacs.visit(project / "other.py")
    cleanroom.upstream.text = private.body
    emacs.press("    " + COMPLETE)
    emacs.until(decided, "a decision")
    assert (entries[-1]["org"], entries[-1]["disposition"]) == ("birch", "withheld")
    # Keys wait for the command before them.
    emacs.press("pass")
    emacs.until(lambda: emacs.text == private.signature + "    pass", "the file as it was typed")
