"""A tree of code sent to a service's index, as tests of sending do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from samples.indexed import ACME, KEY

from service.path_names import PathNames, SentTree
from service.remote import RemoteIndex
from service.sending import send

if TYPE_CHECKING:
    from pathlib import Path

    from guard.ingest import IngestReport
    from guard.secret import IndexKey

    from .conftest import Shelf

SECRET_CODE = '''\
"""Quotas of the zanzibar exchange: quagga limits, okapi margins."""

MARGIN_TABLE = {"okapi": 0.031251, "quagga": 0.062503}
GREETING = "salutations from the savannah"


def rebalance_quota(exchange_ledger, savannah_rates, tolerance_bps=271828):
    # Okapi margins are looked up before the quagga limit bites.
    surplus_by_member = {}
    for member_name, booked_units in exchange_ledger.items():
        mirrored_units = savannah_rates.lookup(member_name, fallback=3133731)
        overshoot = abs(booked_units - mirrored_units) * MARGIN_TABLE["okapi"]
        if overshoot > tolerance_bps // max(booked_units, 17):
            surplus_by_member[member_name] = (booked_units, mirrored_units, overshoot)
    stragglers = sorted(set(savannah_rates.members) - set(exchange_ledger), key=savannah_rates.seniority)
    while stragglers and len(surplus_by_member) < 4194304:
        straggler = stragglers.pop()
        surplus_by_member.setdefault(straggler, (0, savannah_rates.seniority(straggler), -1.5))
    return surplus_by_member, [savannah_rates.describe(each, GREETING) for each in stragglers]


def settle_quota(surplus_by_member, clearing_journal, approve_member):
    for member_name, (left_units, right_units, overshoot) in sorted(surplus_by_member.items()):
        if overshoot > 0 and not approve_member(member_name, left_units):
            raise PermissionError(f"{member_name} exceeds the quagga limit by {right_units}")
        clearing_journal.append({"debtor": member_name, "difference": -overshoot, "before": left_units})
    return sum(booking["difference"] for booking in clearing_journal) or None
'''


def sent(
    shelf: Shelf,
    url: str,
    root: Path,
    *,
    hidden: bool = False,
    name: str = "",
    key: IndexKey = KEY,
    **options: Any,  # noqa: ANN401
) -> IngestReport:
    """What `cleanroom index add --server` does for one tree."""
    with RemoteIndex(url, shelf.keys["acme"], attempts=4, pause=0.01) as remote:
        stamp = remote.require(key)
        tree = SentTree(root, ACME, name=name, names=PathNames.of(key, stamp.org), hidden=hidden)
        return send(remote, key, tree, **options)
