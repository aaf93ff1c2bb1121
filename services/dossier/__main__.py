"""`python -m services.dossier` runs the dossier service."""

from services.dossier.app import main

main()
