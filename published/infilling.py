"""The table of fill-in-the-middle formats, and which of them a vocabulary has. Knows no engine and no tokenizer.

Fill-in-the-middle is due to Bavarian et al. 2022 (arXiv 2207.14255, section 3). "PSM" is prefix, suffix, middle; "SPM"
suffix first. Models trained on both (StarCoder, CodeGemma, Code Llama) get PSM, which their cards show. Sources:

- starcoder, granite-code: Li et al. 2023 (arXiv 2305.06161, section 5.1), card bigcode/starcoder; files as in the
  training format `<reponame>NAME<filename>PATH` (bigcode/starcoder-playground, formats.md). Granite Code (Mishra et
  al. 2024, arXiv 2405.04324) has StarCoder's vocabulary, so that only its name tells it apart.
- starcoder2: Lozhkov et al. 2024 (arXiv 2402.19173, section 5.1): each file behind `<file_sep>`, the path of the one
  to fill behind `<fim_prefix>`.
- santacoder: Ben Allal et al. 2023 (arXiv 2301.03988), card bigcode/santacoder: hyphens for StarCoder's underscores.
- stable-code: Pinnaparaju et al. 2024 (arXiv 2404.01226), card stabilityai/stable-code-3b: StarCoder's names in a
  vocabulary of GPT-NeoX, whose `<|padding|>` tells it apart. No layout of several files is documented.
- qwen2.5-coder: Hui et al. 2024 (arXiv 2409.12186, section 3), and in QwenLM/Qwen2.5-Coder
  examples/Qwen2.5-Coder-repolevel-fim.py, whose generation also ends at every control token of the family.
- codegemma: arXiv 2406.11409, figure 2 (path above `<|fim_prefix|>`), card google/codegemma-2b, and
  ai.google.dev/gemma/docs/codegemma/prompt-structure. `<|file_separator|>` stands between files.
- granite-4: IBM's prompt guide for Granite 4.0. The vocabulary has `<|filename|>` and `<|reponame|>`, but no layout of
  them is documented, so they only tell the family apart.
- deepseek-coder: Guo et al. 2024 (arXiv 2401.14196, section 3.1), README of deepseek-ai/DeepSeek-Coder: the "hole"
  token stands between prefix and suffix, the "end" token after the suffix; files begin with their path in a comment.
- codellama: Roziere et al. 2023 (arXiv 2308.12950, section 2.3), card codellama/CodeLlama-7b-hf. Sentencepiece names
  begin with U+2581, written as a blank.
- codestral: card mistralai/Codestral-22B-v0.1 and `encode_fim` of mistralai/mistral-common: SPM, and nothing follows
  the prefix. Other files stand in the prefix behind `+++++ PATH` (continuedev/continue, AutocompleteTemplate.ts); the
  vocabulary has no separator of files.

The strings agree with continuedev/continue, TabbyML/registry-tabby and llama.cpp's llama-vocab.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class FileMarks:
    """How a model family marks the files of a repository in a prompt.

    `file` is the control token before the path of each file (or, if it `separates`, between two files) and
    `repository` that before the repository's name, which ends its line if `name_line`. Where there is no such token,
    `heading` is the line above a file, with `{path}` in it, or a comment with the path where it is empty.
    `others_outside`: the other files stand before the prefix token, not after it; `path_outside`: so does the path of
    the file to fill.
    """

    file: str = ""
    repository: str = ""
    heading: str = ""
    separates: bool = False
    name_line: bool = False
    others_outside: bool = False
    path_outside: bool = False


@dataclass(frozen=True, slots=True)
class FillInTheMiddle:
    """The control tokens with which a model family marks prefix, suffix and the place to fill.

    `prefix`, `suffix` and `middle` are names in the model's vocabulary (`middle` is empty where the family has none);
    `spaced` families write a blank where the sentencepiece name has its U+2581 and one more after the prefix token.
    `ends` are further tokens after which nothing of the completion follows; `known_by` tokens that tell a vocabulary
    of the family from one of another with the same three.
    """

    family: str
    prefix: str
    suffix: str
    middle: str
    suffix_first: bool = False
    spaced: bool = False
    ends: tuple[str, ...] = ()
    files: FileMarks = FileMarks()
    known_by: tuple[str, ...] = ()


_STARCODER = FillInTheMiddle(
    "starcoder", "<fim_prefix>", "<fim_suffix>", "<fim_middle>",
    ends=("<|endoftext|>", "<fim_pad>"),
    files=FileMarks(file="<filename>", repository="<reponame>"),
)  # fmt: skip
_PIPED = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")

# Families with tokens in common stand in the order in which they are looked for: the one that asks for more first.
FAMILIES = (
    FillInTheMiddle(
        "stable-code", "<fim_prefix>", "<fim_suffix>", "<fim_middle>",
        ends=("<|endoftext|>", "<fim_pad>"),
        known_by=("<|padding|>",),
    ),
    FillInTheMiddle(
        "starcoder2", "<fim_prefix>", "<fim_suffix>", "<fim_middle>",
        ends=("<|endoftext|>", "<fim_pad>"),
        files=FileMarks(file="<file_sep>", repository="<repo_name>", others_outside=True),
        known_by=("<file_sep>", "<repo_name>"),
    ),
    _STARCODER,
    replace(_STARCODER, family="granite-code"),
    FillInTheMiddle(
        "santacoder", "<fim-prefix>", "<fim-suffix>", "<fim-middle>",
        ends=("<|endoftext|>", "<fim-pad>"),
    ),
    FillInTheMiddle(
        "codegemma", *_PIPED,
        ends=("<eos>", "<end_of_turn>"),
        files=FileMarks(file="<|file_separator|>", separates=True, others_outside=True, path_outside=True),
        known_by=("<|file_separator|>",),
    ),
    FillInTheMiddle(
        "granite-4", *_PIPED,
        ends=("<|end_of_text|>", "<|fim_pad|>", "<|filename|>", "<|reponame|>"),
        known_by=("<|filename|>", "<|reponame|>"),
    ),
    FillInTheMiddle(
        "qwen2.5-coder", *_PIPED,
        ends=("<|endoftext|>", "<|im_end|>", "<|fim_pad|>"),
        files=FileMarks(
            file="<|file_sep|>", repository="<|repo_name|>", name_line=True, others_outside=True, path_outside=True
        ),
    ),
    FillInTheMiddle(
        "deepseek-coder", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>",  # noqa: RUF001 - its names
        ends=("<｜end▁of▁sentence｜>", "<|EOT|>"),  # noqa: RUF001 - as above
    ),
    FillInTheMiddle("codellama", "▁<PRE>", "▁<SUF>", "▁<MID>", spaced=True, ends=("▁<EOT>", "</s>")),
    FillInTheMiddle(
        "codestral", "[PREFIX]", "[SUFFIX]", "", suffix_first=True,
        ends=("</s>",),
        files=FileMarks(heading="+++++ {path}"),
    ),
)  # fmt: skip


def tokens_of(family: FillInTheMiddle) -> tuple[str, ...]:
    """The names of all control tokens that the family writes or is known by, each once."""
    marks = (family.files.file, family.files.repository)
    names = (family.prefix, family.suffix, family.middle, *marks, *family.known_by)
    return tuple(dict.fromkeys(filter(None, names)))


def ends_of(family: FillInTheMiddle) -> tuple[str, ...]:
    """The names of the tokens after which nothing of the completion follows: ends of text, marks of a file."""
    return tuple(dict.fromkeys((*family.ends, *tokens_of(family))))


# Tokens after which nothing of the completion follows, whichever the family: ends of text, of a turn, of a file. A
# vocabulary may have several: the packaged SmolLM2 ends a text with <|endoftext|> (0), though its configuration names
# <|im_end|> (2).
END_TOKENS = tuple(
    dict.fromkeys(
        (
            "<|endoftext|>", "<|im_end|>", "<|end_of_text|>", "<|eot_id|>", "</s>", "<eos>",
            *(name for family in FAMILIES for name in ends_of(family)),
        )
    )
)  # fmt: skip


def family_in(has_token: Callable[[str], bool]) -> FillInTheMiddle | None:
    """The first family all of whose tokens the vocabulary has; `has_token` answers for a token's name."""
    return next((without_missing(family, has_token) for family in FAMILIES if _fits(family, has_token)), None)


def _fits(family: FillInTheMiddle, has_token: Callable[[str], bool]) -> bool:
    return all(map(has_token, filter(None, (family.prefix, family.suffix, family.middle, *family.known_by))))


def without_missing(family: FillInTheMiddle, has_token: Callable[[str], bool]) -> FillInTheMiddle:
    """The family with plain headings for files where the vocabulary lacks its marks: fine-tuned models may."""
    marks = family.files
    if marks.file and not has_token(marks.file):
        marks = FileMarks()
    elif marks.repository and not has_token(marks.repository):
        marks = replace(marks, repository="")
    return replace(family, files=marks)
