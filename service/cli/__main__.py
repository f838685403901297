"""`python -m service.cli`, the same as the command `cleanroom`."""

from service.cli.root import main

main()
