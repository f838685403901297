"""Golden renderings, as the models' cards and papers write them: sources in published/infilling.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from published.infilling import FAMILIES
from service.engines.families import family_named
from service.engines.protocol import EnginePrompt, Segment
from service.errors import InvalidRequestError
from service.rendering import FOLLOWING_LINES, fill_in_the_middle, prefix_only, render
from service.surroundings import ContextFile, Surroundings, path_comment

if TYPE_CHECKING:
    from published.infilling import FillInTheMiddle

PREFIX = "def add(a, b):\n    return "
SUFFIX = "\n\nprint(add(1, 2))\n"

GOLDEN = {
    "starcoder": f"<fim_prefix>{PREFIX}<fim_suffix>{SUFFIX}<fim_middle>",
    "granite-code": f"<fim_prefix>{PREFIX}<fim_suffix>{SUFFIX}<fim_middle>",
    "starcoder2": f"<fim_prefix>{PREFIX}<fim_suffix>{SUFFIX}<fim_middle>",
    "stable-code": f"<fim_prefix>{PREFIX}<fim_suffix>{SUFFIX}<fim_middle>",
    "santacoder": f"<fim-prefix>{PREFIX}<fim-suffix>{SUFFIX}<fim-middle>",
    "qwen2.5-coder": f"<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>",
    "codegemma": f"<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>",
    "granite-4": f"<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>",
    "deepseek-coder": f"<｜fim▁begin｜>{PREFIX}<｜fim▁hole｜>{SUFFIX}<｜fim▁end｜>",  # noqa: RUF001 - its names
    "codellama": f"<PRE> {PREFIX} <SUF>{SUFFIX} <MID>",
    "codestral": f"[SUFFIX]{SUFFIX}[PREFIX]{PREFIX}",
}

AROUND = Surroundings("pkg/sums.py", "acme/sums", (ContextFile("pkg/a.py", "A = 1\n"), ContextFile("b.go", "var b")))
# Comments above the files, where a family has no marks for them.
COMMENTED = f"# pkg/a.py\nA = 1\n\n// b.go\nvar b\n\n# pkg/sums.py\n{PREFIX}"
STARCODER_FILES = (
    f"<reponame>acme/sums<filename>pkg/a.py\nA = 1\n<filename>b.go\nvar b\n<filename>pkg/sums.py\n{PREFIX}"
)

GOLDEN_FILES = {
    "starcoder": f"<fim_prefix>{STARCODER_FILES}<fim_suffix>{SUFFIX}<fim_middle>",
    "granite-code": f"<fim_prefix>{STARCODER_FILES}<fim_suffix>{SUFFIX}<fim_middle>",
    "starcoder2": "<repo_name>acme/sums<file_sep>pkg/a.py\nA = 1\n<file_sep>b.go\nvar b\n<file_sep>"
    f"<fim_prefix>pkg/sums.py\n{PREFIX}<fim_suffix>{SUFFIX}<fim_middle>",
    "stable-code": f"<fim_prefix>{COMMENTED}<fim_suffix>{SUFFIX}<fim_middle>",
    "santacoder": f"<fim-prefix>{COMMENTED}<fim-suffix>{SUFFIX}<fim-middle>",
    "qwen2.5-coder": "<|repo_name|>acme/sums\n<|file_sep|>pkg/a.py\nA = 1\n<|file_sep|>b.go\nvar b\n"
    f"<|file_sep|>pkg/sums.py\n<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>",
    "codegemma": "pkg/a.py\nA = 1\n<|file_separator|>b.go\nvar b\n<|file_separator|>pkg/sums.py\n"
    f"<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>",
    "granite-4": f"<|fim_prefix|>{COMMENTED}<|fim_suffix|>{SUFFIX}<|fim_middle|>",
    "deepseek-coder": f"<｜fim▁begin｜>{COMMENTED}<｜fim▁hole｜>{SUFFIX}<｜fim▁end｜>",  # noqa: RUF001 - its names
    "codellama": f"<PRE> {COMMENTED} <SUF>{SUFFIX} <MID>",
    "codestral": f"[SUFFIX]{SUFFIX}[PREFIX]+++++ pkg/a.py\nA = 1\n\n+++++ b.go\nvar b\n\n+++++ pkg/sums.py\n{PREFIX}",
}


def an_engine(family: FillInTheMiddle | None = None, *, native_suffix: bool = False) -> Any:  # noqa: ANN401 - no engine
    return SimpleNamespace(fill_in_the_middle=family, native_suffix=native_suffix)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
def test_a_family_is_rendered_as_its_card_says(family: FillInTheMiddle) -> None:
    prompt = render(an_engine(family), PREFIX, SUFFIX)
    assert prompt.text == GOLDEN[family.family]
    assert prompt.suffix is None


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
def test_files_stand_where_the_family_was_trained_to_see_them(family: FillInTheMiddle) -> None:
    assert render(an_engine(family), PREFIX, SUFFIX, AROUND).text == GOLDEN_FILES[family.family]


def test_every_family_has_golden_renderings() -> None:
    assert {family.family for family in FAMILIES} == set(GOLDEN) == set(GOLDEN_FILES)


def test_a_path_alone_is_told_too() -> None:
    around = Surroundings("sums.py")
    written = {
        family.family: "".join(segment.text for segment in fill_in_the_middle(family, "a", "b", around))
        for family in FAMILIES
    }
    assert written["qwen2.5-coder"] == "<|file_sep|>sums.py\n<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    assert written["starcoder2"] == "<file_sep><fim_prefix>sums.py\na<fim_suffix>b<fim_middle>"
    assert written["codegemma"] == "sums.py\n<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    assert written["codestral"] == "[SUFFIX]b[PREFIX]+++++ sums.py\na"


NOT_OURS = st.text(alphabet="<|>fimprefixsuddle_ \n", max_size=30) | st.sampled_from(
    [token for text in GOLDEN_FILES.values() for token in text.split()]
)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
@given(prefix=NOT_OURS, suffix=NOT_OURS, other=NOT_OURS)
def test_control_tokens_are_told_from_the_callers_words(
    family: FillInTheMiddle, prefix: str, suffix: str, other: str
) -> None:
    """Whatever the caller writes is in segments without a token, and the tokens are the same as ever."""
    around = Surroundings("a.py", other, (ContextFile("b.py", other),))
    segments = fill_in_the_middle(family, prefix, suffix, around)
    usual = fill_in_the_middle(family, "p", "s", Surroundings("a.py", "r" * bool(other), (ContextFile("b.py", "t"),)))
    assert [segment.token for segment in segments] == [segment.token for segment in usual]
    assert Segment(prefix, None) in segments
    assert Segment(suffix, None) in segments


def test_sentencepiece_names_are_kept_beside_what_is_written() -> None:
    family = family_named("codellama")
    assert family is not None
    assert fill_in_the_middle(family, "a", "b")[0] == Segment("<PRE> ", "▁<PRE>")


def test_a_server_with_a_suffix_of_its_own_gets_it() -> None:
    engine = an_engine(FAMILIES[0], native_suffix=True)
    assert render(engine, PREFIX, SUFFIX) == EnginePrompt.plain(PREFIX, SUFFIX)
    assert render(engine, PREFIX, SUFFIX, AROUND).text == COMMENTED


def test_without_a_suffix_the_prompt_goes_as_it_is() -> None:
    assert render(an_engine(FAMILIES[0]), PREFIX, None) == EnginePrompt.plain(PREFIX)
    assert render(an_engine(), PREFIX, None) == EnginePrompt.plain(PREFIX)


def test_a_model_without_fill_in_the_middle_sees_what_follows_before_the_prefix() -> None:
    suffix = "a + b)  # the rest of the line\n\n\ndef twice(n):\n    return add(n, n)\n\n"
    following = "def twice(n):\n    return add(n, n)\n\n"
    assert render(an_engine(), PREFIX, suffix).text == following + PREFIX
    assert render(an_engine(), PREFIX, suffix, Surroundings("m.py")).text == f"{following}# m.py\n{PREFIX}"
    files = "# pkg/a.py\nA = 1\n\n// b.go\nvar b\n\n"
    assert render(an_engine(), PREFIX, suffix, AROUND).text == f"{files}{following}# pkg/sums.py\n{PREFIX}"


@pytest.mark.parametrize("suffix", ["", ")", ")\n", ")\n\n  \n"])
def test_a_suffix_with_no_line_of_its_own_adds_nothing(suffix: str) -> None:
    assert "".join(segment.text for segment in prefix_only(PREFIX, suffix)) == PREFIX


def test_what_follows_is_bounded_so_that_it_does_not_bury_the_prefix() -> None:
    suffix = "".join(f"\nx{number} = {number}" for number in range(1, 100))
    following = prefix_only(PREFIX, suffix)[0].text
    assert following.startswith("x1 = 1\n")
    assert following.rstrip().count("\n") == FOLLOWING_LINES - 1


def test_the_cache_key_goes_with_the_prompt() -> None:
    assert render(an_engine(FAMILIES[0]), PREFIX, SUFFIX, cache_key="acme").cache_key == "acme"
    assert render(an_engine(FAMILIES[0]), PREFIX, None, cache_key="acme").cache_key == "acme"
    assert render(an_engine(), PREFIX, SUFFIX, cache_key="acme").cache_key == "acme"


def test_other_files_need_a_path_of_this_one() -> None:
    with pytest.raises(InvalidRequestError, match=r"context\.path") as caught:
        Surroundings(files=(ContextFile("a.py", "x"),))
    assert caught.value.param == "context.path"


@pytest.mark.parametrize(
    ("path", "comment"),
    [("a.py", "# a.py"), ("a.rs", "// a.rs"), ("q.sql", "-- q.sql"), ("notes.txt", "# notes.txt"), ("{x}", "# {x}")],
)
def test_a_path_is_written_as_a_comment_of_its_language(path: str, comment: str) -> None:
    assert path_comment(path) == comment
