"""Least privilege, shown on the real server: each user can do what its work needs, and nothing else."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from guard import audit, inventory
from guard.check import Guard, GuardQuery
from guard.commons import has_commons
from guard.digest import Digester
from guard.errors import StoreUnavailableError
from guard.exemptions import Exemption
from guard.index import Index
from guard.ingest import IndexAddress, ingest
from guard.licenses import LicensePolicy
from guard.rotation import Rotation
from guard.secret import load_index_key
from guard.store import open_store
from guard.tree import Tree
from guard.types import Action, Owner
from guard.withdrawal import withdraw
from service.accounts import Caller, Quota
from service.errors import LimitsUnavailableError, QuotaError
from service.limit_store import open_limit_store
from service.limits import Limits

if TYPE_CHECKING:
    from types import SimpleNamespace

# Granted to every connection by the server itself.
UNASKED = {"auth", "hello"}
ACL = Path(__file__).parents[2] / "deploy" / "valkey" / "users.acl.example"
SOURCE = '''
def settle_accounts(ledger, opening_balance, exchange_rates):
    """Sum up what each partner owes."""
    outstanding = {}
    for entry in sorted(ledger, key=lambda item: (item.partner, item.booked_on)):
        rate = exchange_rates.get(entry.currency, 1.0)
        previous = outstanding.setdefault(entry.partner, opening_balance)
        outstanding[entry.partner] = round(previous + entry.amount * rate - entry.discount, 2)
        if outstanding[entry.partner] < -opening_balance and not entry.frozen:
            raise OverdraftError(entry.partner, outstanding[entry.partner], limit=opening_balance)
    return {partner: total for partner, total in outstanding.items() if total != opening_balance}
'''

OTHER = (
    "def tide(moon, sun, place):\n    return [moon.pull(hour) + sun.pull(hour) for hour in place.hours if hour.wet]\n"
)


def granted(user: str) -> set[str]:
    """The commands that the shipped file grants a user."""
    (line,) = re.findall(rf"^user {user} (.*)$", ACL.read_text(encoding="ascii"), re.MULTILINE)
    assert "-@all" in line
    assert "+@" not in line
    return set(re.findall(r"(?<=\+)\S+", line))


def used(deployment: SimpleNamespace) -> set[str]:
    """The commands that ran since this was last asked, inside scripts and out of them."""
    with deployment.client("observer") as observer:
        names = {name.removeprefix("cmdstat_") for name in observer.info("commandstats")}
        observer.config_resetstat()
    return names - UNASKED - {"config|resetstat"}


def refused(client: redis.Redis, *command: object) -> bool:
    try:
        client.execute_command(*command)  # type: ignore[no-untyped-call] # redis-py has no type for it
    except redis.exceptions.NoPermissionError:
        return True
    except redis.ResponseError as error:
        # In a script, and where the configuration switches a command off for all.
        return any(words in str(error) for words in ("permission", "can't access", "can't run", "DEBUG command not"))
    return False


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def address(deployment: SimpleNamespace, home: Path) -> IndexAddress:
    """The index through the indexer, in an empty store."""
    with deployment.client("observer") as observer:
        observer.flushall()
        observer.script_flush()
        observer.config_resetstat()
    return IndexAddress(deployment.url("indexer"), home, load_index_key(home, None).secret)


@pytest.fixture
def indexed(address: IndexAddress, tmp_path: Path) -> IndexAddress:
    """With code of globex, and what an index begins with."""
    tree = tmp_path / "ledger"
    tree.mkdir()
    (tree / "settle.py").write_text(SOURCE, encoding="utf-8")
    ingest(address, Tree(tree, Owner.organization("globex")))
    ingest(address, Tree(tree / "settle.py", Owner.commons("python-0-stdlib")))
    with address.opened() as (index, _):
        index.complete(Owner.commons("python-0-stdlib"))
        index.remove(Owner.commons("python-0-stdlib"), "settle.py")
    return address


def test_the_indexer_needs_all_that_it_may_and_no_more(
    deployment: SimpleNamespace, indexed: IndexAddress, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "ledger" / "settle.py").unlink()
    (tmp_path / "ledger" / "other.py").write_text(SOURCE.replace("partner", "client"), encoding="utf-8")
    report = ingest(indexed, Tree(tmp_path / "ledger", Owner.organization("globex")), prune=True)
    assert (report.added, report.removed) == (1, 1)
    used_before = used(deployment)
    with deployment.client("observer") as observer, indexed.opened() as (index, _):
        observer.hdel("cr:{main}:owner-ids", "commons:python-0-stdlib")
        observer.hset("cr:{00}:p0:\0\0", "no", "bucket")
        observer.set("cr:{main}:tokens", 5)
        observer.set("cr:{main}:d:12345", "no record")
        used(deployment)
        assert not audit.verify(index).sound
        assert audit.verify(index, mend=True).sound
        assert audit.verify(index).sound
        inventory.statistics(index)
        index.store.ping()
        # An operator's `cleanroom check` runs as this user.
        guard = Guard(index, Digester(load_index_key(home, None)))
        query = GuardQuery(text=SOURCE.replace("partner", "client"), caller="acme", language="python")
        assert guard.check(query).action is Action.BLOCK
        assert withdraw(index, Owner.organization("globex")) == 1
        audit.verify(index, mend=True)
        Rotation(home).run(index.store)
    assert used_before | used(deployment) == granted("indexer")


@pytest.mark.usefixtures("indexed")
def test_the_guard_needs_all_that_it_may_and_no_more(deployment: SimpleNamespace, home: Path) -> None:
    used(deployment)
    key = load_index_key(home, None)
    with open_store(deployment.url("guard"), home, check_timeout=5) as store:
        store.ping()
        guard = Guard(Index(store, key, home), Digester(key))
        guard.ready()
        blocked = guard.check(GuardQuery(text=SOURCE, caller="acme", language="python"))
        assert blocked.action is Action.BLOCK
        assert guard.check(GuardQuery(text=SOURCE, caller="globex", language="python")).action is Action.ALLOW
        assert guard.check(GuardQuery(text=OTHER, caller="acme", language="python")).action is Action.ALLOW
        exempt = frozenset(Exemption("exc_1", match.owner, match.document) for match in blocked.matches)
        query = GuardQuery(text=SOURCE, caller="acme", language="python", exempt=exempt)
        assert guard.check(query).action is Action.ALLOW
    # What the service asks at its start.
    assert has_commons(IndexAddress(deployment.url("guard"), home, key.secret))
    assert used(deployment) == granted("guard")


FORBIDDEN: list[tuple[object, ...]] = [
    ("SET", "cr:{main}:stamp", "x"),
    ("DEL", "cr:{main}:stamp"),
    ("HSET", "cr:{main}:owners", "x", "y"),
    ("HDEL", "cr:{main}:owners", "x"),
    ("INCR", "cr:{main}:version"),
    ("EXPIRE", "cr:{main}:stamp", 1),
    ("RENAME", "cr:{main}:stamp", "cr:{main}:version"),
    ("GET", "another"),
    ("GET", "cr:{main}:s0:12345"),
    ("HGETALL", "cr:{main}:paths:12"),
    ("KEYS", "*"),
    ("SCAN", 0),
    ("DBSIZE",),
    ("EVAL", "return redis.call('GET', 'cr:{main}:stamp')", 0),
    ("EVAL", "return 1", 0),
    ("FUNCTION", "LIST"),
    ("SCRIPT", "FLUSH"),
    ("SCRIPT", "KILL"),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "dir", "/tmp"),  # noqa: S108 - nothing is written
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "guard", "+@all"),
    ("CLIENT", "LIST"),
    ("INFO",),
    ("MONITOR",),
    ("DEBUG", "SLEEP", 0),
    ("SAVE",),
    ("BGREWRITEAOF",),
    ("REPLICAOF", "127.0.0.1", 1),
    ("SUBSCRIBE", "x"),
    ("PUBLISH", "x", "y"),
    ("MODULE", "LIST"),
    ("DUMP", "cr:{main}:stamp"),
    ("SHUTDOWN",),
]
# What the indexer may of these, and no other user.
INDEXERS = {"SET", "DEL", "HSET", "HDEL", "INCR", "SCAN", "EVAL", "INFO"}


@pytest.mark.usefixtures("indexed")
def test_the_guard_can_change_nothing(deployment: SimpleNamespace) -> None:
    with deployment.client("observer") as observer, deployment.client("guard") as guard:
        before = {key: observer.dump(key) for key in observer.keys("*")}
        assert [command for command in FORBIDDEN if not refused(guard, *command)] == []
        for write in (
            "redis.call('SET', 'cr:{main}:stamp', 'x')",
            "redis.call('FLUSHALL')",
            "redis.pcall('DEL', KEYS[1])",
        ):
            script = observer.script_load(f"return {write}")
            assert refused(guard, "EVALSHA", script, 1, "cr:{main}:stamp")
            assert refused(guard, "EVAL", f"return {write}", 1, "cr:{main}:stamp")
        assert {key: observer.dump(key) for key in observer.keys("*")} == before


@pytest.mark.usefixtures("indexed")
def test_the_indexer_keeps_to_the_index(deployment: SimpleNamespace) -> None:
    others = [
        command for command in FORBIDDEN if command[0] not in INDEXERS and command[:2] != ("GET", "cr:{main}:s0:12345")
    ]
    others = [command for command in others if command[0] != "HGETALL"]
    with deployment.client("observer") as observer, deployment.client("indexer") as indexer:
        observer.set("another", "x")
        assert [command for command in others if not refused(indexer, *command)] == []
        assert refused(indexer, "SET", "another", "y")
        assert refused(indexer, "EVAL", "return redis.call('GET', 'another')", 0)
        assert refused(indexer, "EVAL", "return redis.call('FLUSHALL')", 0)
        assert observer.get("another") == b"x"


ACME = Caller("acme", "0123456789ab", frozenset(), LicensePolicy.default())


def counted(deployment: SimpleNamespace, user: str, home: Path) -> None:
    """What the service asks of the quotas, once with some left and once without."""

    async def ask() -> None:
        limits = Limits(open_limit_store(deployment.url(user), home, timeout=5), Quota(2, 100))
        try:
            await limits.ready()
            assert [(await limits.request(ACME)).refusal is None for _ in range(3)] == [True, True, False]
            await limits.spend(ACME, 100)
            assert isinstance((await limits.request(ACME)).refusal, QuotaError)
        finally:
            await limits.close()

    asyncio.run(ask())


@pytest.mark.usefixtures("indexed")
def test_the_limits_need_all_that_they_may_and_no_more(deployment: SimpleNamespace, home: Path) -> None:
    with deployment.client("observer") as observer:
        index = {key: observer.dump(key) for key in observer.keys("*")}
        used(deployment)
        counted(deployment, "limits", home)
        assert used(deployment) - {"script|flush"} == granted("limits")
        own = set(observer.keys("*")) - set(index)
        assert own
        assert all(key.startswith(b"crl:") for key in own)
        assert {key: observer.dump(key) for key in index} == index


@pytest.mark.usefixtures("indexed")
def test_the_limits_cannot_reach_the_index(deployment: SimpleNamespace) -> None:
    with deployment.client("observer") as observer, deployment.client("limits") as limits:
        before = {key: observer.dump(key) for key in observer.keys("*")}
        others = [
            ("LPUSH", "cr:{main}:stamp", "x"),
            ("EXPIRE", "cr:{main}:stamp", 1),
            ("INCRBY", "cr:{main}:version", 1),
        ]
        assert [command for command in [*FORBIDDEN, *others] if not refused(limits, *command)] == []
        for read in ("'GET', 'cr:{main}:stamp'", "'INCRBY', 'cr:{main}:version', 1", "'SET', 'crl:x', 'x'"):
            script = limits.script_load(f"return redis.call({read})")
            assert refused(limits, "EVALSHA", script, 0)
        assert {key: observer.dump(key) for key in observer.keys("*")} == before


def test_the_guard_may_not_count(deployment: SimpleNamespace, home: Path) -> None:
    with pytest.raises(LimitsUnavailableError, match=r"users\.acl\.example grants to `limits`"):
        counted(deployment, "guard", home)


def test_everybody_else_stays_outside(deployment: SimpleNamespace) -> None:
    once = Retry(NoBackoff(), 0)
    with (
        redis.Redis(unix_socket_path=str(deployment.socket), retry=once) as nobody,
        pytest.raises(redis.AuthenticationError),
    ):
        nobody.ping()
    for user in ("default", "guard", "limits", "indexer"):
        with deployment.client(user, "wrong") as client, pytest.raises(redis.AuthenticationError):
            client.ping()
    with deployment.client("health") as health:
        assert health.ping()
        assert [command for command in [*FORBIDDEN, ("GET", "cr:{main}:stamp")] if not refused(health, *command)] == []


def test_a_guard_that_would_have_to_make_the_index_says_what_it_lacks(
    deployment: SimpleNamespace, address: IndexAddress, home: Path
) -> None:
    reading = IndexAddress(deployment.url("guard"), home, address.key)
    with pytest.raises(StoreUnavailableError, match="denies our user a command"), reading.opened():
        pass
