"""What security teams ask of the ledger: leaks, what was said of them, and who is told. Knows no HTTP and no page."""
