"""Licence expressions (SPDX) and what a policy lets be done with code under them. Knows no files and no matches."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypeVar

import license_expression  # type: ignore[import-untyped] # ships no types

from guard.errors import LicenseError
from guard.license_categories import LicenseCategory, category
from guard.license_names import UNKNOWN, close_ids, spdx_of_id, spdx_of_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "UNKNOWN_LICENSE",
    "LicenseAction",
    "LicenseCategory",
    "LicensePolicy",
    "category",
    "decide",
    "license_ids",
    "normalize",
]

UNKNOWN_LICENSE: Final = UNKNOWN
"""Stands for a licence that nobody has declared, or not in words that are understood."""

# Real expressions have a dozen symbols. The limit bounds the depth of nesting as well.
_LONGEST: Final = 1000
_LICENSE_REF: Final = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
# Parentheses, the operators of SPDX 3 (all upper or all lower case) and Cargo's old "/"; "or later" is part of a name.
_OPERATORS: Final = re.compile(
    r"(\(|\)|/|(?<![^\s()])(?:AND|OR|WITH|and|or|with)(?![^\s()])"
    r"(?!\s+(?:later|newer|greater|above|higher|any\s+later)\b))"
)
_Expression: TypeAlias = Any  # license-expression ships no types


@lru_cache(maxsize=4096)
def normalize(expression: str) -> str:
    """The SPDX expression that `expression` means, with ids as the SPDX list spells them.

    Takes SPDX expressions and common other spellings: "Apache 2.0", "GPL v2 or later", "MIT/Apache-2.0", "BSD",
    trove classifiers. `LicenseRef-...` names pass as they are.

    Raises:
        LicenseError: a symbol is unknown (the message has the nearest SPDX ids) or the expression is malformed.
    """
    text = " ".join(expression.split())
    if not text or len(text) > _LONGEST:
        message = f"a licence expression has 1 to {_LONGEST} characters, this has {len(text)}: write an SPDX expression"
        raise LicenseError(message)
    try:
        return str(_parse(_known(text) or _respelled(text)).render())
    except (license_expression.ExpressionError, license_expression.ParseError, IndexError) as error:
        message = f"{text!r} is not an SPDX expression: join licence ids by AND, OR, WITH and parentheses"
        raise LicenseError(message) from error


def license_ids(expression: str) -> frozenset[str]:
    """The licences of an expression, each with its exception ("GPL-2.0-only WITH Classpath-exception-2.0").

    Raises:
        LicenseError: as `normalize`.
    """
    parsed = _parse(normalize(expression))
    return frozenset(str(symbol.render()) for symbol in parsed.get_symbols())


class LicenseAction(StrEnum):
    """What a policy does with a match against licensed code."""

    ALLOW = "allow"
    CITE = "cite"
    DENY = "deny"

    @property
    def severity(self) -> int:
        """0 for the most favourable action, rising."""
        return list(LicenseAction).index(self)


_STRICT: Final = {
    LicenseCategory.PUBLIC_DOMAIN: LicenseAction.ALLOW,
    LicenseCategory.PERMISSIVE: LicenseAction.CITE,
}


@dataclass(frozen=True, slots=True)
class LicensePolicy:
    """What an organization accepts: an action for each category, and overrides by licence.

    `actions` has each category exactly once. An override names a licence, a licence with its exception, or a whole
    expression; the first two hold wherever the licence occurs, the last for exactly that expression (whatever the
    order of its parts).
    """

    actions: tuple[tuple[LicenseCategory, LicenseAction], ...]
    overrides: tuple[tuple[str, LicenseAction], ...] = ()

    def __post_init__(self) -> None:
        """Normalize, and hold the rules above."""
        object.__setattr__(self, "overrides", tuple((normalize(name), action) for name, action in self.overrides))
        categories = [kind for kind, _ in self.actions]
        if sorted(categories) != sorted(LicenseCategory):
            message = f"a licence policy names each of {_choices(LicenseCategory)} once, this names {categories}"
            raise LicenseError(message)
        names = [_unordered(name) for name, _ in self.overrides]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            message = f"licence policy: {', '.join(twice)} is overridden more than once, keep one override for each"
            raise LicenseError(message)

    @classmethod
    def default(cls) -> Self:
        """The strict policy: allow what asks for nothing, cite what asks to be named, deny the rest."""
        return cls.of({})

    @classmethod
    def of(
        cls, actions: Mapping[LicenseCategory, LicenseAction], overrides: Mapping[str, LicenseAction] | None = None
    ) -> Self:
        """The default policy with the `actions` of some categories and of some licences replaced.

        Raises:
            LicenseError: an override is no licence expression, or stands twice under two spellings.
        """
        table = {kind: actions.get(kind, _STRICT.get(kind, LicenseAction.DENY)) for kind in LicenseCategory}
        return cls(tuple(table.items()), tuple((overrides or {}).items()))

    def to_json(self) -> dict[str, Any]:
        """The policy as JSON; `from_json` reads it back."""
        return {
            "categories": {kind.value: action.value for kind, action in self.actions},
            "overrides": {name: action.value for name, action in self.overrides},
        }

    @property
    def version(self) -> str:
        """A name for exactly this policy: the beginning of a hash of it, 12 hexadecimal digits."""
        return sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:12]

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read `{"categories": {CATEGORY: ACTION}, "overrides": {EXPRESSION: ACTION}}`; both may be left out.

        A category that is left out keeps the action of the default policy.

        Raises:
            LicenseError: an unknown key, category, action or licence.
        """
        parts = _object(value, "a licence policy")
        unknown = sorted(set(parts) - {"categories", "overrides"})
        if unknown:
            message = f"licence policy: unknown key {unknown[0]!r}, expected 'categories' and 'overrides'"
            raise LicenseError(message)
        categories = _object(parts.get("categories", {}), "'categories' of a licence policy")
        overrides = _object(parts.get("overrides", {}), "'overrides' of a licence policy")
        return cls.of(
            {_member(LicenseCategory, name): _member(LicenseAction, action) for name, action in categories.items()},
            {name: _member(LicenseAction, action) for name, action in overrides.items()},
        )


@lru_cache(maxsize=4096)
def decide(policy: LicensePolicy, expression: str) -> LicenseAction:
    """What `policy` does with code under `expression`.

    OR takes the most favourable side (the licensee may choose), AND the least favourable. An exception leaves the
    licence's category as it is unless an override names the two together.

    Raises:
        LicenseError: as `normalize`. A caller that must answer denies.
    """
    overrides = {_unordered(name): action for name, action in policy.overrides}
    parsed = _parse(normalize(expression))
    whole = overrides.get(_unordered(normalize(expression)))
    return whole or _evaluate(parsed, dict(policy.actions), overrides)


def _evaluate(
    node: _Expression, actions: dict[LicenseCategory, LicenseAction], overrides: dict[str, LicenseAction]
) -> LicenseAction:
    if isinstance(node, _SPDX.OR | _SPDX.AND):
        sides = [_evaluate(side, actions, overrides) for side in node.args]
        choose = min if isinstance(node, _SPDX.OR) else max
        return choose(sides, key=lambda action: action.severity)
    name = str(node.render())
    base = name.partition(" WITH ")[0]
    return overrides.get(name) or overrides.get(base) or actions[category(base)]


_SPDX: Final = license_expression.get_spdx_licensing()


def _parse(spdx: str) -> _Expression:
    return _SPDX.parse(spdx, strict=True)


@lru_cache(maxsize=4096)
def _unordered(normalized: str) -> str:
    """`normalized` with the sides of each operator sorted, so that "A OR B" and "B OR A" are one."""
    return str(_parse(normalized).simplify().render())


def _respelled(text: str) -> str:
    return " ".join(_operator_or_symbol(part.strip()) for part in _OPERATORS.split(text) if part.strip())


def _operator_or_symbol(part: str) -> str:
    if part in {"(", ")"}:
        return part
    if part.upper() in {"AND", "OR", "WITH", "/"}:
        return "OR" if part == "/" else part.upper()
    known = _known(part)
    if known is not None:
        return f"({known})" if re.search(" (?:AND|OR) ", known) else known
    near = close_ids(part)
    hint = f"did you mean {' or '.join(near)}?" if near else "see https://spdx.org/licenses/"
    message = f"{part!r} is not an SPDX licence id: {hint} (write LicenseRef-NAME for a licence of your own)"
    raise LicenseError(message)


def _known(name: str) -> str | None:
    if name.count("(") != name.count(")"):
        return None
    if _LICENSE_REF.fullmatch(name):
        return name
    later = spdx_of_id(name.removesuffix("+")) if name.endswith("+") else None
    return spdx_of_id(name) or (f"{later}+" if later else None) or spdx_of_name(name)


def _choices(kinds: type[StrEnum]) -> str:
    return ", ".join(kind.value for kind in kinds)


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        message = f"{what} is a JSON object, not {type(value).__name__}"
        raise LicenseError(message)
    return value


_Kind = TypeVar("_Kind", bound=StrEnum)


def _member(kinds: type[_Kind], value: object) -> _Kind:
    try:
        return kinds(str(value))
    except ValueError:
        message = f"licence policy: {value!r} is none of {_choices(kinds)}"
        raise LicenseError(message) from None
