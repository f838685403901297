"""The command `cleanroom`. Each module beside this one holds the commands of one subject; none holds any logic."""

from service.cli.root import main

__all__ = ["main"]
