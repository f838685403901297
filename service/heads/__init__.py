"""Heads of the ledger's chains: signed, and exported to where the service cannot rewrite them."""
