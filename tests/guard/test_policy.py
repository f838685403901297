from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.licenses import LicenseAction, LicenseCategory, LicensePolicy, decide
from guard.policy import Viewpoint, strictest
from guard.types import Action, Owner

SEVERITY = {Action.ALLOW: 0, Action.CITE: 1, Action.BLOCK: 2}
actions = st.sampled_from(Action)
slugs = st.sampled_from(["acme", "beta", "gamma"])
licenses = st.sampled_from(["MIT", "0BSD", "GPL-3.0-only", "LicenseRef-unknown", "MIT OR GPL-3.0-only", "MIT AND 0BSD"])
policies = st.builds(
    LicensePolicy.of,
    st.dictionaries(st.sampled_from(LicenseCategory), st.sampled_from(LicenseAction)),
    st.dictionaries(st.sampled_from(["MIT", "GPL-3.0-only"]), st.sampled_from(LicenseAction)),
)


@given(slugs, slugs, policies)
def test_private_code_is_its_owners_alone(caller: str, owner: str, policy: LicensePolicy) -> None:
    action = Viewpoint(caller, policy).action(Owner.organization(owner))
    assert action is (Action.ALLOW if caller == owner else Action.BLOCK)


@given(slugs, policies)
def test_commons_are_everybodys(caller: str, policy: LicensePolicy) -> None:
    # A commons or a corpus that bears an organization's name is not that organization's code.
    assert Viewpoint(caller, policy).action(Owner.commons("acme")) is Action.ALLOW


@given(slugs, policies, licenses)
def test_licensed_code_follows_the_callers_policy(caller: str, policy: LicensePolicy, expression: str) -> None:
    action = Viewpoint(caller, policy).action(Owner.licensed(caller, expression))
    assert (
        action is {"allow": Action.ALLOW, "cite": Action.CITE, "deny": Action.BLOCK}[decide(policy, expression).value]
    )


@pytest.mark.parametrize("expression", ["", "no such licence", "MIT AND", "(" * 50])
def test_terms_that_nobody_can_read_are_denied(expression: str) -> None:
    generous = LicensePolicy.of(dict.fromkeys(LicenseCategory, LicenseAction.ALLOW))
    assert Viewpoint("acme", generous).action(Owner.licensed("corpus", expression)) is Action.BLOCK


@given(st.lists(actions, max_size=6))
def test_the_strictest_of_several_holds(several: list[Action]) -> None:
    assert SEVERITY[strictest(several)] == max((SEVERITY[action] for action in several), default=0)


def test_a_reason_says_whose_code_and_under_which_licence() -> None:
    view = Viewpoint("acme")
    assert "beta" in view.reason(Owner.organization("beta"))
    reason = view.reason(Owner.licensed("pylint", "GPL-2.0-or-later"))
    assert "pylint" in reason
    assert "GPL-2.0-or-later" in reason
    assert "block" in reason
    assert "stdlib" in view.reason(Owner.commons("stdlib"))
