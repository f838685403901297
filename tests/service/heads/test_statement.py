from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import LedgerError
from guard.ledger import Head
from service.errors import SetupError
from service.heads.statement import line_of, read_heads, signed_head, signing_key

if TYPE_CHECKING:
    from pathlib import Path

    from registry.keys import PublicKey

HEAD = Head("w0123456789ab", 7, "ab" * 32)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, PublicKey]:
    key = signing_key(tmp_path_factory.mktemp("home") / "ledger-key.pem")
    return line_of(signed_head(HEAD, key)), key.public


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "ledger-key.pem"
    made = signing_key(path).public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert signing_key(path).public == made
    path.chmod(0o644)
    with pytest.raises(SetupError, match="chmod 600"):
        signing_key(path)


def test_what_was_signed_is_read_from_a_file_or_a_log(line: tuple[str, PublicKey]) -> None:
    text, key = line
    assert read_heads([text + "\n", "\n", f"Nov 22 host cleanroom-ledger: {text}"], {key}) == [HEAD, HEAD]


@given(st.sampled_from(["writer", "entries", "hash", "at", "signature", "key"]), st.data())
def test_a_forged_head_is_refused(line: tuple[str, PublicKey], field: str, data: st.DataObject) -> None:
    text, key = line
    told = json.loads(text)
    other = st.integers() if field == "entries" else st.text()
    told[field] = data.draw(other.filter(lambda value: value != told[field]))
    with pytest.raises(LedgerError, match="line 2"):
        read_heads([text, json.dumps(told)], {key})


@pytest.mark.parametrize(
    "damaged", ["x", "{}", "{", "[1]", "{" * 5000, '{"writer":"w","entries":1e999,"hash":""}', "\udcff"]
)
def test_what_is_no_head_is_refused(line: tuple[str, PublicKey], damaged: str) -> None:
    with pytest.raises(LedgerError, match=r"line 1 of the heads.*forged or damaged"):
        read_heads([damaged], {line[1]})


def test_a_head_of_another_key_is_refused(line: tuple[str, PublicKey], tmp_path: Path) -> None:
    other = line_of(signed_head(HEAD, signing_key(tmp_path / "other.pem")))
    with pytest.raises(LedgerError, match="which is not trusted: name it with --key"):
        read_heads([other], {line[1]})
