from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from published.infilling import END_TOKENS, FAMILIES, FillInTheMiddle, tokens_of
from service.engines.families import family_named
from service.engines.one_string import TURNS, broken_up, one_string, stops_of, written
from service.engines.protocol import EnginePrompt, Segment
from service.rendering import fill_in_the_middle
from service.surroundings import ContextFile, Surroundings

ALL = sorted({written(token) for token in (*END_TOKENS, *TURNS, *(t for f in FAMILIES for t in tokens_of(f)))})
# A caller's text: control tokens whole, halves of them that could be completed by what follows, and code.
HALVES = [token[:at] for token in ALL for at in (1, len(token) // 2, len(token) - 1)]
HOSTILE = st.lists(
    st.sampled_from([*ALL, *HALVES, *(token[1:] for token in ALL), "x = 1\n", " ", "<|anything|>"]), max_size=12
).map("".join)


def controls_in(text: str, names: list[str]) -> list[str]:
    """What a tokenizer that recognizes control tokens anywhere finds: the longest at each place."""
    longest_first = sorted(names, key=len, reverse=True)
    return re.findall("|".join(map(re.escape, longest_first)), text)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
@given(prefix=HOSTILE, suffix=HOSTILE, other=HOSTILE)
def test_the_only_control_tokens_are_our_own(family: FillInTheMiddle, prefix: str, suffix: str, other: str) -> None:
    around = Surroundings(path="a.py", repository=other, files=(ContextFile("b.py", other),))
    prompt = EnginePrompt(fill_in_the_middle(family, prefix, suffix, around))
    names = [written(token) for token in (*tokens_of(family), *family.ends, *TURNS)]
    own = [written(segment.token) for segment in prompt.segments if segment.token]
    assert controls_in(one_string(prompt, family), names) == own


@given(HOSTILE)
def test_where_the_family_is_unknown_no_known_token_is_left(text: str) -> None:
    assert controls_in(broken_up(text, None), ALL) == []
    assert one_string(EnginePrompt.plain(text), None) == broken_up(text, None)


@given(st.lists(HOSTILE, max_size=4))
def test_a_token_in_pieces_is_none_when_joined(pieces: list[str]) -> None:
    prompt = EnginePrompt(tuple(Segment(piece) for piece in pieces))
    assert controls_in(one_string(prompt, None), ALL) == []


@given(HOSTILE)
def test_nothing_but_blanks_is_added(text: str) -> None:
    assert broken_up(text, None).replace(" ", "") == text.replace(" ", "")


def test_code_that_has_none_stays_as_it_is() -> None:
    code = "if a < b and c | d > e:\n    x: list[int] = [INSTANCE]  # <html> </html> a <|> b\n"
    assert broken_up(code, None) == code


def test_placeholders_in_documentation_are_tokens_of_some_families_only() -> None:
    usage = "usage: tool <filename>"
    assert broken_up(usage, family_named("qwen2.5-coder")) == usage
    assert broken_up(usage, family_named("starcoder")) == "usage: tool < filename>"
    assert broken_up(usage, None) == "usage: tool < filename>"


def test_a_server_is_told_where_a_filled_gap_ends() -> None:
    family = family_named("codegemma")
    assert family is not None
    filled = EnginePrompt(fill_in_the_middle(family, "a", "b"))
    assert {"<|file_separator|>", "<eos>", "<|fim_prefix|>"} <= set(stops_of(filled, family))
    assert stops_of(EnginePrompt.plain("a"), family) == ()
    assert stops_of(EnginePrompt.plain("a"), None) == ()
    assert "<EOT>" in stops_of(filled, family_named("codellama"))
