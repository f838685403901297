from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from published.infilling import END_TOKENS, FAMILIES, FileMarks, ends_of, family_in, tokens_of
from service.engines.families import family_named, family_of_vocabulary
from service.errors import SetupError

if TYPE_CHECKING:
    from published.infilling import FillInTheMiddle

# Granite Code has StarCoder's vocabulary and form: only a name tells them apart.
SAME_AS = {"granite-code": "starcoder"}
THREE_OF_STARCODER = {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"}
THREE_OF_QWEN = {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
def test_a_family_is_found_by_its_tokens(family: FillInTheMiddle) -> None:
    vocabulary = {"def", "return", *tokens_of(family), *family.ends}
    found = family_in(vocabulary.__contains__)
    assert found is not None
    assert found.family == SAME_AS.get(family.family, family.family)
    assert found.files == family.files
    assert family_named(family.family) == family
    assert family_of_vocabulary(family.family, vocabulary.__contains__) == family


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
@pytest.mark.parametrize("part", ["prefix", "suffix", "middle"])
def test_a_family_with_a_token_missing_is_not_there(family: FillInTheMiddle, part: str) -> None:
    token = getattr(family, part)
    vocabulary = set(tokens_of(family)) - {token}
    if token:
        assert family_in(vocabulary.__contains__) is None
        with pytest.raises(SetupError, match="so it is no"):
            family_of_vocabulary(family.family, vocabulary.__contains__)


# From the models' tokenizer_config.json: what stands beside the three tokens that families share.
@pytest.mark.parametrize(
    ("name", "vocabulary"),
    [
        ("starcoder", THREE_OF_STARCODER | {"<|endoftext|>", "<fim_pad>", "<filename>", "<reponame>", "<gh_stars>"}),
        ("starcoder2", THREE_OF_STARCODER | {"<|endoftext|>", "<fim_pad>", "<file_sep>", "<repo_name>"}),
        ("stable-code", THREE_OF_STARCODER | {"<|endoftext|>", "<|padding|>", "<filename>", "<reponame>"}),
        ("qwen2.5-coder", THREE_OF_QWEN | {"<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|im_end|>"}),
        ("codegemma", THREE_OF_QWEN | {"<|file_separator|>", "<eos>", "<start_of_turn>"}),
        ("granite-4", THREE_OF_QWEN | {"<|fim_pad|>", "<|filename|>", "<|reponame|>", "<|end_of_text|>"}),
    ],
)
def test_families_with_the_same_tokens_are_told_apart(name: str, vocabulary: set[str]) -> None:
    found = family_in(vocabulary.__contains__)
    assert found is not None
    assert found.family == name


def test_a_vocabulary_without_marks_of_files_has_plain_headings() -> None:
    found = family_in(THREE_OF_QWEN.__contains__)
    assert found is not None
    assert (found.family, found.files) == ("qwen2.5-coder", FileMarks())
    found = family_in((THREE_OF_QWEN | {"<|file_sep|>"}).__contains__)
    assert found is not None
    assert (found.files.file, found.files.repository) == ("<|file_sep|>", "")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
def test_a_completion_ends_at_every_control_token_of_the_family(family: FillInTheMiddle) -> None:
    assert family.ends
    assert {*tokens_of(family), *family.ends} == set(ends_of(family)) <= set(END_TOKENS)


def test_a_name_wins_over_the_vocabulary_and_may_be_none() -> None:
    assert family_of_vocabulary("none", THREE_OF_QWEN.__contains__) is None
    assert family_named("none") is None
    named = family_of_vocabulary("granite-code", (THREE_OF_STARCODER | {"<filename>", "<reponame>"}).__contains__)
    assert named is not None
    assert named.family == "granite-code"


def test_an_unknown_family_is_refused_with_those_there_are() -> None:
    with pytest.raises(SetupError, match=r"'starcoder3' is no .* starcoder2, starcoder, .* none"):
        family_named("starcoder3")
    with pytest.raises(SetupError, match="'starcoder3' is no"):
        family_of_vocabulary("starcoder3", THREE_OF_STARCODER.__contains__)


def test_a_family_that_the_vocabulary_lacks_is_refused_with_what_is_missing() -> None:
    with pytest.raises(SetupError, match=r"has no <\|fim_prefix\|> and no .* 'codegemma'.*FILL_IN_THE_MIDDLE unset"):
        family_of_vocabulary("codegemma", THREE_OF_STARCODER.__contains__)
