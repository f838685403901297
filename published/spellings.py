"""Finds what is spelled like a control token in a text, and cuts it apart. Knows no tokenizer.

Tokenizers recognize added tokens wherever a text has their names. What must reach the model as mere words is cut inside
each such name, and the pieces tokenized apart.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SENTENCEPIECE_BLANK = "▁"
BLANKS = f" \t\n\r{SENTENCEPIECE_BLANK}"


def control_names(added: Iterable[str]) -> frozenset[str]:
    """Those of a vocabulary's added tokens that may steer a model: neither runs of blanks nor single characters."""
    return frozenset(name for name in added if len(name.strip(BLANKS)) > 1)


def cut(text: str, written: re.Pattern[str]) -> list[str]:
    """`text` in pieces without any of the names that `written` finds: each is cut behind its first character."""
    places = [found.end() for found in written.finditer(text)]
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True) if start < end]


def spellings(names: Iterable[str]) -> re.Pattern[str]:
    """Finds the first character of each of `names` in a text, overlapping ones too.

    Sentencepiece writes blanks as a sign and one more before a text, so that forms without it count as well.
    """
    rests: dict[str, set[str]] = defaultdict(set)
    for name in names:
        for form in (name, name.replace(SENTENCEPIECE_BLANK, " "), name.lstrip(SENTENCEPIECE_BLANK)):
            if len(form) > 1:
                rests[form[0]].add(form[1:])
    # By first character: a pattern that is searched for by few characters is fast, however many names there are.
    branches = (f"{re.escape(first)}(?={'|'.join(map(re.escape, sorted(ends)))})" for first, ends in rests.items())
    return re.compile("|".join(branches) or r"(?!)")
