"""Which parts of a text have names of their own, and whose they are."""

from __future__ import annotations

import random
import string
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.code import SAMPLES
from samples.indexed import ACME, COMMONS, KEY, Indexed, allows

from guard.check import GuardQuery
from guard.folding import folded
from guard.literals import LITERALS_A_DOCUMENT, PAIRS, SIZE, LiteralNames
from guard.names import Names
from guard.secret import IndexKey
from guard.types import Action, MatchKind, Owner
from guard.watch import EARLY

NAMES = LiteralNames(KEY, Names(KEY))
SECRET = "3fa9c1e07b5d48e2a6f0913c7de4b852"
LINE = f'API_KEY = "{SECRET}"\n'
HEXADECIMAL = st.integers(0, 2**128 - 1).map("{:032x}".format)


def test_every_run_of_a_key_has_a_name() -> None:
    found = NAMES.indexed(LINE)
    assert len(found) == len(SECRET) - SIZE + 1
    assert LINE[found.starts[0] : found.ends[0]] == SECRET[:SIZE]


@pytest.mark.parametrize(
    "literal",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "9f86d081884c7d659a2feaa0c55ad015",
        "7392018465529104",
    ],
)
def test_what_looks_random(literal: str) -> None:
    for text in (f"key = '{literal}'", f"KEY={literal}\n", f'{{"key": "{literal}"}}', f"key: {literal}\n"):
        assert len(NAMES.indexed(text)) >= 3


@pytest.mark.parametrize(
    "literal",
    [
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "0123456789abcdef0123456789abcdef",
        "00000000-0000-0000-0000-000000000000",
        "deadbeefdeadbeefdeadbeef",
        "gpt-4-turbo-2024-04-09-preview",
        "genz_malik_1980_f_5_exact",
        "getElementsByTagNameNS2",
        "0.30000000000000004",
        "9223372036854775807",
        "340282366920938463463374607431768211456",
        "3fa9c1e07b5d48e",
    ],
)
def test_what_does_not(literal: str) -> None:
    assert len(NAMES.indexed(f"value = '{literal}'")) == 0


@pytest.mark.parametrize("language", SAMPLES)
def test_ordinary_code_asks_for_little_and_leaves_nothing(language: str) -> None:
    text = SAMPLES[language]
    assert len(NAMES.indexed(text)) == 0
    assert len(NAMES.asked(text)) <= len(text) / 30


@given(HEXADECIMAL)
def test_what_is_indexed_is_asked_for(literal: str) -> None:
    text = f'x = "{literal}"'
    assert set(NAMES.indexed(text).names.tolist()) <= set(NAMES.asked(text).names.tolist())


@given(HEXADECIMAL, st.integers(0, 60), st.integers(0, 60))
def test_only_what_touches_the_span_is_asked_for(literal: str, start: int, end: int) -> None:
    text = f'x = "{literal}" + y * 2'
    some, every = NAMES.asked(text, start, end), NAMES.asked(text)
    touching = (every.ends > start) & (every.starts < end)
    assert some.names.tolist() == every.names[touching].tolist()


def test_the_rarity_of_pairs_is_that_of_code() -> None:
    """Counted again on the library of the Python that runs this, whichever version it is."""
    counts = np.zeros(PAIRS.shape)
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:100]:
        letters = folded(path.read_text(encoding="utf-8", errors="replace")).letters.astype(int)
        np.add.at(counts, (letters[:-1], letters[1:]), 1)
    bits = np.minimum(9, -np.log2((counts + 1) / (counts.sum(axis=1, keepdims=True) + 36)))
    often = counts > 500
    assert often.sum() > 200
    assert (np.abs(PAIRS[often] - bits[often]) < 2).mean() > 0.95


def test_random_literals_are_found_and_words_are_not() -> None:
    draw = random.Random(3)  # noqa: S311 - no secrets
    for alphabet, least in (("0123456789abcdef", 0.97), (string.ascii_letters + string.digits, 0.9)):
        literals = ["".join(draw.choices(alphabet, k=32)) for _ in range(300)]
        assert np.mean([len(NAMES.indexed(f"'{literal}'")) > 5 for literal in literals]) >= least


def test_a_document_has_only_so_many() -> None:
    draw = random.Random(4)  # noqa: S311 - no secrets
    data = "\n".join(f'"{draw.randbytes(16).hex()}",' for _ in range(400))
    assert len(NAMES.indexed(data)) == LITERALS_A_DOCUMENT
    blob = draw.randbytes(4_000).hex()
    assert 1_500 < len(NAMES.indexed(f'"{blob}"')) < 4_000


def test_another_key_gives_other_names() -> None:
    other = IndexKey(b"o" * 32)
    theirs = LiteralNames(other, Names(other)).indexed(LINE)
    assert not set(theirs.names.tolist()) & set(NAMES.indexed(LINE).names.tolist())


def test_a_key_of_others_is_blocked_to_the_character(indexed: Indexed) -> None:
    indexed.add(ACME, "settings.py", f"import os\n{LINE}DEBUG = os.name\n")
    text = f'import os\n\nTOKEN = "{SECRET.upper()}"\n'
    decision = indexed.check(text)
    (match,) = decision.matches
    assert decision.action is Action.BLOCK
    assert (match.kind, match.owner, match.document) == (MatchKind.EXACT, ACME, "settings.py")
    assert text[match.start : match.end] == SECRET.upper()
    assert SECRET not in match.reason


def test_two_keys_of_one_document_are_two_leaks(indexed: Indexed) -> None:
    other = "c4b7d9e2f1a05638e7b19d4c2f6a8035"
    indexed.add(ACME, "both.py", f'{LINE}OTHER = "{other}"\n')
    text = f'{LINE}print("hello, world, and so on")\nOTHER = "{other}"\n'
    found = [match for match in indexed.check(text).matches if match.action is Action.BLOCK]
    assert {text[match.start : match.end] for match in found} >= {SECRET, other}


def test_one_letter_that_is_added_is_enough(indexed: Indexed) -> None:
    indexed.add(ACME, "settings.py", LINE)
    for known in range(SIZE - 1, len(SECRET)):
        assert not allows(indexed, SECRET[known], prefix=f'API_KEY = "{SECRET[:known]}')
    assert allows(indexed, '"\n', prefix=f'API_KEY = "{SECRET}')


def test_the_rest_behind_a_gap_is_seen(indexed: Indexed) -> None:
    indexed.add(ACME, "settings.py", LINE)
    query = GuardQuery(SECRET[:4], "gamma", 'API_KEY = "', suffix=f'{SECRET[4:]}"\n')
    assert indexed.guard.check(query).action is Action.BLOCK


@pytest.mark.parametrize("owner", [Owner.organization("gamma"), COMMONS, Owner.licensed("lib", "MIT")])
def test_who_may_have_it_gets_it(indexed: Indexed, owner: Owner) -> None:
    indexed.add(ACME, "settings.py", LINE)
    assert not allows(indexed, LINE)
    indexed.add(owner, "theirs.py", LINE)
    assert allows(indexed, LINE)


def test_what_is_taken_out_is_forgotten(indexed: Indexed) -> None:
    indexed.add(ACME, "settings.py", LINE)
    indexed.index.remove(ACME, "settings.py")
    assert allows(indexed, LINE)


def test_a_stream_lets_no_letter_of_it_out(embedded: Indexed) -> None:
    embedded.add(ACME, "settings.py", LINE)
    watch = embedded.guard.watch(GuardQuery("", "gamma", "import os\n"), EARLY)
    text = f'x = os.name\nTOKEN = "{SECRET}"\nprint(x)\n' + "y = x.strip()\n" * 20
    safe = suspects = 0
    for end in range(len(text) + 1):
        hold = watch.look(text[:end])
        safe, suspects = max(safe, hold.safe), suspects + hold.suspect
    assert text[:safe] == 'x = os.name\nTOKEN = "'
    assert suspects
