from __future__ import annotations

import pytest
from samples.code import PYTHON, without_comments
from samples.streams import code, columns, exact, share

from guard.tokens import lex

HUGE = 30_000
HOSTILE = {
    "one word": "x" * HUGE,
    "brackets": "(" * 100_000,
    "one line of a megabyte": "name = 10 + " * 90_000,
    "closed brackets": "()[]{}" * (HUGE // 6),
    "backslashes": "\\" * HUGE,
    "blanks": " " * HUGE,
    "empty lines": "\n" * HUGE,
    "returns": "\r" * HUGE,
    "NUL": "\x00" * HUGE,
    "lone surrogates": "\ud800\udfff" * (HUGE // 2),
    "right to left": "\u202ex\u2066y" * (HUGE // 4),
    "single quotes": "'" * HUGE,
    "double quotes": '"' * HUGE,
    "ticks": "`" * HUGE,
    "unterminated string": 'x = "' + "a" * HUGE,
    "unterminated docstring": '"""' + "word " * (HUGE // 5),
    "unterminated comment": "/*" * (HUGE // 2),
    "stars": "/" + "*" * HUGE,
    "escaped docstrings": '"""\n' + '\\"""\n' * (4 * HUGE // 5) + "\\",
    "escaped ticks": "`\n" + "\\`\n" * (4 * HUGE // 3) + "\\",
    "escaped quotes": '"' + '\\"' * (HUGE // 2),
    "comments in comments": "# " * (4 * HUGE // 2),
    "slashes in slashes": "// " * (4 * HUGE // 3),
    "apostrophes in a comment": "# '\\" * (HUGE // 4),
    "lifetimes": "&'a" * (HUGE // 3),
    "endless hint": "x: (" + "y, " * (HUGE // 3),
    "hints": "x: y\n" * (HUGE // 5),
    "open definitions": "def f(x: " * (HUGE // 9),
    "prose": "once upon a time " * (HUGE // 17) + '"""',
    "prose before brackets": ("once upon time" + " " * 100 + "(") * (HUGE // 115) + '"""',
    "dots": "x." * (HUGE // 2),
}


@pytest.mark.parametrize(("number", "text"), [*enumerate(HOSTILE.values())], ids=HOSTILE)
def test_hostile_text_is_read_to_its_end(number: int, text: str) -> None:
    # In time that is linear: where it is not, this does not return. Each text meets both scanners, or the choice.
    for language in (("go", None), ("python", "go"), ("python",))[number % 3]:
        lexed = lex(text, language)
        for stream in (lexed.code, lexed.comments):
            assert len(columns(stream)) == 1
            assert not len(stream) or stream.ends[-1] <= len(text)


@pytest.mark.parametrize(
    "name", ["unterminated string", "unterminated docstring", "unterminated comment", "endless hint"]
)
def test_what_does_not_end_hides_nothing_behind_it(name: str) -> None:
    opening = {"unterminated string": 'x = "', "unterminated docstring": "x = '''", "endless hint": "x: ("}.get(
        name, "/*"
    )
    language = "c" if opening == "/*" else "python"
    lexed = lex(f"{opening}\n{without_comments(PYTHON)}", language)
    assert share(exact(lexed.code), exact(code(without_comments(PYTHON), language))) > 0.9
