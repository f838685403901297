"""The table of fill-in-the-middle formats, and which of them a vocabulary has. Knows no engine and renders nothing.

Fill-in-the-middle is due to Bavarian et al. 2022 (arXiv 2207.14255, section 3). Sources of the formats:

- starcoder: StarCoder (Li et al. 2023, arXiv 2305.06161, section 5.1; model card bigcode/starcoder), StarCoder2
  (Lozhkov et al. 2024, arXiv 2402.19173), Granite Code (Mishra et al. 2024, arXiv 2405.04324; card
  ibm-granite/granite-8b-code-base).
- santacoder: Ben Allal et al. 2023, arXiv 2301.03988; card bigcode/santacoder (hyphens where StarCoder has
  underscores).
- qwen2.5-coder: Hui et al. 2024, arXiv 2409.12186, section 3; card Qwen/Qwen2.5-Coder-7B. The same strings serve
  CodeGemma (arXiv 2406.11409, card google/codegemma-2b) and Granite 4.
- deepseek-coder: Guo et al. 2024, arXiv 2401.14196, section 3.1; card deepseek-ai/deepseek-coder-6.7b-base. The
  "hole" token stands between prefix and suffix, the "end" token after the suffix.
- codellama: Roziere et al. 2023, arXiv 2308.12950, section 2.3; card codellama/CodeLlama-7b-hf. Sentencepiece names
  begin with U+2581, written as a blank.
- codestral: card mistralai/Codestral-22B-v0.1 and the FIM encoding of mistral-common: the suffix comes first and
  nothing follows the prefix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.engines.protocol import FillInTheMiddle
from service.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

FAMILIES = (
    FillInTheMiddle("starcoder", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    FillInTheMiddle("santacoder", "<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    FillInTheMiddle("qwen2.5-coder", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    FillInTheMiddle("deepseek-coder", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # noqa: RUF001 - its names
    FillInTheMiddle("codellama", "▁<PRE>", "▁<SUF>", "▁<MID>", spaced=True),
    FillInTheMiddle("codestral", "[PREFIX]", "[SUFFIX]", "", suffix_first=True),
)

# Tokens after which nothing of the completion follows: ends of text, of a turn, of a file. A vocabulary may have
# several: the packaged SmolLM2 ends a text with <|endoftext|> (0), though its configuration names <|im_end|> (2).
END_TOKENS = (
    "<|endoftext|>",
    "<|im_end|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|EOT|>",
    "</s>",
    "<eos>",
    "▁<EOT>",
    "<｜end▁of▁sentence｜>",  # noqa: RUF001 - DeepSeek's name
    "<file_sep>",
    "<|file_sep|>",
    "<repo_name>",
    "<|repo_name|>",
    "<|file_separator|>",
)


def family_in(has_token: Callable[[str], bool]) -> FillInTheMiddle | None:
    """The first family all of whose tokens the vocabulary has; `has_token` answers for a token's name."""
    return next((family for family in FAMILIES if all(map(has_token, tokens_of(family)))), None)


def tokens_of(family: FillInTheMiddle) -> tuple[str, ...]:
    """The names of the family's control tokens, in no particular order."""
    return tuple(filter(None, (family.prefix, family.suffix, family.middle)))


def family_named(name: str) -> FillInTheMiddle:
    """The family called `name`. Raises SetupError with the names that there are."""
    for family in FAMILIES:
        if family.family == name:
            return family
    names = ", ".join(family.family for family in FAMILIES)
    message = f"{name!r} is no fill-in-the-middle family: use one of {names}"
    raise SetupError(message)
