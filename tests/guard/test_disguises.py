"""Copies in disguise: edited, reordered, drawn out in pieces, behind comment marks, in the wrong language."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from samples.code import JAVA, METHOD, PYTHON, SAMPLES, UNRELATED, renamed, without_comments
from samples.indexed import ACME, Indexed, allows, in_every_language

from guard.errors import RefusalError
from guard.fingerprint import GUARANTEE
from guard.tokens import lex
from guard.types import Action, MatchKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from guard.store import Store

LANGUAGE_SAMPLES = pytest.mark.parametrize(("language", "text"), SAMPLES.items(), ids=SAMPLES)


@pytest.fixture
def indexed(embedded_store: Store, home: Path) -> Indexed:
    return in_every_language(embedded_store, home)


def edited(text: str, every: int = 7) -> str:
    """`text` without one line in so many, and with another line instead of it."""
    lines = text.splitlines()
    return "\n".join(
        line if number % every else " " * (len(line) - len(line.lstrip())) + f"trace(stage_{number}, [flags])"
        for number, line in enumerate(lines, start=1)
    )


@LANGUAGE_SAMPLES
def test_an_edited_copy_is_blocked(indexed: Indexed, language: str, text: str) -> None:
    match = indexed.check(edited(without_comments(text)), language=language).matches[0]
    assert (match.document, match.kind) == (f"src/{language}", MatchKind.NEAR)
    assert 0.4 < match.similarity < 1
    assert match.end - match.start > 0.6 * len(without_comments(text))


def test_statements_in_another_order_are_blocked(embedded_store: Store, home: Path) -> None:
    indexed = Indexed(embedded_store, home)
    rng = random.Random(1)  # noqa: S311 - not for secrets
    names = "alpha beta gamma delta omega node item entry value field".split()  # noqa: SIM905 - shorter to read
    shapes = [
        "{}.{}({}[{}])",
        "{} = {} + {} // {}",
        "del {}[{}:{}], {}",
        "assert {} != {} or {} < {}",
        "{} @= {}({}) ^ ~{}",
    ]
    shapes += ["{}.{} += yield {}, {}", "{} = not {} if {} else [{}]", "{}({}={}, *{})", "{} = {{{}: {} & {}}}"]
    lines = [rng.choice(shapes).format(*(rng.choice(names) for _ in range(4))) for _ in range(70)]
    indexed.add(ACME, "steps.py", "\n".join(lines))
    groups = [lines[i : i + 2] for i in range(0, len(lines), 2)]
    # Neighbouring pairs of lines change places: no run is long enough to be significant by itself.
    mixed = [line for pair in zip(groups[1::2], groups[0::2], strict=False) for group in pair for line in group]
    match = indexed.check("\n".join(mixed), language="python").matches[0]
    assert (match.owner, match.document, match.kind) == (ACME, "steps.py", MatchKind.NEAR)


@pytest.mark.parametrize("text", ["", "\n", "\n\n\n" + UNRELATED, "    return None if other else 7\n", "# the end\n"])
def test_what_stands_in_the_prompt_alone_triggers_nothing(indexed: Indexed, text: str) -> None:
    assert allows(indexed, text, prefix=PYTHON)
    assert allows(indexed, text, prefix=f"{UNRELATED}\n{METHOD}")


@LANGUAGE_SAMPLES
def test_a_copy_that_goes_on_from_the_prompt_is_blocked(indexed: Indexed, language: str, text: str) -> None:
    lines = without_comments(text).splitlines(keepends=True)
    half = len(lines) // 2
    prefix, generation = "".join(lines[:half]), "".join(lines[half:])
    decision = indexed.check(generation, prefix=prefix)
    match = decision.matches[0]
    assert match.document == f"src/{language}"
    assert match.start == 0
    assert match.end <= len(generation)
    whole = lex(prefix + generation, language)
    words = len(whole.comments) if len(whole.comments) >= GUARANTEE else 0
    assert 0 <= decision.checked_tokens - int((whole.code.ends > len(prefix)).sum()) <= words


@LANGUAGE_SAMPLES
@pytest.mark.parametrize("disguise", [str, renamed], ids=["exact", "renamed"])
def test_code_that_is_drawn_out_line_by_line_is_caught(
    indexed: Indexed, language: str, text: str, disguise: Callable[[str], str]
) -> None:
    lines = disguise(without_comments(text)).splitlines(keepends=True)
    code = [line for line in lines if line.strip()]
    passed = 0
    prefix = ""
    for line in code:
        if indexed.check(line, prefix=prefix, language=language).action is Action.BLOCK:
            break
        passed += 1
        prefix += line
    assert passed <= len(code) / 2
    # And once it is seen, whatever of it is more than a few tokens is kept back.
    for number in range(passed + 1, len(code)):
        line = code[number]
        if len(lex(line, language).code) >= 10:
            assert not allows(indexed, line, prefix="".join(code[:number]), language=language)


@LANGUAGE_SAMPLES
def test_code_that_is_drawn_out_a_few_tokens_at_a_time_is_caught(indexed: Indexed, language: str, text: str) -> None:
    plain = without_comments(text)
    cuts = lex(plain, language).code.starts[::3]
    caught = [
        start
        for start, end in pairwise(cuts)
        if indexed.check(plain[start:end], prefix=plain[:start], language=language).action is Action.BLOCK
    ]
    assert caught[0] < len(plain) / 4
    assert len(caught) > len(cuts) / 3


@LANGUAGE_SAMPLES
def test_code_behind_comment_marks_is_caught(indexed: Indexed, language: str, text: str) -> None:
    plain = without_comments(text)
    mark = "#" if language == "python" else "//"
    commented = "".join(f"{mark} {line}\n" for line in plain.splitlines())
    block = f'def f():\n    """\n{plain}\n    """\n' if language == "python" else f"/*\n{plain}\n*/\n"
    for generation in (commented, block, commented.replace(f"{mark} ", f"{mark}{mark}{mark} ")):
        match = indexed.check(generation, language=language).matches[0]
        assert match.document == f"src/{language}"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: "# -*- coding -*-\r" + text.replace("\n", "\r"),
        lambda text: text.replace(" ", "\u200b "),
        lambda text: text.replace("(", "(\u202e").replace(")", "\u2066)"),
        lambda text: "\ufeff" + text.replace("\n", "\x00\n"),
        lambda text: f"x: (\n{text}",
        lambda text: f"def f() -> (\n{text}",
        lambda text: f'x = "\n{text}',
        lambda text: f'"""\n{text}',
        lambda text: f"{text}\n'''",
        lambda text: f"```python\n{text}\n```\n",
        lambda text: f"Sure! Here is the code that you've asked for:\n\n{text}\nI hope that it's what you need.\n",
        lambda text: "".join(f"{number:4} {line}\n" for number, line in enumerate(text.splitlines())),
        lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
        lambda text: "".join(f"+{line}\n" for line in text.splitlines()),
        lambda text: f"{text}# " + "# " * 5000,
        lambda text: f"{text}\nx = '*/5 * * * *'\n",
        lambda text: "\ud800" + text,
        lambda text: "".join(f">>> {line}\n" for line in text.splitlines()),
        lambda text: json.dumps({"code": text}),
        lambda text: "lines = [\n" + "".join(f"    {line!r},\n" for line in text.splitlines()) + "]\n",
        lambda text: "".join(f"' {line}\n" for line in text.splitlines()),
        lambda text: "".join(f'echo "{line}"\n' for line in text.replace('"', "'").splitlines()),
        lambda text: f"const code = `\n{text}`;\nrun(code);\n",
    ],
)
def test_tricks_do_not_hide_a_copy(indexed: Indexed, change: Callable[[str], str]) -> None:
    assert not allows(indexed, change(without_comments(METHOD)))


@pytest.mark.parametrize("language", ["python", "java", "klingon", "", None])
def test_a_wrong_language_does_not_hide_a_copy(indexed: Indexed, language: str | None) -> None:
    assert not allows(indexed, METHOD, language=language)
    assert not allows(indexed, JAVA, language=language)


def test_an_unknown_language_is_guarded_too(indexed: Indexed) -> None:
    text = """\
    (defn settle [accounts rate]
      (let [total (reduce + (map #(Math/abs %) (vals accounts)))]
        (into {} (for [[name value] accounts :when (not= 0 value)]
          (if (neg? value) [name (- value (* rate value))]
            (do (log/info "interest" name (/ value total)) [name (inc value)]))))))
    """
    indexed.add(ACME, "settle.clj", text, "clojure")
    assert indexed.check(text, language="clojure").matches[0].document == "settle.clj"
    assert not allows(indexed, text)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\x00", "\ud800", "#", '"""', "/*", "'", "\\", "x", "\u202e"])
def test_next_to_nothing_passes(indexed: Indexed, text: str) -> None:
    decision = indexed.check(text)
    assert decision.action is Action.ALLOW
    assert decision.checked_tokens <= 1


def test_a_huge_text_is_answered_or_refused(indexed: Indexed) -> None:
    for text in ("x = y + 1\n" * 20_000, "(" * 100_000, "# word " * 20_000, f"{METHOD}\n" * 100):
        try:
            decision = indexed.check(text)
        except RefusalError:
            continue
        assert (decision.action is Action.BLOCK) == ("book" in text)


def test_a_match_at_the_end_of_a_long_text_is_found(indexed: Indexed) -> None:
    rng = random.Random(3)  # noqa: S311 - not for secrets
    filler = "".join(f"v{rng.randrange(99)}.f{rng.randrange(99)}({rng.randrange(99)})\n" for _ in range(3000))
    decision = indexed.check(filler + METHOD)
    assert decision.matches[0].start >= len(filler) - 80
    assert decision.matches[0].end <= len(filler) + len(METHOD)


def test_only_the_tail_of_a_long_prompt_is_joined(indexed: Indexed) -> None:
    lines = METHOD.splitlines(keepends=True)
    far = "".join(lines) + "pass\n" * 4000
    assert allows(indexed, "x = 1\n", prefix=far)
    near = "pass\n" * 4000 + "".join(lines[:8])
    match = indexed.check("".join(lines[8:]), prefix=near).matches[0]
    assert match.start == 0


PROSE = '''"""How the quarterly surcharge of each berth is agreed with the harbour office.

The tariff of a berth is drawn once a quarter from the tide tables, never from the berth's own log,
since captains correct those afterwards. A surcharge that two clerks have signed stands, whatever
the gauge at the outer mole says later; one that a single clerk has signed lapses at the next
spring tide. Reversals are booked against the quarter in which the ship left, not the one in which
the letter came.
"""
'''


@pytest.mark.xfail(strict=True, reason="what comments and docstrings say is not indexed (docs/threat-model.md, Prose)")
def test_what_the_prose_of_private_code_says(indexed: Indexed) -> None:
    indexed.add(ACME, "tariff.py", PROSE + METHOD)
    assert not allows(indexed, PROSE)
