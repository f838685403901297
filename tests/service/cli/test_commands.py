"""The command line from the outside: what it answers, what it complains of, and with which exit code."""

from __future__ import annotations

import json
import logging
import socket
import sys
import time
from typing import TYPE_CHECKING

import pytest
import structlog

from guard.fingerprint import W
from guard.store import open_store
from guard.tokens import lex
from service.cli.root import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET_CODE = """\
def reconcile_ledgers(primary, shadow, tolerance):
    drift = {}
    for account, balance in primary.items():
        mirrored = shadow.get(account, 0)
        if abs(balance - mirrored) > tolerance * max(abs(balance), 1):
            drift[account] = (balance, mirrored, balance - mirrored)
    missing = sorted(set(shadow) - set(primary), key=lambda name: -shadow[name])
    return drift, [(name, shadow[name]) for name in missing if shadow[name] >= tolerance]


def settle(drift, journal, approve):
    for account, (left, right, difference) in sorted(drift.items(), key=lambda item: abs(item[1][2])):
        if difference > 0 and not approve(account, left):
            raise PermissionError(f"{account} exceeds {right}")
        journal.append({"account": account, "delta": -difference, "was": left})
    return sum(entry["delta"] for entry in journal)
"""


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> object:
        return json.loads(self.out)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Result]]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setenv("CLEANROOM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["cleanroom", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    yield call
    # `serve` sends the log to a stream that ends with the test.
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "ledgers.py").write_text(SECRET_CODE)
    return tree


@pytest.fixture
def indexed(run: Callable[..., Result], tree: Path) -> Path:
    for org in ("alder", "birch"):
        assert run("org", "add", org).code == 0
    done = run("index", "add", tree, "--org", "alder")
    assert done.code == 0, done.err
    return tree


def test_a_leak_is_found_and_the_owner_is_not_bothered(run: Callable[..., Result], indexed: Path) -> None:
    blocked = run("check", indexed / "ledgers.py", "--org", "birch", "--json")
    assert blocked.code == 3
    decision = blocked.json
    assert decision["action"] == "block"  # type: ignore[index]
    match = decision["matches"][0]  # type: ignore[index]
    assert (match["owner"], match["document"], match["kind"]) == ("org:alder", "tree/ledgers.py", "exact")
    assert match["start"] == 0
    # The key is the home's own, so which fingerprint is the last is chance: winnowing leaves out at most W - 1 tokens.
    assert match["end"] >= int(lex(SECRET_CODE, "python", fragment=False).code.ends[-W])
    allowed = run("check", indexed / "ledgers.py", "--org", "alder")
    assert (allowed.code, "allow" in allowed.out) == (0, True)


def test_sync_follows_the_tree(run: Callable[..., Result], indexed: Path) -> None:
    (indexed / "ledgers.py").rename(indexed / "moved.py")
    done = run("index", "sync", indexed, "--org", "alder", "--json")
    assert (done.json[0]["added"], done.json[0]["removed"]) == (1, 1)  # type: ignore[index]
    stats = run("index", "stats", "--json").json
    assert stats["documents"] == 1  # type: ignore[index]
    assert run("index", "verify").code == 0


def test_trees_of_one_name_do_not_replace_each_other(run: Callable[..., Result], indexed: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "tree"
    other.mkdir(parents=True)
    (other / "ledgers.py").write_text("def other(values):\n    return [value * 7 for value in values]\n")
    assert run("index", "add", other, "--org", "alder", "--name", "second").code == 0
    blocked = run("check", indexed / "ledgers.py", "--org", "birch", "--json")
    assert blocked.json["matches"][0]["document"] == "tree/ledgers.py"  # type: ignore[index]
    (other / "ledgers.py").rename(other / "moved.py")
    done = run("index", "sync", other, "--org", "alder", "--name", "second", "--json")
    assert (done.json[0]["added"], done.json[0]["removed"]) == (1, 1)  # type: ignore[index]
    assert run("index", "stats", "--json").json["documents"] == 2  # type: ignore[index]


def test_code_with_a_time_to_live_says_so(run: Callable[..., Result], indexed: Path) -> None:
    assert run("index", "stats", "--json").json["owners"][0]["expires"] is None  # type: ignore[index]
    assert run("index", "add", indexed, "--org", "alder", "--ttl", "2h").code == 0
    expires = run("index", "stats", "--json").json["owners"][0]["expires"]  # type: ignore[index]
    assert 7100 < expires - time.time() <= 7200
    assert "UTC" in run("index", "stats").out
    assert run("index", "sweep", "--json").json == {"withdrawn": []}
    assert "nobody" in run("index", "sweep").err


def test_withdrawal_takes_effect_at_once(run: Callable[..., Result], indexed: Path) -> None:
    assert run("index", "remove", "--org", "alder", "--json").json == {"owner": "org:alder", "removed": 1}
    assert run("check", indexed / "ledgers.py", "--org", "birch").code == 0


def test_quotas_of_a_key(run: Callable[..., Result]) -> None:
    run("org", "add", "alder")
    made = run("key", "create", "--org", "alder", "--scope", "complete", "--requests-per-minute", 60, "--json").json
    assert (made["requests_per_minute"], made["tokens_per_day"]) == (60, None)
    changed = run("key", "limit", made["id"], "--tokens-per-day", 0)
    assert (changed.code, "default requests a minute, any tokens a day" in changed.err) == (0, True)
    (key,) = [each for each in run("key", "list", "--json").json if each["id"] == made["id"]]
    assert (key["requests_per_minute"], key["tokens_per_day"]) == (None, 0)
    refused = run("key", "limit", made["id"], "--requests-per-minute", 1_000_000)
    assert (refused.code, "give 1 to 100000" in refused.err) == (1, True)


def test_removing_an_organization_takes_its_keys_and_code(run: Callable[..., Result], indexed: Path) -> None:
    run("key", "create", "--org", "alder", "--scope", "complete")
    assert run("org", "remove", "alder").code == 0
    assert run("key", "list", "--json").json == []
    assert run("check", indexed / "ledgers.py", "--org", "birch").code == 0
    assert "no organization 'alder'" in run("check", indexed / "ledgers.py", "--org", "alder").err


def test_a_licence_is_denied_or_allowed_by_policy(run: Callable[..., Result], tree: Path, tmp_path: Path) -> None:
    run("org", "add", "birch")
    (tree / "ledgers.py").write_text("# SPDX-License-Identifier: GPL-3.0-only\n" + SECRET_CODE)
    done = run("index", "add", tree, "--license", "auto", "--name", "books", "--json")
    assert done.json[0]["licenses"] == {"GPL-3.0-only": 1}  # type: ignore[index]
    assert run("check", tree / "ledgers.py", "--org", "birch").code == 3
    policy = run("org", "policy", "birch").json
    policy["overrides"] = {"GPL-3.0-only": "allow"}  # type: ignore[index]
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    assert run("org", "policy", "birch", "--set", tmp_path / "policy.json").code == 0
    assert run("check", tree / "ledgers.py", "--org", "birch").code == 0


@pytest.mark.usefixtures("indexed")
def test_a_thousand_queries_in_one_process(run: Callable[..., Result], tmp_path: Path) -> None:
    clean = [
        "\n".join(f"    value_{i}_{line} = compute_{line}(value_{i - line}, {line})" for line in range(15))
        for i in range(999)
    ]
    queries = [{"id": i, "org": "birch", "text": text, "language": "python"} for i, text in enumerate(clean)]
    leak = "\n".join(SECRET_CODE.splitlines()[:15])
    queries.append({"id": "leak", "org": "birch", "text": leak, "language": "python"})
    file = tmp_path / "queries.jsonl"
    file.write_text("\n".join(json.dumps(query) for query in queries))
    done = run("check", "--jsonl", file)
    decisions = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 3
    assert [decision["id"] for decision in decisions] == [*range(999), "leak"]
    assert [decision["id"] for decision in decisions if decision["action"] == "block"] == ["leak"]
    assert all(decision["guard_ms"] > 0 for decision in decisions)


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["check", "x.py", "--org", "nobody"], 1, "x.py"),
        (["check", "-"], 2, "--org"),
        (["org", "add", "Bad_Slug"], 1, "'Bad_Slug'"),
        (["org", "remove", "nobody"], 1, "cleanroom org add nobody"),
        (["key", "create", "--org", "nobody", "--scope", "complete"], 1, "cleanroom org add nobody"),
        (["key", "create", "--org", "nobody", "--scope", "everything"], 2, "everything"),
        (["key", "revoke", "none"], 1, "cleanroom key list"),
        (["index", "add", "missing", "--commons"], 1, "missing"),
        (["index", "add", ".", "--org", "a", "--commons"], 2, "--commons"),
        (["index", "add", ".", "--license", "GPLL-9"], 1, "GPLL-9"),
        (["index", "add", ".", "--org", "a", "--ttl", "9"], 2, "90d"),
        (["index", "add", ".", "--org", "a", "--ttl", "0d"], 2, "90d"),
        (["index", "add", ".", "..", "--org", "a", "--name", "b"], 2, "one path"),
        (["index", "add", ".", "--org", "nobody"], 1, "cleanroom org add nobody"),
        (["index", "remove"], 2, "--org"),
        (["ledger", "show", "dec_none"], 1, "dec_none"),
        (["ledger", "verify", "--head", "x"], 2, "N:HASH"),
        (["serve", "--model", "missing.gguf", "--port", "0"], 1, "missing.gguf"),
        (["serve", "--engine", "vllm"], 1, "vllm"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_bad_input_gets_a_clear_error(
    run: Callable[..., Result], arguments: list[str], code: int, complaint: str
) -> None:
    result = run(*arguments)
    assert result.code == code, result.err
    assert complaint in " ".join(result.err.split())
    assert "Traceback" not in result.err


def test_a_port_in_use_is_named(run: Callable[..., Result]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", port)
    assert result.code == 1
    assert f"127.0.0.1:{port} is in use" in " ".join(result.err.split())


def test_a_store_that_is_down_empty_or_of_another_key(
    run: Callable[..., Result], indexed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = indexed / "ledgers.py"
    monkeypatch.setenv("CLEANROOM_INDEX_KEY", "ab" * 32)
    other_key = run("check", file, "--org", "birch")
    assert (other_key.code, "key" in other_key.err) == (1, True)
    monkeypatch.delenv("CLEANROOM_INDEX_KEY")
    monkeypatch.setenv("CLEANROOM_REDIS_URL", "redis://:secret@127.0.0.1:9/0")
    down = run("check", file, "--org", "birch")
    assert (down.code, "cannot be reached" in down.err, "secret" in down.err) == (1, True, False)
    monkeypatch.delenv("CLEANROOM_REDIS_URL")
    with open_store(None, tmp_path / "home") as store:
        store.writer.flushall()
    empty = run("check", file, "--org", "birch")
    assert (empty.code, "holds no index" in empty.err) == (1, True)


def test_the_version_and_help_are_there(run: Callable[..., Result]) -> None:
    assert run("--version").out.startswith("cleanroom ")
    assert "guard" in run("--help").out
