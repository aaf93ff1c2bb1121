"""`python -m services.cli` is the command `motcua`."""

from services.cli.main import main

main()
