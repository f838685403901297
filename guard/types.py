"""The guard's words, as values: owners, matches and decisions. Imports no other module of the guard but errors."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from guard.errors import OwnerError

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def require_slug(slug: str) -> str:
    """Return `slug` if it names an organization or corpus, else raise OwnerError."""
    if SLUG.fullmatch(slug) is None:
        message = f"{slug!r} is not a valid name: use 1 to 63 of a-z, 0-9 and '-', not starting with '-'"
        raise OwnerError(message)
    return slug


class OwnerKind(StrEnum):
    """Whose code a document is."""

    ORGANIZATION = "org"
    LICENSED = "license"
    COMMONS = "commons"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a document: an organization, a named corpus under a licence, or the commons.

    `name` is a slug; `license` is a normalized SPDX expression and is set exactly for licensed corpora.
    """

    kind: OwnerKind
    name: str
    license: str | None = None

    def __post_init__(self) -> None:
        """Hold the two rules above."""
        require_slug(self.name)
        if (self.license is not None) != (self.kind is OwnerKind.LICENSED):
            message = f"owner {self.kind}:{self.name}: a licence belongs to licensed corpora, and only to them"
            raise OwnerError(message)

    @classmethod
    def organization(cls, slug: str) -> Owner:
        """Private code of the organization `slug`."""
        return cls(OwnerKind.ORGANIZATION, slug)

    @classmethod
    def licensed(cls, name: str, expression: str) -> Owner:
        """Public code of the corpus `name` under the SPDX `expression`."""
        return cls(OwnerKind.LICENSED, name, expression)

    @classmethod
    def commons(cls, name: str) -> Owner:
        """Code that is nobody's secret."""
        return cls(OwnerKind.COMMONS, name)

    @classmethod
    def parse(cls, text: str) -> Owner:
        """Read what `str()` of an owner wrote: `org:acme`, `commons:stdlib`, `license:pylint:GPL-2.0-or-later`."""
        kind, _, rest = text.partition(":")
        name, _, expression = rest.partition(":")
        try:
            return cls(OwnerKind(kind), name, expression or None)
        except ValueError:
            message = f"{text!r} is no owner: expected org:SLUG, commons:NAME or license:NAME:SPDX"
            raise OwnerError(message) from None

    def __str__(self) -> str:
        return ":".join(part for part in (self.kind.value, self.name, self.license) if part)


class MatchKind(StrEnum):
    """How closely a match resembles its source (clone types 1 to 3; Roy & Cordy 2007)."""

    EXACT = "exact"
    RENAMED = "renamed"
    NEAR = "near"


class Action(StrEnum):
    """What may happen to a generation."""

    ALLOW = "allow"
    CITE = "cite"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Match:
    """A span of a generation that stands in a document.

    `start` and `end` are character offsets into the generation (the prompt is not counted); `tokens` counts the
    lexical tokens of the whole alignment, prompt included; `similarity` is the share of them found in the
    document, 0 to 1; `document` is its path within its owner; `exception` is the id of what let it pass, where
    something did.
    """

    kind: MatchKind
    start: int
    end: int
    tokens: int
    similarity: float
    owner: Owner
    document: str
    license: str | None
    action: Action
    reason: str
    exception: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The match as JSON, offsets and names only; `exception` only where there is one."""
        exception = {} if self.exception is None else {"exception": self.exception}
        return {
            "kind": self.kind.value,
            "start": self.start,
            "end": self.end,
            "tokens": self.tokens,
            "similarity": round(self.similarity, 4),
            "owner": str(self.owner),
            "document": self.document,
            "license": self.license,
            "action": self.action.value,
            "reason": self.reason,
            **exception,
        }


def new_decision_id() -> str:
    """A name for a decision that nobody can guess."""
    return f"dec_{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the guard says of one generation. `guard_ms` is wall time in milliseconds."""

    id: str
    action: Action
    matches: tuple[Match, ...] = field(default=())
    checked_tokens: int = 0
    guard_ms: float = 0.0
    index_version: int = 0

    def to_json(self) -> dict[str, Any]:
        """The decision as one JSON object; holds no text of the generation."""
        return {
            "id": self.id,
            "action": self.action.value,
            "matches": [match.to_json() for match in self.matches],
            "checked_tokens": self.checked_tokens,
            "guard_ms": round(self.guard_ms, 3),
            "index_version": self.index_version,
        }
