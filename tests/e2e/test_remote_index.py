"""An organization sends fingerprints from a machine of its own to a served Cleanroom, which guards them thereafter."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import httpx
import pytest
from e2e.served import Home

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.served import Upstream

CODE = """\
def dovetail_schedules(rosters, holidays, horizon_days):
    assigned = {}
    for roster in sorted(rosters, key=lambda each: (each.depot, -each.seniority)):
        window = roster.first_day + horizon_days // max(len(roster.crew), 2)
        skipped = [day for day in holidays.get(roster.depot, ()) if day < window]
        while skipped and skipped[-1] >= roster.last_day:
            roster.last_day -= skipped.pop() % 7 or 1
        assigned.setdefault(roster.depot, []).append((window, roster.last_day, skipped))
    for depot, entries in assigned.items():
        drift = sum(last - first for first, last, _ in entries) / (len(entries) + 1)
        assigned[depot] = [entry for entry in entries if abs(entry[1] - drift) < horizon_days]
    return assigned
"""


@pytest.fixture
def member(home: Home, tmp_path: Path) -> Home:
    """The home of an organization that knows the consortium's index key and nothing else of it."""
    member = Home(tmp_path / "member")
    member.path.mkdir(mode=0o700)
    shutil.copy(home.path / "index.key", member.path / "index.key")
    return member


@pytest.fixture
def keys(home: Home) -> dict[str, str]:
    home.run("org", "add", "cedar")
    made = {}
    for org, scope in (("cedar", "index"), ("cedar", "complete"), ("alder", "complete")):
        made[f"{org} {scope}"] = home.run("key", "create", "--org", org, "--scope", scope).stdout.strip()
    return made


def completion(url: str, key: str) -> str:
    reply = httpx.post(
        f"{url}/v1/completions",
        json={"prompt": "# depots\n", "max_tokens": 1000},
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
    )
    assert reply.status_code == 200, reply.text
    return str(reply.json()["choices"][0]["text"])


def test_code_that_never_left_is_guarded(
    home: Home, upstream: Upstream, reciting: str, member: Home, keys: dict[str, str], tmp_path: Path
) -> None:
    tree = tmp_path / "depots"
    tree.mkdir()
    (tree / "schedules.py").write_text(CODE)
    upstream.text = CODE
    assert completion(reciting, keys["alder complete"]) == CODE
    server = ("--server", reciting, "--key", keys["cedar index"], "--hash-paths", "--json")
    report = member.answer("index", "add", str(tree), *server)
    assert report[0]["added"] == 1  # type: ignore[index]
    assert member.answer("index", "add", str(tree), *server)[0]["unchanged"] == 1  # type: ignore[index]
    assert "drift" not in completion(reciting, keys["alder complete"])
    assert completion(reciting, keys["cedar complete"]) == CODE
    newest = home.answer("ledger", "list", "--json", "--limit", "1", "--owner", "org:cedar")[0]  # type: ignore[index]
    assert newest["decision"]["matches"][0]["document"].startswith("h:")
    assert member.answer("index", "remove", *server) == {"owner": "org:cedar", "removed": 1}
    assert completion(reciting, keys["alder complete"]) == CODE


def test_a_server_of_another_key_gets_nothing(reciting: str, keys: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "schedules.py").write_text(CODE)
    stranger = Home(tmp_path / "stranger")
    server = ("--server", reciting, "--key", keys["cedar index"])
    keyless = stranger.run("index", "add", str(tmp_path / "schedules.py"), *server)
    assert (keyless.returncode, "CLEANROOM_INDEX_KEY" in keyless.stderr) == (1, True)
    stranger.path.mkdir(mode=0o700)
    (stranger.path / "index.key").write_text("cd" * 32)
    (stranger.path / "index.key").chmod(0o600)
    refused = stranger.run("index", "add", str(tmp_path / "schedules.py"), *server)
    assert (refused.returncode, "another index key" in refused.stderr) == (1, True)
    assert member_documents(reciting, keys["cedar index"]) == 0


def member_documents(url: str, key: str) -> int:
    reply = httpx.get(f"{url}/v1/index/stats", headers={"Authorization": f"Bearer {key}"}, timeout=60)
    return int(reply.json()["documents"])
