from __future__ import annotations

from e2e.served import breakable, home, upstream

__all__ = ["breakable", "home", "upstream"]
