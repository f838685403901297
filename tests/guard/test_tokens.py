from __future__ import annotations

import enum
import inspect
import json
import random
import re
import shlex
import statistics
import textwrap
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from samples.code import GO, JAVA, JAVASCRIPT, PYTHON, RUST, SAMPLES, reindented, without_comments
from samples.code import renamed as with_other_names
from samples.streams import code, columns, exact, renamed, share, spans, text_in

from guard.tokens import Syntax, lex, syntax_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


LANGUAGES = st.sampled_from([None, "python", "ruby", "go", "rust", "javascript", "c", "klingon"])
# What languages are made of, in any order: far more text that goes wrong than characters at random would give.
MARKS = (
    "\"|'|`|\"\"\"|'''|/*|*/|//|#|\\|\n|\r\n|\r|\t|\x00|\ufeff|\u202e|\ud800|(|)|[|]|{|}|,|;|=|:|->|.|*|&|<|>|0x1f|3.25|"
    "def|class|return|alpha|betas|gamma_ray|\u03b4\u03ad\u03bb\u03c4\u03b1|'a|r\"|f'| |  "
)
PIECES = st.lists(st.sampled_from(MARKS.split("|")), max_size=60).map("".join)
LANGUAGE_SAMPLES = pytest.mark.parametrize(("language", "text"), SAMPLES.items(), ids=SAMPLES)


@given(text=PIECES | st.text(max_size=200), language=LANGUAGES, fragment=st.booleans())
@example(text='"""it\'s', language=None, fragment=True)
@example(text="'''\\", language="python", fragment=True)
@example(text="`\\", language="go", fragment=True)
def test_spans_are_exact_and_in_order(*, text: str, language: str | None, fragment: bool) -> None:
    lexed = lex(text, language, fragment=fragment)
    for stream in (lexed.code, lexed.comments):
        assert len(columns(stream)) == 1
        end = 0
        assert len(text_in(stream)) == len(text)
        values = zip(stream.value_starts.tolist(), stream.value_ends.tolist(), strict=True)
        for word, (start, stop), (first, last) in zip(exact(stream), spans(stream), values, strict=True):
            assert end <= start < stop <= len(text) or stream is lexed.comments
            assert start <= first <= last <= stop
            end = stop
            if word.startswith('"'):
                assert word[1:] in text[start:stop].replace("\r\n", "\n").replace("\r", "\n")
            else:
                assert word == text[start:stop] or (word == "'" and text[start] == "'")
    if not fragment:
        assert not len(lexed.comments)


@given(st.lists(st.sampled_from([*(MARKS.replace("->|", "").replace(":|", "").split("|"))]), max_size=60), LANGUAGES)
def test_no_word_of_a_fragment_is_lost(pieces: list[str], language: str | None) -> None:
    # Hints are left out (no colons here), the prefix of a string is layout, and a lifetime's name does not count.
    text = " ".join(pieces)
    lexed = lex(text, language)
    seen = [False] * len(text)
    for stream in (lexed.code, lexed.comments):
        for start, end in spans(stream):
            seen[start:end] = [True] * (end - start)
    for word in re.finditer(r"\w{3,}", text):
        assert all(seen[word.start() : word.end()]), word.group()


@LANGUAGE_SAMPLES
def test_a_sample_is_known_by_its_looks(language: str, text: str) -> None:
    assert syntax_of(None, text) is syntax_of(language, text)
    assert syntax_of("klingon", text) is syntax_of(language, text)
    assert syntax_of(language, text) is (Syntax.HASH if language == "python" else Syntax.SLASH)


@LANGUAGE_SAMPLES
@pytest.mark.parametrize("disguise", [reindented, without_comments], ids=["layout", "comments"])
def test_layout_and_comments_leave_no_trace(language: str, text: str, disguise: object) -> None:
    assert callable(disguise)
    assert exact(code(disguise(text), language)) == exact(code(text, language))


@LANGUAGE_SAMPLES
def test_renaming_leaves_the_renamed_stream_as_it_is(language: str, text: str) -> None:
    stream, other = code(text, language), code(with_other_names(text), language)
    assert other.symbols.tolist() == stream.symbols.tolist()
    assert exact(other) != exact(stream)
    assert set(exact(stream)) & set(exact(other)) >= {"(", ")", "return"}


@LANGUAGE_SAMPLES
@settings(max_examples=12)
@given(seed=st.integers(0, 2**32))
def test_any_white_space_will_do(language: str, text: str, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    stream = code(text, language)
    ends = [0, *stream.ends.tolist()]
    gaps = [text[end:start] for end, start in zip(ends, [*stream.starts.tolist(), len(text)], strict=True)]
    again = []
    for gap, token in zip(gaps, [*(text[start:end] for start, end in spans(stream)), ""], strict=True):
        blank = gap.isspace()
        if not blank:
            again += [gap, token]  # nothing, or a comment
        elif "\n" in gap:
            again += [rng.choice([gap, "\n" + gap, "  \t" + gap, gap.replace("\n", "\r\n")]), token]
        else:
            again += [rng.choice([" ", "\t", "  "]), token]
    assert exact(code("".join(again), language)) == exact(stream)


@LANGUAGE_SAMPLES
@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_endings_are_layout(language: str, text: str, ending: str) -> None:
    whole = code(text, language, fragment=False)
    other = code(text.replace("\n", ending), language, fragment=False)
    assert other.symbols.tolist() == whole.symbols.tolist()
    assert set(exact(other)) == set(exact(whole))


def test_the_continuation_of_a_line_is_layout() -> None:
    text = "assert x, \\\n    'a\\\nb'\n"
    for ending in ("\r\n", "\r"):
        assert exact(code(text.replace("\n", ending))) == exact(code(text))
    assert renamed(code("assert x, 'q'")) == renamed(code(text))


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("f('x')", 'f("x")', "python"),
        ("f('x')", 'f("""x""")', "python"),
        ("f('x')", "f(`x`)", "javascript"),
        ("f(r'x')", "f(b'x')", "python"),
        ("f(a, b)", "f(\n    a,\n    b,\n)", "python"),
        ("[1, 2]", "[1, 2, ]", "javascript"),
        ("x = {1: 2}", "x = {1: 2,}", "python"),
        ("x\u200b = 1", "x = 1", "python"),
        ("\ufeffx = 1", "x = 1", "go"),
        ("x\x00=\u202e1", "x = 1", "c"),
    ],
)
def test_quotes_trailing_commas_and_invisible_signs_are_layout(one: str, other: str, language: str) -> None:
    assert exact(code(one, language)) == exact(code(other, language))


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("x = 'a' if y else \"b\"", "python", ["x", "=", '"a', "if", "y", "else", '"b']),
        ("a->b += 0x1F; // note", "c", ["a", "->", "b", "+=", "0x1F", ";"]),
        ("fn f<'a>(x: &'a str) -> char { 'x' }", "rust", None),
        ("let s = `one ${two}`;", "javascript", ["let", "s", "=", '"one ${two}', ";"]),
        ("x = 1.5e3 ** 2", "python", ["x", "=", "1.5e3", "**", "2"]),
        ("don't = 1\nx = 2", "python", ["don", '"t = 1', "x", "=", "2"]),
        ("a, b = b, a,", "python", ["a", ",", "b", "=", "b", ",", "a", ","]),
    ],
)
def test_tokens(text: str, language: str, words: list[str] | None) -> None:
    stream = code(text, language)
    assert exact(stream) == (words or ["fn", *"f<'>(x:&'", "str", ")", "->", "char", "{", '"x', "}"])


def multiline(text: str) -> list[tuple[int, int]]:
    """Where the comments and docstrings of a sample that run over lines begin and end."""
    found = re.finditer(r"\"\"\"[\s\S]*?\"\"\"|/\*[\s\S]*?\*/|`[\s\S]*?`", text)
    return [match.span() for match in found if "\n" in match.group()]


@pytest.mark.parametrize(
    ("language", "text"), [("python", PYTHON), ("javascript", JAVASCRIPT), ("java", JAVA), ("go", GO)]
)
def test_a_fragment_cut_inside_a_string_or_comment_keeps_the_rest(language: str, text: str) -> None:
    whole = code(text, language, fragment=False)
    spans = multiline(text)
    assert spans
    for start, end in spans:
        behind = [word for word, at in zip(exact(whole), whole.starts, strict=True) if at >= end]
        before = [word for word, at in zip(exact(whole), whole.ends, strict=True) if at <= start]
        for cut in range(start + 3, end - 3):
            assert exact(code(text[cut:], language))[-len(behind) :] == behind
            assert exact(code(text[:cut], language))[: len(before)] == before


LIBRARY = [textwrap, statistics, enum, shlex]


@pytest.mark.parametrize("module", LIBRARY, ids=lambda module: module.__name__)
def test_a_real_file_is_read_alike_whole_and_in_pieces(module: ModuleType) -> None:
    text = inspect.getsource(module)
    whole = code(text, fragment=False)
    assert exact(code(text)) == exact(code(text, None)) == exact(whole)
    lines = [0, *(match.end() for match in re.finditer("\n", text))]
    kept = wanted = 0
    for first in range(0, len(lines) - 60, 30):
        start, end = lines[first], lines[first + 60]
        tokens = {at - start for at in whole.starts.tolist() if start <= at < end}
        kept += len(tokens & set(code(text[start:end]).starts.tolist()))
        wanted += len(tokens)
    assert kept > 0.98 * wanted


@LANGUAGE_SAMPLES
def test_what_stands_in_comments_is_read_as_code(language: str, text: str) -> None:
    plain = without_comments(text)
    mark = "#" if language == "python" else "//"
    words = exact(code(plain, language))
    for commented in (
        "".join(f"{mark} {line}\n" for line in plain.splitlines()),
        "".join(f"{mark}{mark} {line}\n" for line in plain.splitlines()),
    ):
        lexed = lex(commented, language)
        assert not len(lexed.code)
        assert share(exact(lexed.comments), words) > 0.9
    # A docstring that looks like code is taken for code, to which the text between two docstrings looks the same.
    block = lex(f'"""\n{plain}\n"""\n' if language == "python" else f"/*\n{plain}\n*/", language)
    assert share(exact(block.code if language == "python" else block.comments), words) > 0.9


def test_a_block_comments_stars_are_not_of_its_words() -> None:
    text = "/*\n * for (int i = 0; i < n; i++) {\n *   *p = a * b;\n * }\n */\nint x;"
    lexed = lex(text, "c")
    assert exact(lexed.code) == ["int", "x", ";"]
    assert exact(lexed.comments) == exact(code("for (int i = 0; i < n; i++) {\n *p = a * b;\n }", "c"))


@pytest.mark.parametrize(
    "quoted",
    [
        lambda text: json.dumps({"code": text}),
        lambda text: "lines = [\n" + "".join(f"    {line!r},\n" for line in text.splitlines()) + "]\n",
        lambda text: "".join("' " + line + "\n" for line in text.splitlines()),
        lambda text: "".join(f'print(f"{line}")\n' for line in text.replace('"', "'").splitlines()),
    ],
    ids=["json", "list", "open quotes", "print"],
)
@pytest.mark.parametrize("language", ["python", "javascript", None])
def test_what_stands_in_strings_is_read_as_code(quoted: Callable[[str], str], language: str | None) -> None:
    plain = without_comments(PYTHON)
    lexed = lex(quoted(plain), language)
    assert max(share(renamed(stream), renamed(code(plain))) for stream in (lexed.code, lexed.comments)) > 0.4


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (JAVASCRIPT + 'cron("*/5 * * * *", run);\n', "javascript"),
        (JAVASCRIPT + "name = name.replace(/\\s*/g, '');\n", "javascript"),
        (RUST + 'glob("src/**/*.rs");\n', "rust"),
    ],
)
def test_the_end_of_a_comment_inside_a_string_hides_no_code(text: str, language: str) -> None:
    text = without_comments(text)
    assert share(exact(code(text, language)), exact(code(text, language, fragment=False))) > 0.9
