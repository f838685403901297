"""What of a query a check reads: how much of the prompt, in which language, beside which ordinary code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from samples.code import SAMPLES, UNRELATED
from samples.indexed import ACME, KEY, Indexed, allows, in_every_language

from guard.check import Guard, GuardQuery, _names, _split, _tail
from guard.digest import Digester
from guard.hits import Hits
from guard.index import Index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from guard.digest import Probe
    from guard.hits import DocumentId
    from guard.store import Store

LINES = SAMPLES["c"].splitlines(keepends=True)
PIECE = "".join(LINES[13:15])
"""So little of a document that the first look does not tell it."""


@pytest.fixture
def indexed(embedded_store: Store, home: Path) -> Indexed:
    return in_every_language(embedded_store, home)


class Reading(Digester):
    """A digester that keeps what it was given to read."""

    texts: tuple[str, ...] = ()

    def probes(self, text: str, language: str | None) -> tuple[Probe, ...]:
        self.texts += (text,)
        return super().probes(text, language)


class Cursory(Digester):
    """A digester whose closer look is no closer."""

    def closer(self, probe: Probe) -> Probe:
        return probe


class Asked(Index):
    """An index that counts what names it is asked for."""

    names = 0

    def lookup(self, names: np.ndarray[tuple[int], np.dtype[np.uint64]], records: Sequence[DocumentId] = ()) -> Hits:
        self.names += len(names)
        return super().lookup(names, records)


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("", ""),
        ("a = 1\n", "a = 1\n"),
        ("a\nb = c\n", "a\nb = c\n"),
        ("xa\nb = c\n", "b = c\n"),
        ("a = 1\nb = 2\nc = 3\n", "c = 3\n"),
        ("x\ny\nz\nab = c\n", "ab = c\n"),
        ("abc\ndefghi", "defghi"),
        ("abcdefghijkl", "efghijkl"),
        ("a\nbcdefghijkl", "efghijkl"),
    ],
)
def test_of_a_long_prompt_the_last_whole_lines_are_read(indexed: Indexed, prompt: str, read: str) -> None:
    """As many as eight characters hold; of a single line that is longer, its end."""
    digester = Reading(KEY)
    Guard(indexed.index, digester, prefix_characters=8).check(GuardQuery("total = 0\n", "gamma", prompt))
    assert digester.texts == (f"{read}total = 0\n",)


def test_tokens_of_the_prompt_are_not_counted(indexed: Indexed) -> None:
    for prompt in ("", "total", "rate = 1\ntotal"):
        assert indexed.check(" = 1", prefix=prompt, language="python").checked_tokens == 2


def test_a_text_is_read_in_the_language_that_was_told(indexed: Indexed) -> None:
    assert indexed.check("x = 7 // 2", language="python").checked_tokens == len(["x", "=", "7", "//", "2"])
    assert indexed.check("x = 7 // 2", language="java").checked_tokens == len(["x", "=", "7"])


@pytest.mark.parametrize("copy", [SAMPLES["c"], PIECE], ids=["clear", "found by a closer look"])
def test_what_is_ordinary_in_another_language_is_evidence_in_the_one_told(indexed: Indexed, copy: str) -> None:
    """Without a language, whatever is ordinary in any language of that syntax tells little."""

    def evidence(language: str | None) -> int:
        (match,) = indexed.check(copy, language=language).matches
        return int(re.findall(r"(\d+) bits of evidence", match.reason)[0])

    assert evidence("c") > evidence(None)
    indexed.guard = Guard(indexed.index, Cursory(KEY))
    assert allows(indexed, copy, language="c") == (copy == PIECE)


def test_a_text_without_tokens_asks_for_nothing(indexed: Indexed) -> None:
    index = Asked(indexed.store, KEY, indexed.home)
    decision = Guard(index, indexed.digester).check(GuardQuery("\n", "gamma"))
    assert (index.names, decision.checked_tokens) == (0, 0)
    Guard(index, indexed.digester).check(GuardQuery(UNRELATED, "gamma"))
    assert index.names > 0


def test_code_and_comments_have_each_their_own_hits(indexed: Indexed) -> None:
    """Whatever the index holds of one stream, bands as well, is not taken for a hit of the other."""
    remarks = "".join(f"# {line}\n" for line in UNRELATED.splitlines())
    code, comments = map(indexed.digester.closer, indexed.digester.probes(f"{UNRELATED}\n{remarks}", "python"))
    counts = [len(probe.fingerprints) + probe.fragments.bands.size for probe in (code, comments)]
    assert code.fragments.bands.size
    names = _names((code, comments))
    hits = Hits(np.arange(len(names)), names, version=1, tokens=10)
    shares = list(_split((code, comments), hits))
    assert [share.which.tolist() for share in shares] == [list(range(count)) for count in counts]
    assert np.concatenate([share.postings for share in shares]).tolist() == names.tolist()
    assert {share.tokens for share in shares} == {10}


def test_a_copy_in_comments_is_found_behind_code(indexed: Indexed) -> None:
    indexed.add(ACME, "tide.c", PIECE * 3, "c")
    remarks = "".join(f"// {line}" for line in LINES)
    match = indexed.check(f"int before(void) {{ return 1; }}\n{remarks}", language="c").matches[0]
    assert match.document == "src/c"
    assert match.start > 0


@pytest.mark.parametrize(
    ("prefix", "tail"),
    [
        ("ab = cd\n", "ab = cd\n"),
        ("x\nab = cd\n", "ab = cd\n"),
        ("xyz = 1\nb = 2\n", "b = 2\n"),
        # Whole lines would leave less than half of what fits.
        ("abcdefghijklm\n", "ghijklm\n"),
        ("abcdefghijklmn", "ghijklmn"),
        ("abcdefghijkl\ny\n", "hijkl\ny\n"),
    ],
)
def test_of_a_long_prompt_the_last_lines_are_read_or_its_last_characters(prefix: str, tail: str) -> None:
    assert _tail(prefix, 8) == tail
