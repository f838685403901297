"""Files that another organization holds are left out, by its sketch and the key alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from guard.secret import IndexKey
from training.cli import app
from training.corpora import HELD_ELSEWHERE, CorpusPlan, build
from training.corpus_files import open_corpora
from training.errors import PlanError
from training.examples import Split
from training.held_elsewhere import HeldElsewhere
from training.sketches import KEPT, Sketch, sketched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = IndexKey(bytes(range(32)))


def tree(root: Path, texts: dict[str, str]) -> Path:
    root.mkdir(parents=True)
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")
    return root


def sketch_of(root: Path, out: Path) -> Sketch:
    build(CorpusPlan((root,), out))
    (corpus,) = open_corpora([f"one={out}"])
    return sketched(corpus, KEY)


@pytest.fixture
def acme(code: Callable[..., str], tmp_path: Path) -> Sketch:
    """An organization with Python of the numbers 0 to 19 and some JavaScript."""
    texts = {f"module{number}.py": code(number) for number in range(20)}
    script = "".join(f"export const name{number} = call{number * 7}({number});\n" for number in range(40))
    return sketch_of(tree(tmp_path / "acme", {**texts, "calls.js": script}), tmp_path / "acme-corpus")


def test_a_file_is_held_if_most_of_it_is(acme: Sketch, code: Callable[..., str]) -> None:
    held = HeldElsewhere([acme], KEY)
    assert held(code(3), "python")
    assert held(code(3).replace("    ", "\t"), "python"), "of another layout"
    assert held(code(3) + code(4) + code(100, functions=1), "python"), "and a little besides"
    assert not held(code(100), "python")
    assert not held(code(3, functions=2) + code(100), "python"), "a third of it"
    assert not held("", "python")
    table = "\n".join(f"NAME{number} = {number * number}" for number in range(200))
    assert not held(f"{table}\n{code(3, functions=1)}", "python"), "a table with one function"
    script = "".join(f"export const name{number} = call{number * 7}({number});\n" for number in range(40))
    assert held(script, "javascript")
    assert not held(script.replace("name", "other"), "javascript")


def test_what_two_hold_half_each_is_held_by_neither(code: Callable[..., str], tmp_path: Path, acme: Sketch) -> None:
    globex = sketch_of(
        tree(tmp_path / "globex", {f"m{number}.py": code(number) for number in range(50, 60)}),
        tmp_path / "globex-corpus",
    )
    both = HeldElsewhere([acme, globex], KEY)
    assert both(code(3), "python")
    assert both(code(53), "python")
    assert not both(code(3) + code(53), "python")


def test_a_large_corpus_is_known_by_the_smallest_hashes(tmp_path: Path) -> None:
    lines = [f"line {number} of {number * number % 9973}" for number in range(3 * KEPT)]
    large = sketch_of(
        tree(tmp_path / "large", {f"f{at}.txt.js": "\n".join(lines[at : at + 600]) for at in range(0, 3 * KEPT, 600)}),
        tmp_path / "large-corpus",
    )
    assert large.runs > KEPT
    held = HeldElsewhere([large], KEY)
    assert held("\n".join(lines[600:900]), "javascript")
    assert not held("\n".join(f"other {line}" for line in lines[600:900]), "javascript")


def test_the_command_leaves_out_what_another_holds(code: Callable[..., str], tmp_path: Path) -> None:
    runner = CliRunner()

    def run(*words: object) -> dict[str, object]:
        done = runner.invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout) if "--json" in words else {}

    first = tree(tmp_path / "first", {f"m{number}.py": code(number) for number in range(30)})
    second = tree(tmp_path / "second", {f"n{number}.py": code(number) for number in range(20, 60)})
    key, sketch = tmp_path / "consortium.key", tmp_path / "first.sketch"
    run("corpus", "key", key)
    run("corpus", "build", first, "--out", tmp_path / "one")
    run("corpus", "sketch", tmp_path / "one", "--key", key, "--out", sketch)
    told = run("corpus", "build", second, "--out", tmp_path / "two", "--held-by", sketch, "--key", key, "--json")
    assert told["left_out"] == {HELD_ELSEWHERE: 10}
    (corpus,) = open_corpora([f"two={tmp_path / 'two'}"])
    names = {file.path.rpartition("/")[2] for split in Split for file in corpus.files(split)}
    assert names == {f"n{number}.py" for number in range(30, 60)}


@pytest.mark.parametrize("given", [("--held-by",), ("--key",)])
def test_half_of_what_is_needed_is_refused(given: tuple[str], acme: Sketch, tmp_path: Path) -> None:
    (tmp_path / "acme.sketch").write_text(acme.model_dump_json(), encoding="utf-8")
    words = [
        "corpus",
        "build",
        str(tmp_path / "acme"),
        "--out",
        str(tmp_path / "out"),
        *given,
        str(tmp_path / "acme.sketch"),
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "--held-by and --key go together" in done.output
    assert not (tmp_path / "out").exists()


def test_another_key_is_refused(acme: Sketch) -> None:
    with pytest.raises(PlanError, match="under another key"):
        HeldElsewhere([acme], IndexKey(bytes(range(1, 33))))
