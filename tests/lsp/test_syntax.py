from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp.syntax import SYNTAXES, in_comment_or_string, in_word, opens_block, word_before

# Programs with places in them: ^ is in code, @ in a comment or string.
PLACES = {
    "python": [
        "^x = ^1  # hash @and more@",
        "x = ^'it is@' ^+ \"@\"^\n^",
        '"""doc @\n\n@ "quoted" @"""^\n^',
        "x = 'open @\n^y = 1",
        r"x = 'a\'@b'^",
        "x = '''a ' @ b'''^",
        "^f(^'@', ^\"it's @\")^ # '@\n^",
    ],
    "c": ["int x^; // @\n^ /* @ \n @ */ ^ char c = '@'^;", 'puts("a // @ \\" @");^', "^a / b^ / c^"],
    "javascript": ["x = `a @\n @`^; /* @ */ ^", "// it's @\n^let s = 'it\\'s @'^;"],
    "go": ["x := `raw @ \n @`^ // @"],
    "rust": ["fn f<'a>(x: &'a str) ^{ let c = '\\''^; let d = '\"'^; \"@\"^ // @\n^"],
    "shellscript": ["echo $#^ ${#x}^ '@'^ # @\n^"],
    "sql": ["SELECT 'it''@s' ^, x -- @\n^/* @ */^"],
    "lua": ["x = [[a @ \n @]]^ --[[ @ \n @ ]] ^ -- @\n^"],
    "haskell": ["f' x = ^x -- @\n^{- @ \n @ -}^"],
    "html": ["<p>it's ^<!-- @ \n @ -->^"],
    "php": ["$x = 1; # @\n^ // @\n^ /* @ */^"],
    "klingon": ['"^ # ^ // ^'],
}


@pytest.mark.parametrize("language", PLACES)
def test_comments_and_strings_are_told_from_code(language: str) -> None:
    for marked in PLACES[language]:
        text, places = "", []
        for sign in marked:
            if sign in "^@":
                places.append((len(text), sign == "@"))
            else:
                text += sign
        for place, inside in places:
            assert in_comment_or_string(text, place, language) is inside, (text, place)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["'", '"', "#", "//", "/*", "*/", "\\", "\n", "\r\n", "a", " ", '"""', "`"])).map("".join)
)
def test_every_text_has_an_answer_in_every_language(text: str) -> None:
    for language in SYNTAXES:
        assert in_comment_or_string(text, len(text), language) in {True, False}
        # What comes behind a place says nothing of it.
        assert in_comment_or_string(text + "x", len(text), language) is in_comment_or_string(text, len(text), language)


@pytest.mark.parametrize(
    ("line", "opens"),
    [
        ("", True),
        ("    ", True),
        ("def f(x):", True),
        ("if (x) {", True),
        ("foo(", True),
        ("x => ", True),
        ("if x then", True),
        ("x = ", False),
        ("return", False),
        ("x = y", False),
    ],
)
def test_where_more_than_a_line_is_wanted(line: str, *, opens: bool) -> None:
    assert opens_block(line) is opens


def test_the_middle_of_a_word() -> None:
    assert in_word("foo", "bar")
    assert in_word("x_", "1)")
    assert in_word("\u00e4", "\u00f6")
    assert not in_word("foo", " bar")
    assert not in_word("foo(", "bar")
    assert not in_word("", "bar")
    assert not in_word("foo", "")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", ""),
        ("return ", ""),
        ("x = ret", "ret"),
        ("a.b_2", "b_2"),
        ("ret", "ret"),
        ("y\n", ""),
        ("\u00e4\u00f6", "\u00e4\u00f6"),
    ],
)
def test_the_word_before(text: str, word: str) -> None:
    assert word_before(text) == word
