from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import LicenseError
from guard.licenses import (
    UNKNOWN_LICENSE,
    LicenseAction,
    LicenseCategory,
    LicensePolicy,
    category,
    decide,
    license_ids,
    normalize,
)

ALLOW, CITE, DENY = LicenseAction.ALLOW, LicenseAction.CITE, LicenseAction.DENY

IDS = st.sampled_from(
    [
        "MIT",
        "Apache-2.0",
        "CC0-1.0",
        "MPL-2.0",
        "LGPL-2.1-only",
        "GPL-2.0-or-later",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "AGPL-3.0-only",
        "BUSL-1.1",
        UNKNOWN_LICENSE,
    ]
)
EXPRESSIONS = st.recursive(
    IDS,
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["AND", "OR"]), inner),
    max_leaves=6,
)
POLICIES = st.builds(
    LicensePolicy.of,
    st.dictionaries(st.sampled_from(LicenseCategory), st.sampled_from(LicenseAction)),
    st.dictionaries(IDS, st.sampled_from(LicenseAction), max_size=3),
)


@pytest.mark.parametrize(
    ("written", "spdx"),
    [
        ("mit", "MIT"),
        ("MIT License", "MIT"),
        ("The MIT License (MIT)", "MIT"),
        ("MIT/X11", "MIT"),
        ("Apache 2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("The Apache Software License, Version 2.0", "Apache-2.0"),
        ("ASL 2.0", "Apache-2.0"),
        ("BSD", "BSD-3-Clause"),
        ('BSD 3-Clause "New" or "Revised" License', "BSD-3-Clause"),
        ("Simplified BSD", "BSD-2-Clause"),
        ("GPL", "GPL-1.0-or-later"),
        ("GPLv2", "GPL-2.0-only"),
        ("GPL-2.0", "GPL-2.0-only"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("GPL v2 or later", "GPL-2.0-or-later"),
        ("GPL (>= 2)", "GPL-2.0-or-later"),
        ("GNU General Public License version 3, or any later version", "GPL-3.0-or-later"),
        ("GNU LGPL v2.1 or later", "LGPL-2.1-or-later"),
        ("LGPLv3+", "LGPL-3.0-or-later"),
        ("AGPLv3", "AGPL-3.0-only"),
        ("GPL2 w/ CPE", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("GPL-2.0-with-classpath-exception", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("Mozilla Public License, v. 2.0", "MPL-2.0"),
        ("UNLICENSED", "LicenseRef-proprietary"),
        ("License :: OSI Approved :: MIT License", "MIT"),
        ("License :: OSI Approved :: BSD License", "BSD-3-Clause"),
        ("License :: OSI Approved :: Boost Software License 1.0 (BSL-1.0)", "BSL-1.0"),
        ("License :: OSI Approved :: Python Software Foundation License", "PSF-2.0"),
        ("License :: OSI Approved :: GNU General Public License v2 or later (GPLv2+)", "GPL-2.0-or-later"),
        ("License :: OSI Approved :: GNU Library or Lesser General Public License (LGPL)", "LGPL-2.0-or-later"),
        ("License :: OSI Approved :: Sleepycat License", "Sleepycat"),
        ("License :: CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "CC0-1.0"),
        ("License :: Other/Proprietary License", "LicenseRef-proprietary"),
        ("apache-2.0 or gpl-2.0+", "Apache-2.0 OR GPL-2.0-or-later"),
        ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
        ("MIT AND (GPL v2 or later OR BSD)", "MIT AND (GPL-2.0-or-later OR BSD-3-Clause)"),
        ("GPLv2 with Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("Apache-2.0+", "Apache-2.0+"),
        ("(GPL-2.0) OR (MIT)", "GPL-2.0-only OR MIT"),
        ("(MIT) AND (GPLv2)", "MIT AND GPL-2.0-only"),
        ("LicenseRef-acme-internal OR  MIT", "LicenseRef-acme-internal OR MIT"),
        ("DocumentRef-spdx.x:LicenseRef-y", "DocumentRef-spdx.x:LicenseRef-y"),
    ],
)
def test_common_spellings_become_spdx(written: str, spdx: str) -> None:
    assert normalize(written) == spdx
    assert normalize(spdx) == spdx


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("Apach-2.0", r"'Apach-2\.0' is not an SPDX licence id: did you mean Apache-2\.0 or"),
        ("MIT OR GPL-4.0-only", r"'GPL-4\.0-only' .* did you mean GPL-3\.0-only"),
        ("Qwertz Licence", r"see https://spdx\.org/licenses/"),
        ("", "has 1 to 1000 characters, this has 0"),
        ("MIT OR " * 200 + "MIT", "this has 1403"),
        ("(MIT", "not an SPDX expression"),
        ("()", "not an SPDX expression"),
        ("MIT AND", "not an SPDX expression"),
        ("MIT WITH Apache-2.0", "not an SPDX expression"),
        ("Classpath-exception-2.0", "not an SPDX expression"),
        ("GPL (MIT)", "is not an SPDX licence id|not an SPDX expression"),
        ("DFSG approved", "is not an SPDX licence id"),
    ],
)
def test_what_is_no_expression_is_named_with_a_remedy(wrong: str, message: str) -> None:
    with pytest.raises(LicenseError, match=message):
        normalize(wrong)


@given(st.lists(st.sampled_from(["MIT", "GPLv2", "or later", "AND", "or", "WITH", "(", ")", "/", "+", "é", "::"])))
def test_any_text_is_normalized_for_good_or_refused(parts: list[str]) -> None:
    try:
        spdx = normalize(" ".join(parts))
    except LicenseError:
        return
    assert normalize(spdx) == spdx


@given(EXPRESSIONS)
def test_normalizing_twice_changes_nothing(expression: str) -> None:
    assert normalize(normalize(expression)) == normalize(expression)


def test_the_licences_of_an_expression_keep_their_exceptions() -> None:
    ids = license_ids("MIT OR (GPLv2 WITH Classpath-exception-2.0 AND BSD)")
    assert ids == {"MIT", "GPL-2.0-only WITH Classpath-exception-2.0", "BSD-3-Clause"}


@pytest.mark.parametrize(
    ("spdx_id", "kind"),
    [
        ("MIT", LicenseCategory.PERMISSIVE),
        ("BSD-4-Clause-UC", LicenseCategory.PERMISSIVE),
        ("CC-BY-4.0", LicenseCategory.PERMISSIVE),
        ("apache-2.0", LicenseCategory.PERMISSIVE),
        ("Apache-2.0+", LicenseCategory.PERMISSIVE),
        ("Apache-2.0 WITH LLVM-exception", LicenseCategory.PERMISSIVE),
        ("CC0-1.0", LicenseCategory.PUBLIC_DOMAIN),
        ("Unlicense", LicenseCategory.PUBLIC_DOMAIN),
        ("MPL-2.0", LicenseCategory.WEAK_COPYLEFT),
        ("LGPL-2.1-or-later", LicenseCategory.WEAK_COPYLEFT),
        ("CECILL-C", LicenseCategory.WEAK_COPYLEFT),
        ("GPL-2.0-only", LicenseCategory.STRONG_COPYLEFT),
        ("GPL-2.0-only WITH Classpath-exception-2.0", LicenseCategory.STRONG_COPYLEFT),
        ("CC-BY-SA-4.0", LicenseCategory.STRONG_COPYLEFT),
        ("CECILL-2.1", LicenseCategory.STRONG_COPYLEFT),
        ("AGPL-3.0-or-later", LicenseCategory.NETWORK_COPYLEFT),
        ("SSPL-1.0", LicenseCategory.NETWORK_COPYLEFT),
        ("BUSL-1.1", LicenseCategory.PROPRIETARY),
        ("CC-BY-NC-SA-4.0", LicenseCategory.PROPRIETARY),
        ("BSD-3-Clause-No-Military-License", LicenseCategory.PROPRIETARY),
        ("LicenseRef-proprietary", LicenseCategory.PROPRIETARY),
        ("LicenseRef-unknown", LicenseCategory.UNKNOWN),
        ("GPLX", LicenseCategory.UNKNOWN),
        ("", LicenseCategory.UNKNOWN),
    ],
)
def test_a_licence_has_the_category_of_what_it_asks_for(spdx_id: str, kind: LicenseCategory) -> None:
    assert category(spdx_id) is kind


@pytest.mark.parametrize(
    ("expression", "action"),
    [
        ("CC0-1.0", ALLOW),
        ("MIT", CITE),
        ("MPL-2.0", DENY),
        ("GPL-3.0-only", DENY),
        (UNKNOWN_LICENSE, DENY),
        ("MIT OR GPL-2.0-only", CITE),
        ("MIT AND GPL-2.0-only", DENY),
        ("MIT AND CC0-1.0", CITE),
        ("GPL-2.0-only OR (MIT AND CC0-1.0)", CITE),
        ("GPL-2.0-only WITH Classpath-exception-2.0", DENY),
    ],
)
def test_the_default_policy_is_strict(expression: str, action: LicenseAction) -> None:
    assert decide(LicensePolicy.default(), expression) is action


def test_overrides_match_a_licence_anywhere_or_a_whole_expression() -> None:
    policy = LicensePolicy.of(
        {},
        {
            "GPLv2 WITH Classpath-exception-2.0": CITE,
            "LGPLv2.1+": ALLOW,
            "MIT": DENY,
            "ISC OR MIT": CITE,
            "MIT AND AGPL-3.0-only": CITE,
        },
    )
    assert decide(policy, "GPL-2.0-only WITH Classpath-exception-2.0") is CITE
    assert decide(policy, "GPL-2.0-only") is DENY
    assert decide(policy, "LGPL-2.1-or-later AND CC0-1.0") is ALLOW
    assert decide(policy, "LGPL-2.1-or-later WITH OCaml-LGPL-linking-exception") is ALLOW
    assert decide(policy, "MIT") is DENY
    assert decide(policy, "MIT OR ISC") is CITE
    assert decide(policy, "AGPL-3.0-only AND MIT") is CITE
    assert decide(policy, "(AGPL-3.0-only AND MIT) AND Zlib") is DENY


def test_a_decision_about_no_licence_is_refused() -> None:
    with pytest.raises(LicenseError, match="Foo-1"):
        decide(LicensePolicy.default(), "Foo-1 OR CC0-1.0")


@given(POLICIES, EXPRESSIONS, EXPRESSIONS)
def test_or_is_as_good_as_its_better_side_and_and_as_bad_as_its_worse(
    policy: LicensePolicy, left: str, right: str
) -> None:
    sides = [decide(policy, left).severity, decide(policy, right).severity]
    assert decide(policy, f"{left} OR {right}").severity == min(sides)
    assert decide(policy, f"{left} AND {right}").severity == max(sides)
    assert decide(policy, f"{right} OR {left}") is decide(policy, f"{left} OR {right}")


@given(POLICIES)
def test_a_policy_survives_json(policy: LicensePolicy) -> None:
    assert LicensePolicy.from_json(json.loads(json.dumps(policy.to_json()))) == policy


def test_what_json_leaves_out_is_strict() -> None:
    assert LicensePolicy.from_json({}) == LicensePolicy.default()
    policy = LicensePolicy.from_json({"categories": {"weak-copyleft": "cite"}, "overrides": {"GPLv3": "cite"}})
    assert [decide(policy, name) for name in ("MPL-2.0", "GPL-3.0-only", "GPL-2.0-only")] == [CITE, CITE, DENY]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "a licence policy is a JSON object, not list"),
        ({"default": "deny"}, "unknown key 'default', expected 'categories' and 'overrides'"),
        ({"categories": {"copyleft": "deny"}}, "'copyleft' is none of public-domain, permissive"),
        ({"categories": {"permissive": "maybe"}}, "'maybe' is none of allow, cite, deny"),
        ({"categories": {"permissive": ["cite"]}}, "is none of allow, cite, deny"),
        ({"overrides": ["MIT"]}, "'overrides' of a licence policy is a JSON object"),
        ({"overrides": {"MITT": "deny"}}, "did you mean MIT"),
        ({"overrides": {"GPLv2": "deny", "GPL-2.0-only": "cite"}}, "GPL-2.0-only is overridden more than once"),
    ],
)
def test_a_bad_policy_is_refused_by_name(value: object, message: str) -> None:
    with pytest.raises(LicenseError, match=message):
        LicensePolicy.from_json(value)


def test_a_policy_names_every_category_once() -> None:
    with pytest.raises(LicenseError, match="names each of"):
        LicensePolicy(((LicenseCategory.PERMISSIVE, ALLOW),))
