from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import GuardError, OwnerError
from guard.types import Action, Decision, Match, MatchKind, Owner, OwnerKind, require_slug

slugs = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
licenses = st.sampled_from(
    ["MIT", "GPL-2.0-or-later WITH Classpath-exception-2.0", "DocumentRef-a:LicenseRef-b", "A OR B"]
)
owners = (
    st.builds(Owner.organization, slugs) | st.builds(Owner.commons, slugs) | st.builds(Owner.licensed, slugs, licenses)
)


@given(owners)
def test_an_owner_survives_its_text(owner: Owner) -> None:
    assert Owner.parse(str(owner)) == owner


@given(owners, owners)
def test_owners_are_told_apart_by_their_text(one: Owner, other: Owner) -> None:
    assert (one == other) == (str(one) == str(other))


@pytest.mark.parametrize(
    "slug", ["", "-a", "A", "a b", "a_b", "a.b", "a:b", "ä", "a" * 64, "a\n", "../a", "\u0661", "a/b"]
)
def test_a_bad_slug_is_named_with_the_remedy(slug: str) -> None:
    with pytest.raises(OwnerError, match=re.escape(repr(slug))):
        require_slug(slug)
    for make in (Owner.organization, Owner.commons):
        with pytest.raises(OwnerError):
            make(slug)
    with pytest.raises(OwnerError):
        Owner.licensed(slug, "MIT")


@pytest.mark.parametrize("slug", ["a", "0", "acme", "a-", "a--b", "a" * 63])
def test_a_good_slug_is_returned(slug: str) -> None:
    assert require_slug(slug) == slug


@pytest.mark.parametrize(
    "text", ["", "acme", "org", "org:", "person:acme", "org:acme:MIT", "license:name", "commons:x:MIT"]
)
def test_what_is_no_owner_is_refused(text: str) -> None:
    with pytest.raises(OwnerError):
        Owner.parse(text)


def test_a_licence_belongs_to_licensed_corpora_alone() -> None:
    with pytest.raises(OwnerError, match="licence"):
        Owner(OwnerKind.ORGANIZATION, "acme", "MIT")
    with pytest.raises(OwnerError, match="licence"):
        Owner(OwnerKind.LICENSED, "pylint")


def test_a_decision_in_json_has_the_fields_of_the_design() -> None:
    owner = Owner.licensed("pylint", "GPL-2.0-or-later")
    match = Match(
        MatchKind.NEAR, 3, 90, 40, 0.87654321, owner, "pylint/lint.py", owner.license, Action.BLOCK, "edited copy"
    )
    decision = Decision("dec_1", Action.BLOCK, (match,), 50, 1.23456, 7)
    told = json.loads(json.dumps(decision.to_json(), allow_nan=False))
    assert {"id", "action", "matches", "checked_tokens", "guard_ms"} <= told.keys()
    assert told["matches"] == [
        {
            "kind": "near",
            "start": 3,
            "end": 90,
            "tokens": 40,
            "similarity": 0.8765,
            "owner": "license:pylint:GPL-2.0-or-later",
            "document": "pylint/lint.py",
            "license": "GPL-2.0-or-later",
            "action": "block",
            "reason": "edited copy",
        }
    ]


def test_all_errors_of_the_guard_have_one_base() -> None:
    assert issubclass(OwnerError, GuardError)
