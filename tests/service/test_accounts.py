from __future__ import annotations

import importlib.util
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guard.errors import OwnerError
from guard.ledger import Ledger, LedgerRecord
from guard.licenses import LicensePolicy
from guard.types import Action, Decision
from service.accounts import Accounts, Caller, Quota, Scope
from service.errors import AccountError, AccountsUnavailableError, AuthenticationError, SetupError

if TYPE_CHECKING:
    from pathlib import Path

COMPLETE = frozenset({Scope.COMPLETE})


def test_organization_comes_and_goes(accounts: Accounts) -> None:
    accounts.add_organization("initech")
    assert [each.slug for each in accounts.organizations()] == ["acme", "globex", "initech"]
    assert accounts.require_organization("initech").policy == LicensePolicy.default()
    assert accounts.remove_organization("initech") == 0
    with pytest.raises(AccountError, match="`cleanroom org add initech`"):
        accounts.require_organization("initech")


@pytest.mark.parametrize("slug", ["", "Acme", "a_b", "-a", "a" * 64, "a\n", "a b"])
def test_bad_slug_is_named(accounts: Accounts, slug: str) -> None:
    with pytest.raises(OwnerError, match="1 to 63"):
        accounts.add_organization(slug)
    with pytest.raises(OwnerError, match="1 to 63"):
        accounts.require_organization(slug)


def test_organization_is_added_once(accounts: Accounts) -> None:
    with pytest.raises(AccountError, match="'acme' is already there"):
        accounts.add_organization("acme")


def test_unknown_organization_is_refused_everywhere(accounts: Accounts) -> None:
    with pytest.raises(AccountError, match="org add nobody"):
        accounts.remove_organization("nobody")
    with pytest.raises(AccountError, match="org add nobody"):
        accounts.create_key("nobody", COMPLETE)
    with pytest.raises(AccountError, match="org add nobody"):
        accounts.list_keys("nobody")
    with pytest.raises(AccountError, match="org add nobody"):
        accounts.set_policy("nobody", LicensePolicy.default())


def test_key_opens_what_it_was_made_for(accounts: Accounts) -> None:
    record, secret = accounts.create_key("acme", frozenset({Scope.COMPLETE, Scope.REVIEW}), "laptop")
    caller = accounts.authenticate(secret)
    assert caller == Caller("acme", record.id, frozenset({Scope.COMPLETE, Scope.REVIEW}), LicensePolicy.default())
    assert accounts.list_keys("acme") == (record,)
    assert accounts.list_keys("globex") == ()
    assert record.label == "laptop"


def test_secret_is_not_stored(accounts: Accounts, tmp_path: Path) -> None:
    _, secret = accounts.create_key("acme", COMPLETE)
    accounts.close()
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"acme" in stored
    assert secret.split("_", 2)[2].encode() not in stored


def test_secrets_differ(accounts: Accounts) -> None:
    secrets = {accounts.create_key("acme", COMPLETE)[1] for _ in range(20)}
    assert len(secrets) == 20
    assert all(secret.startswith("cr_") for secret in secrets)


def test_revoked_key_fails_at_once_in_every_process(accounts: Accounts, database: str) -> None:
    record, secret = accounts.create_key("acme", COMPLETE)
    with Accounts(database) as other:
        other.authenticate(secret)
        revoked = accounts.revoke_key(record.id)
        with pytest.raises(AuthenticationError):
            other.authenticate(secret)
    assert revoked.revoked is not None
    assert accounts.revoke_key(record.id) == revoked
    assert accounts.list_keys("acme") == (revoked,)


def test_unknown_key_cannot_be_revoked(accounts: Accounts) -> None:
    with pytest.raises(AccountError, match=r"'nothere'.*`cleanroom key list`"):
        accounts.revoke_key("nothere")


def test_removed_organization_loses_its_keys_for_good(accounts: Accounts) -> None:
    _, secret = accounts.create_key("acme", COMPLETE)
    assert accounts.remove_organization("acme") == 1
    accounts.add_organization("acme")
    with pytest.raises(AuthenticationError):
        accounts.authenticate(secret)


def test_key_needs_a_scope_and_a_short_label(accounts: Accounts) -> None:
    with pytest.raises(AccountError, match="complete, index, review, admin"):
        accounts.create_key("acme", frozenset())
    with pytest.raises(AccountError, match="201 characters"):
        accounts.create_key("acme", COMPLETE, "x" * 201)


def test_many_at_once_are_each_told_who_they_are(accounts: Accounts) -> None:
    first, one = accounts.create_key("acme", COMPLETE)
    second, other = accounts.create_key("globex", COMPLETE)
    revoked, gone = accounts.create_key("globex", COMPLETE)
    accounts.revoke_key(revoked.id)
    asked = [one, "nonsense", other, gone, one, f"cr_{first.id}_{other[-43:]}", "", f"cr_unknownabcde_{one[-43:]}"]
    found = accounts.authenticate_all(asked)
    assert [each.key_id if isinstance(each, Caller) else None for each in found] == [
        first.id, None, second.id, None, first.id, None, None, None,
    ]  # fmt: skip
    assert all(isinstance(each, Caller | AuthenticationError) for each in found)
    assert accounts.authenticate_all([]) == []


def test_secret_with_another_keys_id_is_refused(accounts: Accounts) -> None:
    first, _ = accounts.create_key("acme", COMPLETE)
    _, second = accounts.create_key("globex", COMPLETE)
    with pytest.raises(AuthenticationError):
        accounts.authenticate(f"cr_{first.id}_{second[-43:]}")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(), st.from_regex(r"cr_[a-z0-9]{12}_[A-Za-z0-9_-]{43}", fullmatch=True)))
def test_no_other_string_is_a_key(accounts: Accounts, secret: str) -> None:
    with pytest.raises(AuthenticationError, match="unknown or revoked"):
        accounts.authenticate(secret)


def test_error_shows_no_secret(accounts: Accounts) -> None:
    record, secret = accounts.create_key("acme", COMPLETE)
    accounts.revoke_key(record.id)
    with pytest.raises(AuthenticationError) as caught:
        accounts.authenticate(secret)
    assert secret[-43:] not in str(caught.value)


def test_policy_is_kept_and_comes_with_the_caller(accounts: Accounts) -> None:
    policy = LicensePolicy.from_json(LicensePolicy.default().to_json())
    accounts.set_policy("acme", policy)
    _, secret = accounts.create_key("acme", COMPLETE)
    assert accounts.authenticate(secret).policy == policy
    assert accounts.require_organization("acme").policy == policy


def test_database_is_private_to_its_user(tmp_path: Path) -> None:
    Accounts(f"sqlite:///{tmp_path}/new/cleanroom.db").close()
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    assert (tmp_path / "new" / "cleanroom.db").stat().st_mode & 0o077 == 0


def test_accounts_outlive_the_process(accounts: Accounts, database: str) -> None:
    _, secret = accounts.create_key("acme", COMPLETE)
    accounts.close()
    with Accounts(database) as again:
        assert again.authenticate(secret).org == "acme"


def test_broken_database_lets_nobody_in(accounts: Accounts, tmp_path: Path) -> None:
    _, secret = accounts.create_key("acme", COMPLETE)
    accounts.ready()
    accounts.close()
    for file in tmp_path.glob("cleanroom.db*"):
        file.write_bytes(b"no database" * 1000)
    with pytest.raises(AccountsUnavailableError, match="CLEANROOM_LEDGER_URL"):
        accounts.authenticate(secret)
    with pytest.raises(AccountsUnavailableError):
        accounts.ready()


def test_lost_table_lets_nobody_in(accounts: Accounts, tmp_path: Path) -> None:
    _, secret = accounts.create_key("acme", COMPLETE)
    connection = sqlite3.connect(tmp_path / "cleanroom.db")
    connection.execute("DROP TABLE api_keys")
    connection.close()
    with pytest.raises(AccountsUnavailableError):
        accounts.authenticate(secret)


@pytest.mark.parametrize("url", ["nonsense", "oracle2://x", "sqlite-but-not://", "sqlite://", "sqlite:///:memory:"])
def test_bad_url_is_a_setup_error(url: str) -> None:
    with pytest.raises(SetupError, match="sqlite:///PATH"):
        Accounts(url)


def test_impossible_place_is_a_setup_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=r"file.* cannot be made .*CLEANROOM_HOME"):
        Accounts(f"sqlite:///{tmp_path}/file/cleanroom.db")


@pytest.mark.skipif(importlib.util.find_spec("psycopg") is not None, reason="the extra is installed")
def test_missing_extra_is_named_and_the_password_is_not() -> None:
    with pytest.raises(SetupError, match=r"pip install 'cleanroom\[postgres\]'") as caught:
        Accounts("postgresql+psycopg://cleanroom:hunter2@127.0.0.1/cleanroom")
    assert "hunter2" not in str(caught.value)


def test_accounts_and_ledger_share_a_file_with_other_processes(tmp_path: Path) -> None:
    """Opening the one must not drop the other's locks: a process that ends would delete the log under both."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    script = "import sys; from service.accounts import Accounts\nwith Accounts(sys.argv[1]) as a: a.organizations()"
    with Ledger(url) as ledger, Accounts(url) as accounts:
        accounts.add_organization("alder")
        subprocess.run([sys.executable, "-c", script, url], check=True, timeout=60)
        ledger.append(
            LedgerRecord(
                decision=Decision("dec_shared", Action.ALLOW),
                org="alder",
                key_id=None,
                model="m",
                surface="completions",
                disposition="released",
                released_characters=1,
                generated_characters=1,
            )
        )
        read = "import sys; from guard.ledger import Ledger; print(Ledger(sys.argv[1]).get('dec_shared').seq)"
        done = subprocess.run([sys.executable, "-c", read, url], check=True, capture_output=True, timeout=60)
    assert done.stdout.strip() == b"1"


def test_quota_is_kept_and_comes_with_the_caller(accounts: Accounts) -> None:
    record, secret = accounts.create_key("acme", COMPLETE, quota=Quota(60, 0))
    assert record.quota == Quota(60, 0)
    assert accounts.list_keys("acme") == (record,)
    assert accounts.authenticate(secret).quota == Quota(60, 0)
    changed = accounts.set_quota(record.id, Quota(None, 5_000_000_000))
    assert accounts.authenticate(secret).quota == changed.quota == Quota(None, 5_000_000_000)


@pytest.mark.parametrize("quota", [Quota(-1), Quota(100_001), Quota(None, -1), Quota(1, 10**12 + 1)])
def test_quota_out_of_bounds_is_named(accounts: Accounts, quota: Quota) -> None:
    with pytest.raises(AccountError, match="is out of bounds: give 1 to"):
        accounts.create_key("acme", COMPLETE, quota=quota)
    record, _ = accounts.create_key("acme", COMPLETE)
    with pytest.raises(AccountError, match="is out of bounds: give 1 to"):
        accounts.set_quota(record.id, quota)
    assert accounts.list_keys("acme") == (record,)


def test_unknown_key_has_no_quota(accounts: Accounts) -> None:
    with pytest.raises(AccountError, match="there is no key 'none'"):
        accounts.set_quota("none", Quota(1))
