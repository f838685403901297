from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from guard.tokens import lex


@given(text=st.text("ab1+\n\"'# ", max_size=60), chosen=st.integers(0, 2**60))
def test_lines_are_those_on_which_tokens_begin(text: str, chosen: int) -> None:
    code = lex(text, "python").code
    tokens = np.array([chosen >> at & 1 for at in range(len(code))], dtype=np.bool_)
    begun = {text.count("\n", 0, start) for start in code.starts[tokens].tolist()}
    assert code.lines(tokens) == len(begun)
