"""`python -m service` is `mcps`."""

from service.cli import main

main()
