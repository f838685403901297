"""Chooses a fill-in-the-middle family by name, or by what a vocabulary has. Knows no engine and renders nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from published.infilling import FAMILIES, family_in, without_missing
from service.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from published.infilling import FillInTheMiddle

NO_FAMILY = "none"


def family_of_vocabulary(name: str | None, has_token: Callable[[str], bool]) -> FillInTheMiddle | None:
    """The family called `name`, or the one that the vocabulary shows where no name is given; "none" is none.

    Raises SetupError for an unknown name, and for a family whose tokens the vocabulary lacks.
    """
    if name is None:
        return family_in(has_token)
    family = family_named(name)
    if family is None:
        return None
    missing = [token for token in (family.prefix, family.suffix, family.middle) if token and not has_token(token)]
    if missing:
        message = (
            f"the model's vocabulary has no {' and no '.join(missing)}, so it is no {name!r} model: leave "
            "CLEANROOM_FILL_IN_THE_MIDDLE unset, and the family is found from the vocabulary"
        )
        raise SetupError(message)
    return without_missing(family, has_token)


def family_named(name: str) -> FillInTheMiddle | None:
    """The family called `name`; None for "none". Raises SetupError with the names that there are."""
    if name == NO_FAMILY:
        return None
    for family in FAMILIES:
        if family.family == name:
            return family
    names = ", ".join((*(family.family for family in FAMILIES), NO_FAMILY))
    message = f"{name!r} is no fill-in-the-middle family: use one of {names}"
    raise SetupError(message)
