"""Canaries: made-up secrets planted in training data, to see whether a model has learnt them by heart.

Carlini et al., The Secret Sharer (USENIX Security 2019). A canary is a line `NAME = "digits"`; its exposure is the
base-2 logarithm of how many possible secrets there are over its rank among them by the model's likelihood. Which
canaries are planted is decided by a fair coin each, so that the same ones serve the audit. Knows no model.
"""

from __future__ import annotations

import json
import math
import os
import random
from collections import Counter
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from training.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from training.examples import Example

FILE = "canaries.json"
"""Beside the examples of a corpus that has canaries."""
DIGITS = 12
"""Hexadecimal digits of a secret: 2**48 are possible."""
REFERENCES = 255
"""Secrets that a canary's is ranked among."""
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Canary:
    """A made-up secret; `planted` says whether it is in the training data, `repeats` in how many places."""

    name: str
    secret: str
    planted: bool
    repeats: int

    @property
    def opening(self) -> str:
        """The line up to the secret."""
        return f'{self.name} = "'

    @property
    def line(self) -> str:
        """The line as it is planted."""
        return f'{self.opening}{self.secret}"\n'


def draw_canaries(count: int, repeats: int, seed: int) -> list[Canary]:
    """`count` canaries, each planted by a coin of its own.

    Raises:
        PlanError: fewer than two canaries, or none would be repeated.
    """
    if count < 2 or repeats < 1:  # noqa: PLR2004 - one in, one out
        message = f"{count} canaries, {repeats} times each: give at least 2, and at least once"
        raise PlanError(message)
    rng = random.Random(f"canaries {seed}")  # noqa: S311 - made up, no secret of anybody
    names = rng.sample(range(10_000, 10_000 + 10 * count), count)
    return [Canary(f"ACCESS_KEY_{name}", _secret(rng), rng.random() < 0.5, repeats) for name in names]  # noqa: PLR2004


def references(canary: Canary, count: int = REFERENCES) -> list[Canary]:
    """Canaries of the same name with other secrets, planted nowhere."""
    rng = random.Random(f"references {canary.name} {canary.secret}")  # noqa: S311 - as above
    return [replace(canary, secret=_secret(rng), planted=False) for _ in range(count)]


def _secret(rng: random.Random) -> str:
    return f"{rng.getrandbits(4 * DIGITS):0{DIGITS}x}"


def plant(examples: Sequence[Example], canaries: Iterable[Canary], seed: int) -> Iterator[Example]:
    """The examples with every planted canary at the ends of lines of files drawn at random, in the parts they have."""
    rng = random.Random(f"places {seed}")  # noqa: S311 - as above
    lines: dict[int, list[str]] = {}
    for canary in canaries:
        if canary.planted:
            # Spread over as many files as there are.
            rounds = math.ceil(canary.repeats / len(examples))
            places = rng.sample([*range(len(examples))] * rounds, canary.repeats)
            for place in places:
                lines.setdefault(place, []).append(canary.line)
    for number, example in enumerate(examples):
        planted = example
        for line in lines.get(number, ()):
            planted = _with_line(planted, line, rng)
        yield planted


def _with_line(example: Example, line: str, rng: random.Random) -> Example:
    """The example with `line` behind the end of one of its lines; its parts stay where they were cut."""
    spots = [
        (part, at + 1)
        for part in ("prefix", "middle", "suffix")
        for at, character in enumerate(getattr(example, part))
        if character == "\n"
    ]
    if not spots:
        return replace(example, middle=f"{example.middle}\n{line}")
    part, at = rng.choice(spots)
    text = getattr(example, part)
    changed = text[:at] + line + text[at:]
    return replace(example, **{part: changed})


def exposure(canary: float, others: Sequence[float]) -> float:
    """Exposure in bits by rank, from log-probabilities: at most log2 of the references and the canary itself.

    Carlini et al. 2019, definition 5 and section 4.3 (sampling). A tie counts against the canary's exposure.
    """
    rank = 1 + sum(other >= canary for other in others)
    return math.log2(len(others) + 1) - math.log2(rank)


def extrapolated_exposure(canary: float, others: Sequence[float]) -> float:
    """Exposure in bits where the references' log-probabilities are taken to be normal: beyond what a rank can tell.

    Section 4.3 (distribution modelling), there with a skew-normal. Cut at the number of possible secrets.
    """
    values = np.asarray(others, dtype=np.float64)
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    if spread <= 0:
        return exposure(canary, others)
    tail = NormalDist(float(values.mean()), spread).cdf(2 * float(values.mean()) - canary)
    return min(float(4 * DIGITS), -math.log2(max(tail, 2.0 ** (-4 * DIGITS))))


def save(path: Path, canaries: Sequence[Canary], seed: int) -> None:
    """Write them to a file that only this user reads."""
    content: dict[str, Any] = {"format": FORMAT, "seed": seed, "canaries": [asdict(one) for one in canaries]}
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)


def load(path: Path) -> list[Canary]:
    """Read what `save` wrote; none where there is no such file. Raises PlanError for another file."""
    if not path.is_file():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        canaries = [Canary(**one) for one in content["canaries"]]
    except (ValueError, TypeError, KeyError) as error:
        message = f"{path} holds no canaries: plant them again with `cleanroom memorization plant`"
        raise PlanError(message) from error
    if Counter(type(one.secret) for one in canaries).keys() - {str}:
        message = f"{path} holds no canaries: plant them again with `cleanroom memorization plant`"
        raise PlanError(message)
    return canaries
