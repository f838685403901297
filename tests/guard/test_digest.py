from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.code import PYTHON, SAMPLES, reindented

from guard.digest import CONTENT_HASH_BYTES, Digester
from guard.fingerprint import GUARANTEE
from guard.secret import IndexKey

DIGESTER = Digester(IndexKey(b"k" * 32))


@given(st.text(max_size=300), st.sampled_from([None, "python", "go"]))
def test_any_text_has_a_digest_and_probes(text: str, language: str | None) -> None:
    digest = DIGESTER.digest("a", text, language or "python")
    assert len(digest.content) == CONTENT_HASH_BYTES
    for probe in DIGESTER.probes(text, language):
        assert len(probe.stream) > 0
        assert len(probe.fingerprints) <= len(probe.stream)
        assert not probe.prose or len(probe.fragments) == 0


@pytest.mark.parametrize(("language", "text"), SAMPLES.items(), ids=SAMPLES)
def test_a_document_and_a_query_of_it_share_names(language: str, text: str) -> None:
    digest = DIGESTER.digest("a", text, language)
    code, *_ = DIGESTER.probes(reindented(text), language)
    assert digest.tokens == len(code.stream)
    assert code.fingerprints.names.tolist() == digest.fingerprints.names.tolist()
    assert code.fingerprints.agreement.tolist() == digest.fingerprints.agreement.tolist()
    assert not len(code.fragments), "bands are asked for at the second look only"
    closer = DIGESTER.closer(code)
    assert set(code.fingerprints.names.tolist()) < set(closer.fingerprints.names.tolist())
    # A query's windows stand closer, and both have the first and the last.
    assert set(digest.fragments.bands[0].tolist()) == set(closer.fragments.bands[0].tolist())
    assert set(digest.fragments.bands[-1].tolist()) == set(closer.fragments.bands[-1].tolist())


def test_code_behind_comment_marks_is_a_probe_of_its_own() -> None:
    commented = "".join(f"# {line}\n" for line in PYTHON.splitlines())
    (probe,) = DIGESTER.probes(commented, "python")
    assert probe.prose
    assert len(probe.stream) >= GUARANTEE
    whole = set(DIGESTER.digest("a", PYTHON, "python").fingerprints.names.tolist())
    assert len(whole & set(probe.fingerprints.names.tolist())) > 0.5 * len(whole)


def test_content_tells_texts_apart_under_the_key() -> None:
    other = Digester(IndexKey(b"o" * 32))
    assert DIGESTER.content("a") == DIGESTER.content("a") != DIGESTER.content("b")
    assert DIGESTER.content("\ud800") != other.content("\ud800")


def test_what_stands_in_comments_has_every_run_but_no_fragments_when_looked_at_closer() -> None:
    remarks = "".join(f"# {line}\n" for line in SAMPLES["c"].splitlines())
    _, prose = DIGESTER.probes(PYTHON + remarks, "python")
    closer = DIGESTER.closer(prose)
    assert prose.prose
    assert {*prose.fingerprints.names.tolist()} < {*closer.fingerprints.names.tolist()}
    assert not len(closer.fragments)
