"""How much of the training data can be drawn out of a model by its beginnings.

Knows no model: it is given what one thinks of the true continuation, token by token.

k-extractable (Carlini et al., Quantifying Memorization Across Neural Language Models, 2023, definition 3.1): prompted
with the k tokens before, greedy decoding gives the next 32 exactly. One pass over the true text tells, since greedy
decoding follows it for as long as every token of it is the likeliest.

(n, p)-discoverably extractable (Hayes et al., Measuring memorization through probabilistic discoverable extraction,
2024, arXiv 2410.19482, section 3): in n draws by a sampling scheme the continuation comes up at least once with
probability p or more, that is 1 - (1 - q)**n >= p for its probability q under that scheme.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PREFIXES = (16, 32, 64)
"""Tokens of a prompt."""
CONTINUATION = 32
"""Tokens that must come exactly."""


@dataclass(frozen=True, slots=True)
class Target:
    """A place in a training file: its organization, the file's number and path, the class of its code, the token."""

    organization: str
    path: str
    kind: str
    start: int


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a model makes of a target after a prompt of `prefix` tokens.

    `greedy`: it continues exactly. `logprob`: natural logarithm of the continuation's probability under the sampling
    scheme; minus infinity where the scheme cannot draw it.
    """

    target: Target
    prefix: int
    greedy: bool
    logprob: float


def chance_in(draws: int, logprob: float) -> float:
    """Probability that a continuation of this log-probability comes up at least once in so many draws."""
    if logprob >= 0:
        return 1.0
    # log(1 - q) by the form that keeps its digits: q may be far below a double's resolution beside 1.
    stays_away = math.log1p(-math.exp(logprob)) if logprob < -math.log(2) else math.log(-math.expm1(logprob))
    return -math.expm1(draws * stays_away)


def draws_needed(probability: float, logprob: float) -> float:
    """The smallest n with which a continuation is (n, p)-discoverably extractable; infinite where none is."""
    if not 0 < probability < 1:
        message = f"the probability is {probability}: give more than 0 and less than 1"
        raise ValueError(message)
    if logprob >= 0:
        return 1
    if logprob == -math.inf:
        return math.inf
    stays_away = math.log1p(-math.exp(logprob))
    # Below a double's resolution log(1 - q) is -q.
    stays_away = stays_away or -math.exp(logprob)
    return math.ceil(math.log1p(-probability) / stays_away) if stays_away else math.inf
