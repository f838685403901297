from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from guard.alignment import Chain
from guard.worth import SHORT_BITS, SHORT_TOKENS, Worth, told

TOKENS = 60
masks = st.lists(st.booleans(), min_size=TOKENS, max_size=TOKENS).map(lambda flags: np.array(flags, dtype=np.bool_))


def worth() -> Worth:
    """Of tokens that all tell something, each something else."""
    bits = np.arange(1.0, TOKENS + 1)
    return Worth(bits, bits / 100, np.zeros(TOKENS, dtype=np.bool_))


@given(masks, masks)
def test_what_is_set_aside_tells_nothing_and_stays_so(first: np.ndarray, second: np.ndarray) -> None:
    whole, left = worth(), worth().without(first).without(second)
    gone = first | second
    assert left.aside.tolist() == gone.tolist()
    for before, after in ((whole.bits, left.bits), (whole.literal, left.literal)):
        assert after[gone].tolist() == [0.0] * int(gone.sum())
        assert after[~gone].tolist() == before[~gone].tolist()
    assert left.telling(np.ones(TOKENS, dtype=np.bool_)).tolist() == (~gone).tolist()
    assert not left.telling(gone).any()


@given(masks, masks)
def test_a_short_chain_must_tell_more(covered: np.ndarray, aside: np.ndarray) -> None:
    """For each token that it has less than the smallest copy; what is set aside is none of its tokens."""
    chain = Chain(document=1, bits=50.0, start=0, end=TOKENS, diagonals=1, covered=covered, exact=covered)
    missing = SHORT_TOKENS - sum(has and not gone for has, gone in zip(covered, aside, strict=True))
    expected = 50.0 - SHORT_BITS * missing if missing > 0 else 50.0
    assert told(chain, worth().without(aside)) == expected


def test_a_long_chain_is_worth_its_bits() -> None:
    for tokens, bits in ((TOKENS, 50.0), (SHORT_TOKENS, 50.0), (SHORT_TOKENS - 1, 50.0 - SHORT_BITS)):
        covered = np.arange(TOKENS) < tokens
        chain = Chain(document=1, bits=50.0, start=0, end=tokens, diagonals=1, covered=covered, exact=covered)
        assert told(chain, worth()) == bits
