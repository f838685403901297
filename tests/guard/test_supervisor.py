from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from samples.store_clients import alive, client, eventually, opened, server_of, stat_fields

from guard.errors import StoreUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from guard.store import Store

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG and /proc")


def answers(store: Store) -> bool:
    try:
        store.ping()
    except StoreUnavailableError:
        return False
    return True


def test_a_killed_client_leaves_no_server_and_loses_no_acknowledged_write(home: Path) -> None:
    with client(home, 1 << 30) as writer:
        server = writer.line()
        acknowledged = -1
        while acknowledged < 500:
            acknowledged = writer.line()
        writer.kill()
        writer.wait()
        assert writer.stdout is not None
        for line in writer.stdout:  # what it had said before it died
            acknowledged = int(line) if line.endswith("\n") else acknowledged
    eventually(lambda: not alive(server))
    with opened(home) as store:
        assert store.reader.exists(*(f"cr:{number}" for number in range(acknowledged + 1))) == acknowledged + 1


def test_interrupting_a_client_at_its_terminal_spares_the_server(home: Path) -> None:
    with client(home, 400) as writer:
        writer.line()
        # What Ctrl-C does: the whole foreground process group is signalled.
        os.killpg(writer.pid, signal.SIGINT)
        writer.finish()
    with opened(home) as store:
        assert store.reader.get("cr:last") == b"written"


def test_a_client_that_ends_closes_its_output(home: Path) -> None:
    with client(home) as first:
        server = first.line()
        with opened(home) as store:
            # The server lives on; whoever reads the first client's output must see its end.
            first.finish()
            assert server_of(store) == server


@linux_only
def test_a_killed_supervisor_takes_its_server_along_and_the_store_recovers(home: Path) -> None:
    with opened(home) as store:
        store.writer.set("cr:kept", b"yes")
        server = server_of(store)
        supervisor = int(stat_fields(server)[1])
        os.kill(supervisor, signal.SIGKILL)
        eventually(lambda: not alive(server))
        with pytest.raises(StoreUnavailableError, match=r"being started again.*valkey\.log"):
            store.ping()
        eventually(lambda: answers(store))
        assert server_of(store) != server
        assert store.reader.get("cr:kept") == b"yes"


@linux_only
def test_a_supervisor_that_is_told_to_end_ends_its_server(home: Path) -> None:
    with opened(home) as store:
        server = server_of(store)
        os.kill(int(stat_fields(server)[1]), signal.SIGTERM)
        eventually(lambda: not alive(server))


def test_a_killed_server_is_started_again(home: Path) -> None:
    with opened(home) as store:
        store.writer.set("cr:kept", b"yes")
        server = server_of(store)
        os.kill(server, signal.SIGKILL)
        eventually(lambda: not alive(server))
        eventually(lambda: answers(store))
        assert store.reader.get("cr:kept") == b"yes"
