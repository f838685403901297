"""What the guard holds back, and what has to be named, in a real VS Code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editors.conftest import LICENSED, NAMED, function_of

if TYPE_CHECKING:
    from pathlib import Path

    from editors.conftest import Cleanroom, Recital
    from editors.vscode import VSCode


def test_private_code_of_others_shows_nothing(
    code: VSCode, project: Path, cleanroom: Cleanroom, private: Recital
) -> None:
    (project / "other.py").write_text(private.signature)
    cleanroom.upstream.text, cleanroom.upstream.pause = private.body, 0
    code.open("other.py")
    code.type("    ")
    code.until(cleanroom.upstream.paused.is_set, "a question to the model")
    code.until(lambda: code.busy, "a status that says that a completion is fetched")
    cleanroom.upstream.go_on.set()
    code.until(lambda: not code.busy, "an answer")
    shown = code.text
    for line in private.body.splitlines():
        assert len(line.strip()) < 8 or line.strip() not in shown
    # What another organization keeps private is never announced.
    assert code.status.strip() == "Cleanroom: Normal"
    newest = cleanroom.home.answer("ledger", "list", "--json", "--limit", "1")[0]  # type: ignore[index]
    assert (newest["org"], newest["disposition"]) == ("birch", "withheld")
    code.run("Cleanroom: Show the Last Decision")
    code.until(lambda: newest["decision"]["id"] in code.notices, "the decision")


def test_a_denied_licence_shows_nothing_and_the_status_names_it(
    code: VSCode, project: Path, cleanroom: Cleanroom
) -> None:
    recital = function_of(LICENSED, "uris.py", "from_fs_path")
    (project / "other.py").write_text(recital.signature)
    code.open("other.py")
    cleanroom.upstream.text = recital.body
    code.type("    ")
    code.told("GPL-3.0-only")
    assert "dec_" in code.status
    assert code.ghost == ""


def taken_over(code: VSCode, project: Path, cleanroom: Cleanroom) -> None:
    """Has code taken over whose licence must be named, in `other.py`, and saved."""
    recital = function_of(NAMED, "utils.py", "get_params_from_function")
    (project / "other.py").write_text(recital.signature)
    cleanroom.upstream.text = recital.body.removeprefix("    ")
    code.open("other.py")
    code.type("    ")
    code.shows("signature = ")
    assert code.named == []
    code.press("Tab")
    code.until(lambda: not code.ghost, "that the code was taken over")
    # Its end is below what is drawn.
    code.go_to_the_beginning()
    code.until(lambda: code.named, "a licence at the code")
    code.press("Control+S")
    code.until(lambda: "return params" in (project / "other.py").read_text(), "the code in its file")


def drawn(code: VSCode) -> str:
    """The one licence at the code; lines are drawn anew now and then, first without it."""
    seen: list[str] = []

    def one() -> bool:
        seen[:] = code.named
        return len(seen) == 1

    code.until(one, "one licence")
    return seen[0]


def test_a_licence_that_must_be_named_stands_at_the_code(code: VSCode, project: Path, cleanroom: Cleanroom) -> None:
    taken_over(code, project, cleanroom)
    licence = drawn(code)
    assert licence.startswith("MIT: pkg:")
    code.until(lambda: code.line_of(licence).lstrip().startswith("signature = "), "it at its code")


def test_a_licence_moves_with_its_code_and_goes_with_it(code: VSCode, project: Path, cleanroom: Cleanroom) -> None:
    taken_over(code, project, cleanroom)
    licence = drawn(code)
    code.go_to_the_beginning()
    code.type("# a line above\n")
    code.until(lambda: "# a line above" in code.text, "the line")
    code.until(lambda: code.named and code.line_of(licence).lstrip().startswith("signature = "), "it at its code")
    code.press("Control+A")
    code.press("Delete")
    code.until(lambda: not code.named, "a screen without licence")


def test_a_file_that_is_opened_again_has_its_licences(code: VSCode, project: Path, cleanroom: Cleanroom) -> None:
    taken_over(code, project, cleanroom)
    named = [drawn(code)]
    code.page.locator(".tab", has_text="other.py").click(button="middle")
    code.page.locator(".tab", has_text="other.py").wait_for(state="detached")
    code.until(lambda: not code.named, "another file")
    code.open("other.py")
    code.go_to_the_beginning()
    code.until(lambda: code.named == named, "the licence")
    code.run("Cleanroom: Clear the Citations of This File")
    code.until(lambda: not code.named, "a screen without licence")
    code.type("# a line above\n")
    code.until(lambda: "# a line above" in code.text and not code.busy, "the line")
    assert not code.named
