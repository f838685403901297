from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guard.addresses import Address
from guard.errors import StoreUnavailableError
from guard.store import open_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://:s3cret@localhost",
        "redis://",
        "redis://:s3cret@/0",
        "redis://:s3cret@localhost:port",
        "redis://:s3cret@localhost:99999",
        "redis://:s3cret@localhost/zero",
        "redis://:s3cret@[::1",
        "unix://",
        "unix:///tmp/s3cret.sock?db=x",
        "redis://:s3cret@localhost?socket_timeout=60",
        "rediss://:s3cret@localhost?ssl_cert_reqs=none",
        "redis://:s3cret@localhost?retry_on_timeout=yes",
        "redis+cluster://",
        "redis+cluster://:s3cret@",
        "redis+cluster://:s3cret@one:7000,/0",
        "redis+cluster://:s3cret@one:7000,two:port",
        "redis+cluster://:s3cret@one:7000/3",
        "redis+cluster://:s3cret@one:7000?socket_timeout=60",
        "redis+cluster://:s3cret@one:7000?ssl_ca_certs=x",
        "redis+cluster://:s3cret@one:7000?db=1",
        "redis+sentinel://:s3cret@one:26379",
        "redis+sentinel://:s3cret@one:26379/service/zero",
        "redis+sentinel://:s3cret@one:26379/service?retry=no",
        "unix+cluster://:s3cret@one:7000",
        "redis+other://:s3cret@one:7000",
    ],
)
def test_a_malformed_url_is_refused_without_its_password(home: Path, url: str) -> None:
    with pytest.raises(StoreUnavailableError, match="CLEANROOM_REDIS_URL") as caught:
        open_store(url, home)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://user:s3cret@localhost:7/3", "redis://localhost:7/3"),
        ("rediss://:s3cret@store.example", "rediss://store.example:6379/0"),
        ("redis://user:s3cret@[::1]:7", "redis://::1:7/0"),
        ("unix://user:s3cret@/run/valkey.sock?db=2", "unix:///run/valkey.sock"),
        (
            "redis+sentinel://user:s3cret@one,two:7/main?sentinel_password=s3cret",
            "redis+sentinel://one:26379,two:7/main/0",
        ),
        ("rediss+sentinel://:s3cret@[::1]:7/main/2", "rediss+sentinel://::1:7/main/2"),
    ],
)
def test_the_address_of_a_store_has_no_credentials(home: Path, url: str, address: str) -> None:
    with open_store(url, home) as store:
        assert store.address == address


def test_nothing_but_tls_is_taken_from_the_url_of_several_hosts(home: Path) -> None:
    address = Address.parse("rediss+cluster://u%40x:p%3Aq@one,two:7?ssl_ca_certs=ca.pem")
    assert address.sharded
    assert address.hosts == (("one", 6379), ("two", 7))
    assert address.options == {"username": "u@x", "password": "p:q", "ssl": True, "ssl_ca_certs": "ca.pem"}
    assert "p:q" not in repr(address)
    with pytest.raises(StoreUnavailableError, match=r"cannot be reached|not be connected"):
        open_store("redis+cluster://:s3cret@127.0.0.1:1", home)
