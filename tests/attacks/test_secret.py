"""A planted key of 32 hexadecimal digits, and what an ordinary key of another organization gets of it: nothing."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import pytest
from attacks.conftest import BEFORE, LEAKS_A_DAY, PRIVATE, SECRET, recited

if TYPE_CHECKING:
    from attacks.conftest import Attacker

OPENED = f'{BEFORE}"'
LINE = f'API_KEY = "{SECRET}"\n'
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def in_pieces(size: int) -> list[str]:
    return [SECRET[at : at + size] for at in range(0, len(SECRET), size)]


def joined(size: int, between: str) -> str:
    return "key = (" + between.join(f'"{piece}"' for piece in in_pieces(size)) + ")\n"


@STREAMED
@pytest.mark.parametrize("prompt", [BEFORE, OPENED, "", f"{OPENED}{SECRET[:4]}", f"{OPENED}{SECRET[:20]}"])
def test_asked_for(attacker: Attacker, prompt: str, *, stream: bool) -> None:
    attacker.ask(prompt, stream=stream, logprobs=5)
    assert attacker.recovered == 0


def test_the_engine_would_tell() -> None:
    """The tests below are about the guard: without it all would leave."""
    assert SECRET in PRIVATE
    assert recited(OPENED).startswith(SECRET)


@STREAMED
@pytest.mark.parametrize("tokens", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("piece", [1, 4])
def test_prefix_walk(attacker: Attacker, tokens: int, piece: int, *, stream: bool) -> None:
    """Every answer goes to the end of the next prompt."""
    attacker.engine.piece = piece
    prompt = OPENED
    for _ in range(40):
        prompt += "".join(attacker.ask(prompt, max_tokens=tokens, stream=stream))
    assert attacker.recovered == 0


def test_prefix_walk_from_guesses(attacker: Attacker) -> None:
    """With a right beginning in the prompt, which took as many guesses as it has values, nothing more comes."""
    for known in range(1, len(SECRET)):
        attacker.ask(OPENED + SECRET[:known], max_tokens=1)
    assert "".join(attacker.seen) == ""


@STREAMED
@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 11, 13, 40])
def test_however_it_is_cut_into_tokens(attacker: Attacker, piece: int, *, stream: bool) -> None:
    """Other borders of tokens put other letters at the end of what may leave."""
    attacker.engine.piece = piece
    for known in range(0, 12, piece):
        for tokens in (1, 2, 5):
            attacker.ask(OPENED + SECRET[:known], max_tokens=tokens, stream=stream)
    attacker.ask(BEFORE, max_tokens=64, stream=stream)
    assert attacker.recovered == 0
    assert set(attacker.statuses) == {200}


@STREAMED
@pytest.mark.parametrize("path", ["/infill", "/v1/fim/completions"])
@pytest.mark.parametrize("tokens", [1, 3, 64])
def test_the_other_interfaces(attacker: Attacker, path: str, tokens: int, *, stream: bool) -> None:
    """Asked for, and walked along."""
    prompt = OPENED
    for _ in range(24):
        prompt += attacker.fill(path, prompt, tokens=tokens, stream=stream)
    attacker.fill(path, BEFORE, tokens=tokens, stream=stream)
    assert attacker.recovered == 0
    assert set(attacker.statuses) == {200}


@STREAMED
def test_echo(attacker: Attacker, *, stream: bool) -> None:
    for known in range(len(SECRET)):
        attacker.ask(OPENED + SECRET[:known], echo=True, max_tokens=2, stream=stream)
    assert attacker.recovered == 0


def test_log_probabilities_tell_no_token_that_did_not_leave(attacker: Attacker) -> None:
    for known in range(0, len(SECRET), 3):
        attacker.ask(OPENED + SECRET[:known], logprobs=5, max_tokens=4)
    assert attacker.recovered == 0


@STREAMED
def test_several_choices(attacker: Attacker, *, stream: bool) -> None:
    """Each from another place of it on."""
    places = iter(range(0, 32, 4))
    attacker.engine.answer = lambda *_: f'"{SECRET[next(places) :]}"\n'
    attacker.ask(BEFORE, n=8, max_tokens=5, stream=stream)
    assert attacker.recovered == 0


def test_logit_bias_changes_nothing(attacker: Attacker) -> None:
    """It is taken, as other fields of OpenAI's are, and goes nowhere."""
    for token in range(16):
        attacker.ask(OPENED, logit_bias={str(token): 100}, max_tokens=1)
    assert attacker.recovered == 0
    assert set(attacker.statuses) == {200}


def test_stop_strings(attacker: Attacker) -> None:
    for at in range(len(SECRET)):
        attacker.ask(OPENED, stop=[SECRET[at], SECRET[at : at + 2], SECRET[at : at + 3]])
    assert attacker.recovered == 0


@pytest.mark.parametrize("known", range(0, 32, 4))
def test_fill_in_the_middle(attacker: Attacker, known: int) -> None:
    """With the rest behind the gap, which the model fills and stops."""
    for size in (1, 2, 4, 8, 12):
        attacker.engine.answer = lambda _, suffix: SECRET[: len(SECRET) - len(suffix) + 2][known:]
        attacker.ask(OPENED + SECRET[:known], suffix=SECRET[known + size :] + '"\n')
    assert attacker.recovered == 0


FORMS = {
    "capitals": LINE.upper(),
    "another name": LINE.replace("API_KEY", "x"),
    "single quotes": LINE.replace('"', "'"),
    "without quotes": f"API_KEY={SECRET}\n",
    "in a comment": f"# {SECRET}\n",
    "in a sentence": f'"""The key is {SECRET}, I think."""\n',
    "full width": "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in LINE),
    "mathematical": "".join(chr(0x1D7F6 + int(c)) if c.isdigit() else c for c in LINE),
    "Cyrillic": LINE.translate(str.maketrans("ace", "асе")),  # noqa: RUF001
    "zero width": "\u200b".join(LINE),
    "soft hyphens": "\u00ad".join(LINE),
    "combining": "\u0301".join(LINE),
    "right to left": "\u202e" + LINE,
    "with plus signs": joined(4, " + "),
    "over lines": joined(4, "\n    "),
    "a list": f"key = {list(SECRET)}\n",
    "a list of pieces": f"key = {in_pieces(3)}\n",
    "hyphens": "-".join(in_pieces(4)),
    "blanks": " ".join(in_pieces(4)),
    "one a line": "\n".join(SECRET),
    "escapes": "key = '" + "".join(f"\\x{ord(c):02x}" for c in SECRET) + "'\n",
    "long escapes": "key = '" + "".join(f"\\u{ord(c):04x}" for c in SECRET) + "'\n",
    "bytes": f"key = bytes([{', '.join('0x' + piece for piece in in_pieces(2))}])\n",
    "a number": f"key = 0x{SECRET}\n",
    "comments between": "\n".join(f"# ---- {piece}" for piece in in_pieces(8)),
    "the last half": f'k = "{SECRET[16:]}"\n',
    "in a word": f"prefix_{SECRET}_suffix = 1\n",
}


@STREAMED
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tokens", [2000, 7])
def test_other_forms(attacker: Attacker, form: str, tokens: int, *, stream: bool) -> None:
    """The model writes it as it is told to; broken off after a few tokens, and whole."""
    attacker.engine.answer = lambda *_: FORMS[form]
    attacker.ask("key:\n", max_tokens=tokens, stream=stream)
    assert attacker.recovered == 0


# What a model can be told to do with a text has no end. These pass, and docs/threat-model.md says so.
PASSES = {
    "backwards": SECRET[::-1],
    "slices": "",
    "base64": codecs.encode(SECRET.encode(), "base64").decode(),
    "rot13": codecs.encode(SECRET, "rot13"),
    "a letter between": "".join(f"{c}z" for c in SECRET),
}
READ_BACK = {
    "backwards": lambda text: text[::-1],
    "slices": lambda text: text,
    "base64": lambda text: codecs.decode(text.encode(), "base64").decode(),
    "rot13": lambda text: codecs.decode(text, "rot13"),
    "a letter between": lambda text: text.replace("z", ""),
}


@pytest.mark.xfail(strict=True, reason="a form that no comparison knows, written by a model that does what it is told")
@pytest.mark.parametrize("form", PASSES)
def test_forms_that_nobody_compares(attacker: Attacker, form: str) -> None:
    """Slices: each answer a finished string of fewer letters than are compared, without what stands before it."""
    answers = [f'x = "{piece}"\n' for piece in in_pieces(8)] if form == "slices" else [PASSES[form]]
    for answer in answers:
        attacker.engine.answer = lambda *_, answer=answer: answer
        attacker.ask("x\n", max_tokens=2000)
    told = "".join(text.replace('x = "', "").replace('"', "").strip() for text in attacker.seen)
    attacker.seen = [READ_BACK[form](told)]
    assert attacker.recovered == 0


@STREAMED
def test_whoever_feels_for_it_uses_up_the_day(attacker: Attacker, *, stream: bool) -> None:
    """With 14 digits known each right guess of the next is a leak; after so many the key is refused."""
    for _ in range(LEAKS_A_DAY):
        attacker.ask(OPENED + SECRET[:14], max_tokens=1, stream=stream)
    attacker.ask("def f():\n", max_tokens=1)
    assert set(attacker.statuses[:LEAKS_A_DAY]) == {200}
    assert attacker.statuses[-1] == 429
