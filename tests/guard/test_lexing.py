"""Single rules of the lexer: lifetimes, operators, strings over several lines, marks inside comments."""

from __future__ import annotations

import pytest
from samples.streams import exact

from guard.tokens import Syntax, lex


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("Box<dyn Any + 'static>", "rust", ["Box", "<", "dyn", "Any", "+", "'", ">"]),
        ("T: 'a + 'static, U: 'b >", "rust", ["T", ":", "'", "+", "'", ",", "U", ":", "'", ">"]),
        ("x = 'static';", "rust", ["x", "=", '"static', ";"]),
        ("f(...a) !== b", "javascript", ["f", "(", "...", "a", ")", "!==", "b"]),
        ("a === b", "javascript", ["a", "===", "b"]),
        ("key: one, two = 3", "python", ["key", ":", "one", ",", "two", "=", "3"]),
        ('x = f"""one\ntwo"""', "python", ["x", "=", '"one\ntwo']),
        ('r"""About this."""\nx', "python", ["x"]),
        ('f(\n"""a value"""\n)', "python", ["f", "(", '"a value', ")"]),
        ('x = """it\'s \\"""', "python", ["x", "=", "\"it's \\"]),
    ],
)
def test_a_rule_gives_these_words(text: str, language: str, words: list[str]) -> None:
    assert exact(lex(text, language, fragment=False).code) == words


def test_marks_of_comments_inside_comments_are_none_of_their_words() -> None:
    lexed = lex("int x; // was /* once */ total(a, b)\n", "c")
    assert exact(lexed.code) == ["int", "x", ";"]
    assert exact(lexed.comments)[:2] == ["was", "once"]
    assert "/*" not in exact(lexed.comments)
    assert exact(lexed.comments)[-6:] == ["total", "(", "a", ",", "b", ")"]


@pytest.mark.parametrize("text", ["@app.route\n", "  @cached\nvalue\n", "@property\r\nx\r\n"])
def test_a_decorator_is_a_sign_of_the_hash_languages(text: str) -> None:
    assert lex(text).syntax is Syntax.HASH
    assert lex(text + "x => y").syntax is Syntax.HASH
    assert lex("@\nx => y\n").syntax is Syntax.SLASH


def test_a_mark_inside_a_string_of_the_other_mark_ends_nothing() -> None:
    text = "text = '''one \"\"\" two'''\nreturn text[1:2]\n"
    assert exact(lex(text, "python").code) == exact(lex(text, "python", fragment=False).code)
    assert exact(lex(text, "python").code)[2] == '"one """ two'


@pytest.mark.parametrize(
    ("text", "language", "tokens"),
    [
        ("x = 'abc\\", "python", 4),
        ('y = "abc\\', "rust", 4),
        ("x: 'a", "rust", 3),
        ("x: &'a", "rust", 4),
        ("x'", "rust", 1),
        ("a /* b\n/* c", "javascript", 3),
    ],
)
def test_a_text_may_end_within_a_literal(text: str, language: str, tokens: int) -> None:
    assert len(lex(text, language).code) == tokens


def test_a_word_of_other_letters_is_no_word_of_the_language() -> None:
    found = lex("déf é\nif x:\n    pass\n", None)
    assert (found.syntax, exact(found.code)[:2]) == (Syntax.HASH, ["déf", "é"])
