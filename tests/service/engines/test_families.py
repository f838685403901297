from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.engines.families import FAMILIES, family_in, family_named, tokens_of
from service.errors import SetupError

if TYPE_CHECKING:
    from service.engines.protocol import FillInTheMiddle


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
def test_a_family_is_found_by_its_tokens(family: FillInTheMiddle) -> None:
    vocabulary = {"def", "return", *tokens_of(family)}
    assert family_in(vocabulary.__contains__) == family
    assert family_named(family.family) == family


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
def test_a_family_with_a_token_missing_is_not_there(family: FillInTheMiddle) -> None:
    assert family_in(set(tokens_of(family)[1:]).__contains__) is None


def test_an_unknown_family_is_refused_with_those_there_are() -> None:
    with pytest.raises(SetupError, match=r"'starcoder3' is no .* starcoder, santacoder"):
        family_named("starcoder3")
